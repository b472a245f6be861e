//! The training loop: [`Run::train_epoch`] makes the steps, [`Run::after_step`] serves checkpoints and the stop
//! flag. Files are written by the checkpoint folder, losses kept by [`Losses`].

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

use burn::tensor::Device;
use lenet_data::ImageDataset;

use super::learner::Learner;
use super::losses::Losses;
use super::{Trainer, TrainingRun};
use crate::checkpoint::{CheckpointFolder, PartialEpoch, Progress};
use crate::error::chain;
use crate::evaluation::evaluate_within;
use crate::observer::CurrentNetwork;
use crate::pool::Helpers;
use crate::{CheckpointError, EpochMetrics, Evaluation, Event, TrainingError};

/// A run between two steps.
pub(super) struct Run<'a, 'd> {
    trainer: Trainer<'a>,
    train: &'d ImageDataset,
    learner: Box<dyn Learner + 'd>,
    /// Steps per epoch.
    steps: usize,
    epochs: Vec<EpochMetrics>,
    /// Of the unfinished epoch.
    losses: Losses,
    folder: Option<CheckpointFolder>,
    start: Instant,
    /// Seconds that the run took before it was resumed.
    earlier_seconds: f64,
}

impl<'a, 'd> Run<'a, 'd> {
    /// A run that continues with `progress`, which a new one has not made any of.
    pub(super) fn new(
        trainer: Trainer<'a>,
        train: &'d ImageDataset,
        learner: Box<dyn Learner + 'd>,
        folder: Option<CheckpointFolder>,
        progress: Progress,
        start: Instant,
    ) -> Self {
        let steps = train.len().div_ceil(trainer.config.batch_size);
        Self {
            train,
            learner,
            steps,
            losses: Losses::new(progress.epochs.len() + 1, steps, progress.partial),
            epochs: progress.epochs,
            folder,
            start,
            earlier_seconds: progress.total_seconds,
            trainer,
        }
    }

    pub(super) fn report_start(&mut self, resumed: Option<&Path>) {
        self.trainer.observer.observe(&Event::Started {
            network: self.trainer.network,
            training: self.trainer.config,
            dataset: self.train.name(),
            synthetic: self.train.is_synthetic(),
            images: self.train.len(),
            steps: self.steps,
            version: env!("CARGO_PKG_VERSION"),
        });
        if let Some(checkpoint) = resumed {
            self.trainer.observer.observe(&Event::Resumed {
                checkpoint,
                step: self.losses.step(),
                steps: self.steps,
                epochs: &self.epochs,
                seconds: self.earlier_seconds,
            });
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.epochs.len() == self.trainer.config.epochs
    }

    pub(super) fn finish(mut self) -> Result<TrainingRun, TrainingError> {
        let lenet = self.learner.network()?;
        self.trainer.observer.observe(&Event::Finished);
        Ok(TrainingRun {
            lenet,
            epochs: self.epochs,
        })
    }

    /// Trains for one epoch, or for the rest of one, and validates.
    pub(super) fn train_epoch(
        &mut self,
        device: &Device,
        helpers: &Helpers,
    ) -> Result<(), TrainingError> {
        self.losses.start();
        let (config, steps, epoch) = (self.trainer.config, self.steps, self.epochs.len());
        let first = self.losses.step();
        self.learner.start_epoch(epoch, first)?;
        for step in first..steps {
            let total = config.epochs.saturating_mul(steps);
            let schedule = config.schedule;
            let rate =
                schedule.learning_rate(config.learning_rate, epoch * steps + step, steps, total);
            let images = self.learner.step(rate, helpers)?;
            self.losses.push(images, rate);
            if self.losses.are_due() {
                self.read_losses()?;
            }
            self.trainer.observer.observe(&Event::Step {
                epoch: epoch + 1,
                step: step + 1,
                steps,
                loss: self.losses.latest(),
            });
            let network = || self.learner.network();
            self.trainer
                .observer
                .observe_network(&CurrentNetwork::new(&network));
            if step + 1 < steps {
                self.after_step()?;
            }
        }
        self.end_epoch(device, helpers)?;
        self.after_step()
    }

    fn read_losses(&mut self) -> Result<(), TrainingError> {
        self.losses.read(self.learner.read_losses()?)
    }

    /// Turns the losses into the metrics of a completed epoch.
    fn end_epoch(&mut self, device: &Device, helpers: &Helpers) -> Result<(), TrainingError> {
        self.read_losses()?;
        let seconds = self.losses.seconds();
        let validated = match self.trainer.validation {
            Some(dataset) => Some(self.evaluate(dataset, device, helpers)?),
            None => None,
        };
        let Some(last_batch_loss) = self.losses.latest() else {
            unreachable!("an epoch has at least one step")
        };
        let metrics = EpochMetrics {
            epoch: self.epochs.len() + 1,
            mean_loss: self.losses.mean(),
            last_batch_loss,
            learning_rate: self.losses.rate,
            seconds,
            validation_accuracy: validated.as_ref().map(|evaluation| evaluation.accuracy),
            validation_loss: validated.as_ref().map(|evaluation| evaluation.mean_loss),
        };
        self.trainer.observer.observe(&Event::Epoch {
            metrics: &metrics,
            epochs: self.trainer.config.epochs,
        });
        self.epochs.push(metrics);
        self.losses = Losses::new(self.epochs.len() + 1, self.steps, PartialEpoch::default());
        Ok(())
    }

    fn evaluate(
        &self,
        dataset: &ImageDataset,
        device: &Device,
        helpers: &Helpers,
    ) -> Result<Evaluation, TrainingError> {
        match self.learner.evaluate(dataset)? {
            Some(evaluation) => Ok(evaluation),
            None => evaluate_within(&self.learner.network()?, dataset, device, helpers),
        }
    }

    /// Writes a checkpoint if one is due, and stops if the flag says so.
    fn after_step(&mut self) -> Result<(), TrainingError> {
        let flag = self.trainer.stop;
        let stop = !self.is_complete() && flag.is_some_and(|flag| flag.load(Ordering::Relaxed));
        let (epochs, step) = (self.epochs.len(), self.losses.step());
        let folder = self.folder.as_ref();
        let is_due = folder.is_some_and(|folder| folder.is_due(epochs, step));
        if !(stop || is_due || self.is_complete()) {
            return Ok(());
        }
        self.read_losses()?;
        let saved = self.save()?;
        if !stop {
            return Ok(());
        }
        let (checkpoint, unsaved) = match saved {
            Saved::NotWanted => (None, None),
            Saved::At(path) => (Some(path), None),
            Saved::Failed(error) => {
                let last = self.folder.as_ref().and_then(CheckpointFolder::last);
                (last, Some(Box::new(error)))
            }
        };
        Err(TrainingError::Interrupted {
            epochs,
            step,
            steps: self.steps,
            checkpoint,
            unsaved,
        })
    }

    /// Checks that the weights are finite, and writes a checkpoint if there is a folder for it.
    fn save(&mut self) -> Result<Saved, TrainingError> {
        let weights = self
            .learner
            .network()?
            .state_dict()
            .map_err(TrainingError::device)?;
        for tensor in &weights {
            if let Some(&found) = tensor.values.iter().find(|value| !value.is_finite()) {
                let (epoch, step, learning_rate) = match (self.losses.step(), self.epochs.last()) {
                    (0, Some(last)) => (last.epoch, self.steps, last.learning_rate),
                    (step, _) => (self.epochs.len() + 1, step, self.losses.rate),
                };
                return Err(TrainingError::NonFiniteWeight {
                    epoch,
                    step,
                    steps: self.steps,
                    name: tensor.name.clone(),
                    found,
                    learning_rate,
                });
            }
        }
        let Some(folder) = &self.folder else {
            return Ok(Saved::NotWanted);
        };
        let velocity = self.learner.velocity()?;
        let progress = Progress {
            epochs: self.epochs.clone(),
            partial: self.losses.partial_epoch(),
            total_seconds: self.earlier_seconds + self.start.elapsed().as_secs_f64(),
        };
        let observer = &mut self.trainer.observer;
        let path = match folder.save(&weights, &velocity, &progress) {
            Ok(path) => path,
            Err(error) => {
                let message = chain(&error);
                observer.observe(&Event::CheckpointFailed { message: &message });
                return Ok(Saved::Failed(error));
            }
        };
        observer.observe(&Event::Checkpoint { path: &path });
        if let Err(error) = folder.prune() {
            let message = chain(&error);
            observer.observe(&Event::CheckpointNotRemoved { message: &message });
        }
        Ok(Saved::At(path))
    }
}

/// What became of a checkpoint.
enum Saved {
    NotWanted,
    At(PathBuf),
    Failed(CheckpointError),
}
