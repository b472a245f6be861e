//! The training loop: [`Run::train_epoch`] makes the steps, [`Run::after_step`] serves checkpoints and the stop
//! flag. Files are written by the checkpoint folder, losses kept by [`Losses`].

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use lenet_core::LeNet;
use lenet_data::{ImageDataset, Order};

use super::losses::Losses;
use super::sgd::Sgd;
use super::{Trainer, TrainingRun};
use crate::checkpoint::{Checkpoint, CheckpointFolder, PartialEpoch, Progress};
use crate::error::chain;
use crate::evaluation::evaluate_within;
use crate::pool::Helpers;
use crate::{CheckpointError, EpochMetrics, Event, TrainingError};

/// A run between two steps, except for the network, which each step consumes and returns.
pub(super) struct Run<'a, 'd> {
    trainer: Trainer<'a>,
    train: &'d ImageDataset,
    /// Steps per epoch.
    steps: usize,
    sgd: Sgd,
    epochs: Vec<EpochMetrics>,
    /// Of the unfinished epoch.
    losses: Losses,
    folder: Option<CheckpointFolder>,
    start: Instant,
    /// Seconds that the run took before it was resumed.
    earlier_seconds: f64,
}

impl<'a, 'd> Run<'a, 'd> {
    pub(super) fn new(
        trainer: Trainer<'a>,
        train: &'d ImageDataset,
        folder: Option<CheckpointFolder>,
        start: Instant,
    ) -> Self {
        let steps = train.len().div_ceil(trainer.config.batch_size);
        Self {
            train,
            steps,
            sgd: Sgd::new(trainer.config),
            epochs: Vec::new(),
            losses: Losses::new(1, steps, PartialEpoch::default()),
            folder,
            start,
            earlier_seconds: 0.0,
            trainer,
        }
    }

    /// Continues a checkpoint; returns its network.
    pub(super) fn resume(
        &mut self,
        lenet: LeNet,
        checkpoint: Checkpoint,
    ) -> Result<LeNet, CheckpointError> {
        let weights = |source| CheckpointError::Weights {
            path: checkpoint.path.clone(),
            source,
        };
        if self.trainer.config.momentum > 0.0 {
            let velocity = lenet.valid().load_state_dict(checkpoint.velocity);
            self.sgd.set_velocity(velocity.map_err(weights)?);
        }
        let progress = checkpoint.progress;
        self.losses = Losses::new(progress.epochs.len() + 1, self.steps, progress.partial);
        self.epochs = progress.epochs;
        self.earlier_seconds = progress.total_seconds;
        lenet.load_state_dict(checkpoint.weights).map_err(weights)
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

    pub(super) fn finish(mut self, lenet: LeNet) -> TrainingRun {
        self.trainer.observer.observe(&Event::Finished);
        TrainingRun {
            lenet: lenet.valid(),
            epochs: self.epochs,
        }
    }

    /// Trains for one epoch, or for the rest of one, and validates.
    pub(super) fn train_epoch(
        &mut self,
        mut lenet: LeNet,
        device: &Device,
        helpers: &Helpers,
    ) -> Result<LeNet, TrainingError> {
        self.losses.start();
        let (config, steps, epoch) = (self.trainer.config, self.steps, self.epochs.len());
        let order = Order::Shuffled {
            seed: config.seed,
            epoch: epoch as u64,
        };
        let batches = self.train.batches(config.batch_size, order, device)?;
        let first = self.losses.step();
        let mut batches = batches.with_augmentation(config.augmentation).skip(first);
        let mut next_batch = batches.next();
        for step in first..steps {
            let Some(batch) = next_batch else {
                unreachable!("an epoch of {steps} steps has a batch for step {step}")
            };
            let total = config.epochs.saturating_mul(steps);
            let schedule = config.schedule;
            let rate =
                schedule.learning_rate(config.learning_rate, epoch * steps + step, steps, total);
            let (sgd, losses) = (&mut self.sgd, &mut self.losses);
            let images = batch.len();
            let forward = || {
                let loss = lenet.loss(batch.images, batch.labels);
                (lenet, loss)
            };
            let descend = |(lenet, loss): (LeNet, Tensor<1>)| {
                let lenet = sgd.step(rate, lenet, loss.backward());
                losses.push(loss.inner(), images, rate)?;
                Ok::<_, TrainingError>(lenet)
            };
            let trained;
            (trained, next_batch) = helpers.step(forward, descend, || batches.next());
            lenet = trained?;
            self.trainer.observer.observe(&Event::Step {
                epoch: epoch + 1,
                step: step + 1,
                steps,
                loss: self.losses.latest(),
            });
            self.trainer.observer.observe_network(&lenet);
            if step + 1 < steps {
                self.after_step(&lenet)?;
            }
        }
        self.end_epoch(&lenet, device, helpers)?;
        self.after_step(&lenet)?;
        Ok(lenet)
    }

    /// Turns the losses into the metrics of a completed epoch.
    fn end_epoch(
        &mut self,
        lenet: &LeNet,
        device: &Device,
        helpers: &Helpers,
    ) -> Result<(), TrainingError> {
        self.losses.read()?;
        let seconds = self.losses.seconds();
        let validation = self.trainer.validation;
        let validated = validation
            .map(|dataset| evaluate_within(lenet, dataset, device, helpers))
            .transpose()?;
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

    /// Writes a checkpoint if one is due, and stops if the flag says so.
    fn after_step(&mut self, lenet: &LeNet) -> Result<(), TrainingError> {
        let flag = self.trainer.stop;
        let stop = !self.is_complete() && flag.is_some_and(|flag| flag.load(Ordering::Relaxed));
        let (epochs, step) = (self.epochs.len(), self.losses.step());
        let folder = self.folder.as_ref();
        let is_due = folder.is_some_and(|folder| folder.is_due(epochs, step));
        if !(stop || is_due || self.is_complete()) {
            return Ok(());
        }
        self.losses.read()?;
        let saved = self.save(lenet)?;
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
    fn save(&mut self, lenet: &LeNet) -> Result<Saved, TrainingError> {
        let weights = lenet.state_dict().map_err(TrainingError::device)?;
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
        let velocity = match self.sgd.velocity(lenet) {
            Some(velocity) => velocity.state_dict().map_err(TrainingError::device)?,
            None => Vec::new(),
        };
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
