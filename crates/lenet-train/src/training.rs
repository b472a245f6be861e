use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use lenet_core::{InputError, LeNet, LeNetConfig, WeightsError};
use lenet_data::{ImageDataset, Order};
use serde::{Deserialize, Serialize};

use crate::checkpoint::{Checkpoint, CheckpointFolder, Progress, RunIdentity};
use crate::evaluation::{evaluate_within, to_vec};
use crate::pool::{self, Helpers};
use crate::sgd::Sgd;
use crate::{
    CheckpointError, Checkpoints, Evaluation, Event, Observer, TrainingConfig, TrainingError,
    cross_entropy,
};

/// Steps between two looks at the losses: often enough to stop a diverged run soon, seldom enough
/// that a GPU never waits.
const STEPS_PER_READ: usize = 50;

/// What one epoch gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EpochMetrics {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Mean training loss over the images of the epoch, in nats.
    pub mean_loss: f64,
    /// Training loss of the last batch: what the notebook of *Dive into Deep Learning* plots.
    pub last_batch_loss: f64,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Seconds for the epoch's training, without validation.
    pub seconds: f64,
    /// Accuracy on the validation set after the epoch, from 0 to 1, if there is one.
    pub validation_accuracy: Option<f64>,
    /// Mean loss on the validation set after the epoch, if there is one.
    pub validation_loss: Option<f64>,
}

/// A trained network and how it came about.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TrainingRun {
    /// The network after the last epoch, without autodiff.
    pub lenet: LeNet,
    /// One entry for each epoch.
    pub epochs: Vec<EpochMetrics>,
}

/// Trains a network from its seed: a [`Trainer`] with a validation set and nothing else.
///
/// ```
/// use burn::tensor::Device;
/// use lenet_core::LeNetConfig;
/// use lenet_data::synthetic;
/// use lenet_train::{TrainingConfig, evaluate, observer::Silent, train};
///
/// let device = Device::flex();
/// let splits = synthetic::garment_splits(256, 100);
/// let config = TrainingConfig::default().with_epochs(1);
/// let network = LeNetConfig::modern(10);
/// let run = train(&network, &config, &splits.train, None, &device, &mut Silent)?;
/// let result = evaluate(&run.lenet, &splits.test, &device)?;
/// println!("loss {:.3}, test accuracy {:.3}", run.epochs[0].mean_loss, result.accuracy);
/// # Ok::<(), lenet_train::TrainingError>(())
/// ```
///
/// # Errors
///
/// As [`Trainer::fit`].
pub fn train(
    network: &LeNetConfig,
    config: &TrainingConfig,
    train: &ImageDataset,
    validation: Option<&ImageDataset>,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<TrainingRun, TrainingError> {
    let mut trainer = Trainer::new(network, config);
    trainer.validation = validation;
    trainer.fit(train, device, observer)
}

/// A training, and what goes with it.
///
/// ```
/// use burn::tensor::Device;
/// use lenet_core::LeNetConfig;
/// use lenet_data::synthetic;
/// use lenet_train::{Checkpoints, Trainer, TrainingConfig, observer::Silent};
///
/// let folder = tempfile::tempdir()?;
/// let garments = synthetic::garments(256, 0);
/// let (network, config) = (LeNetConfig::modern(10), TrainingConfig::default().with_epochs(2));
/// let checkpoints = Checkpoints::new(folder.path()).with_resume(true);
/// let trainer = Trainer::new(&network, &config).with_checkpoints(checkpoints);
/// let run = trainer.fit(&garments, &Device::flex(), &mut Silent)?;
///
/// // Had it been killed, this would have done what was left; now there is nothing left to do.
/// let again = trainer.fit(&garments, &Device::flex(), &mut Silent)?;
/// assert_eq!(again.lenet.state_dict()?, run.lenet.state_dict()?);
/// assert_eq!(again.epochs, run.epochs);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Trainer<'a> {
    network: &'a LeNetConfig,
    config: &'a TrainingConfig,
    validation: Option<&'a ImageDataset>,
    checkpoints: Option<Checkpoints>,
    stop: Option<&'a AtomicBool>,
}

impl<'a> Trainer<'a> {
    /// Trains this network by this recipe.
    pub fn new(network: &'a LeNetConfig, config: &'a TrainingConfig) -> Self {
        Self {
            network,
            config,
            validation: None,
            checkpoints: None,
            stop: None,
        }
    }

    /// Sets images that the network is judged by after every epoch and never learns from. The test set has
    /// no place here: [`evaluate`](crate::evaluate) the result with it, once.
    #[must_use]
    pub fn with_validation(mut self, validation: &'a ImageDataset) -> Self {
        self.validation = Some(validation);
        self
    }

    /// Leaves checkpoints on the way, or resumes from them.
    #[must_use]
    pub fn with_checkpoints(mut self, checkpoints: Checkpoints) -> Self {
        self.checkpoints = Some(checkpoints);
        self
    }

    /// Stops after the step during which this becomes true, with a checkpoint if there are any: the error
    /// is then [`TrainingError::Interrupted`], also if the checkpoint cannot be written.
    #[must_use]
    pub fn with_stop(mut self, stop: &'a AtomicBool) -> Self {
        self.stop = Some(stop);
        self
    }

    /// Trains from the seed, or from the last checkpoint, to the end.
    ///
    /// An observer that panics is told nothing more; a checkpoint that cannot be written is told to the
    /// observer, and the training goes on.
    ///
    /// # Threads
    ///
    /// On Flex a training runs on threads of its own, as many as the current rayon pool has, or an even
    /// share once the trainings of the program have two for each core. The observer is called on one of
    /// them. Observer and stop flag are served at every step, whatever else the program trains.
    ///
    /// The calling thread waits. If it belongs to a rayon pool, it picks up other jobs of the pool meanwhile,
    /// and `fit` returns only when they are done, too; where that matters, call it from a thread outside of
    /// rayon, such as one of [`std::thread::scope`]. In a pool of one thread the training runs on that
    /// thread, and other jobs wait until it ends.
    ///
    /// # Errors
    ///
    /// [`TrainingError`] before the first step if the configurations and the data do not fit together, or
    /// the checkpoints are another run's; if the loss or a weight becomes infinite or not a number; if the
    /// run is stopped; or if the device fails.
    pub fn fit(
        &self,
        train: &ImageDataset,
        device: &Device,
        observer: &mut dyn Observer,
    ) -> Result<TrainingRun, TrainingError> {
        pool::run(device, |helpers| {
            self.fit_here(train, device, observer, helpers)
        })
    }

    fn fit_here(
        &self,
        train: &ImageDataset,
        device: &Device,
        observer: &mut dyn Observer,
        helpers: &Helpers,
    ) -> Result<TrainingRun, TrainingError> {
        let start = Instant::now();
        let (network, config) = (self.network, self.config);
        config.validate()?;
        for dataset in [Some(train), self.validation].into_iter().flatten() {
            check_fit(network, dataset)?;
        }
        let steps = train.len().div_ceil(config.batch_size);
        let mut observer = Guarded(Some(observer));
        let (folder, checkpoint) = match &self.checkpoints {
            Some(checkpoints) => {
                let identity = RunIdentity::new(network, config, train, self.validation);
                let (folder, checkpoint) = CheckpointFolder::open(checkpoints, identity)?;
                (Some(folder), checkpoint)
            }
            None => (None, None),
        };
        let device = device.clone().autodiff();
        let mut run = Run {
            lenet: network.init(&device, config.seed)?,
            sgd: Sgd::new(config),
            progress: Progress::default(),
            clock: Clock {
                earlier: 0.0,
                start,
            },
            folder,
        };
        let resumed = match checkpoint {
            Some(checkpoint) => {
                let path = checkpoint.path.clone();
                run = run.resume(checkpoint, config)?;
                Some(path)
            }
            None => None,
        };
        observer.observe(&Event::started(network, config, train, steps));
        if let Some(path) = &resumed {
            observer.observe(&Event::Resumed {
                checkpoint: path,
                step: run.progress.step,
                steps,
                epochs: &run.progress.epochs,
                seconds: run.progress.total_seconds,
            });
        }
        while run.progress.epoch() < config.epochs {
            run = self.epoch(run, train, &device, &mut observer, helpers)?;
        }
        observer.observe(&Event::Finished);
        Ok(TrainingRun {
            lenet: run.lenet.valid(),
            epochs: run.progress.epochs,
        })
    }

    /// What is left of an epoch.
    fn epoch<'f>(
        &self,
        mut run: Run<'f>,
        train: &ImageDataset,
        device: &Device,
        observer: &mut Guarded<'_>,
        helpers: &Helpers,
    ) -> Result<Run<'f>, TrainingError> {
        let config = self.config;
        let steps = train.len().div_ceil(config.batch_size);
        let epoch = run.progress.epoch();
        let (first_step, earlier) = (run.progress.step, run.progress.seconds);
        let start = Instant::now();
        let mut losses = Losses::new(&run.progress, steps);
        let order = Order::Shuffled {
            seed: config.seed,
            epoch: epoch as u64,
        };
        let batches = train.batches(config.batch_size, order, device)?;
        let batches = batches.with_augmentation(config.augmentation);
        let mut batches = batches.skip(first_step);
        let mut next_batch = batches.next();
        for step in first_step..steps {
            let rate = config.schedule.learning_rate(
                config.learning_rate,
                epoch * steps + step,
                steps,
                config.epochs.saturating_mul(steps),
            );
            let Some(batch) = next_batch else { break };
            let Run { lenet, mut sgd, .. } = run;
            let work = || -> Result<_, TrainingError> {
                let images = batch.len();
                let loss = cross_entropy(lenet.forward(batch.images), batch.labels);
                let lenet = sgd.step(rate, lenet, loss.backward());
                losses.push(loss.inner(), images, rate)?;
                Ok(lenet)
            };
            let trained;
            (trained, next_batch) = helpers.step(work, || batches.next());
            (run.lenet, run.sgd) = (trained?, sgd);
            observer.observe(&Event::Step {
                epoch: epoch + 1,
                step: step + 1,
                steps,
                loss: losses.latest,
            });
            // The end of an epoch comes below.
            if step + 1 < steps {
                run.progress.step = step + 1;
                let stop = self.is_stopped();
                if stop || run.is_checkpoint_due() {
                    losses.read()?;
                    losses.tell(&mut run.progress);
                    run.progress.seconds = earlier + start.elapsed().as_secs_f64();
                    let checkpoint = run.checkpoint(rate, steps, observer)?;
                    if stop {
                        return Err(run.interrupted(checkpoint, steps));
                    }
                }
            }
        }
        let (mean_loss, learning_rate) = losses.finish()?;
        let seconds = earlier + start.elapsed().as_secs_f64();
        let validated: Option<Evaluation> = self
            .validation
            .map(|dataset| evaluate_within(&run.lenet, dataset, device, helpers))
            .transpose()?;
        let metrics = EpochMetrics {
            epoch: epoch + 1,
            mean_loss,
            last_batch_loss: losses.latest.unwrap_or(f64::NAN),
            learning_rate,
            seconds,
            validation_accuracy: validated.as_ref().map(|evaluation| evaluation.accuracy),
            validation_loss: validated.as_ref().map(|evaluation| evaluation.mean_loss),
        };
        observer.observe(&Event::Epoch {
            metrics: &metrics,
            epochs: config.epochs,
        });
        let mut epochs = std::mem::take(&mut run.progress.epochs);
        epochs.push(metrics);
        run.progress = Progress {
            epochs,
            ..Progress::default()
        };
        let is_last = run.progress.epoch() == config.epochs;
        let stop = self.is_stopped() && !is_last;
        if stop || is_last || run.is_checkpoint_due() {
            let checkpoint = run.checkpoint(learning_rate, steps, observer)?;
            if stop {
                return Err(run.interrupted(checkpoint, steps));
            }
        }
        Ok(run)
    }

    fn is_stopped(&self) -> bool {
        self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed))
    }
}

/// A run between two steps.
struct Run<'f> {
    lenet: LeNet,
    sgd: Sgd,
    progress: Progress,
    clock: Clock,
    folder: Option<CheckpointFolder<'f>>,
}

/// Seconds that a run has taken, over all times that it was resumed.
struct Clock {
    earlier: f64,
    start: Instant,
}

impl Clock {
    fn seconds(&self) -> f64 {
        self.earlier + self.start.elapsed().as_secs_f64()
    }
}

impl Run<'_> {
    fn resume(
        mut self,
        checkpoint: Checkpoint,
        config: &TrainingConfig,
    ) -> Result<Self, CheckpointError> {
        let weights = |source| CheckpointError::Weights {
            path: checkpoint.path.clone(),
            source,
        };
        let velocity = checkpoint.velocity;
        if config.momentum > 0.0 {
            let inner = self.lenet.valid();
            self.sgd
                .set_velocity(inner.load_state_dict(velocity).map_err(weights)?);
        }
        let lenet = self.lenet.load_state_dict(checkpoint.weights);
        self.lenet = lenet.map_err(weights)?;
        self.progress = checkpoint.progress;
        self.clock.earlier = self.progress.total_seconds;
        Ok(self)
    }

    fn is_checkpoint_due(&self) -> bool {
        let folder = self.folder.as_ref();
        folder.is_some_and(|folder| folder.is_due(&self.progress))
    }

    /// Writes a checkpoint, if there are any to be written. The weights must be finite.
    fn checkpoint(
        &mut self,
        rate: f64,
        steps: usize,
        observer: &mut Guarded<'_>,
    ) -> Result<Saved, TrainingError> {
        let (epoch, step) = match self.progress.step {
            0 => (self.progress.epoch(), steps),
            step => (self.progress.epoch() + 1, step),
        };
        let weights = self.lenet.state_dict().map_err(device_error)?;
        for tensor in &weights {
            if let Some(found) = tensor.values.iter().find(|value| !value.is_finite()) {
                return Err(TrainingError::NonFiniteWeight {
                    epoch,
                    step,
                    steps,
                    name: tensor.name.clone(),
                    found: *found,
                    learning_rate: rate,
                });
            }
        }
        let Some(folder) = &self.folder else {
            return Ok(Saved::NotWanted);
        };
        let velocity = self.sgd.velocity(&self.lenet);
        let velocity = velocity.map(|velocity| velocity.state_dict()).transpose();
        let velocity = velocity.map_err(device_error)?.unwrap_or_default();
        self.progress.total_seconds = self.clock.seconds();
        let path = match folder.save(&weights, &velocity, &self.progress) {
            Ok(path) => path,
            Err(error) => {
                let message = error.to_string();
                observer.observe(&Event::CheckpointFailed { message: &message });
                return Ok(Saved::Failed(error));
            }
        };
        observer.observe(&Event::Checkpoint { path: &path });
        if let Err(error) = folder.prune() {
            let message = error.to_string();
            observer.observe(&Event::CheckpointNotRemoved { message: &message });
        }
        Ok(Saved::At(path))
    }

    fn interrupted(&self, saved: Saved, steps: usize) -> TrainingError {
        let last = || self.folder.as_ref()?.last();
        let (checkpoint, unsaved) = match saved {
            Saved::NotWanted => (None, None),
            Saved::At(path) => (Some(path), None),
            Saved::Failed(error) => (last(), Some(Box::new(error))),
        };
        TrainingError::Interrupted {
            epochs: self.progress.epoch(),
            step: self.progress.step,
            steps,
            checkpoint,
            unsaved,
        }
    }
}

/// What became of a checkpoint.
enum Saved {
    NotWanted,
    At(PathBuf),
    Failed(CheckpointError),
}

/// An observer that may panic: it is then told nothing more, and costs no weights.
struct Guarded<'a>(Option<&'a mut dyn Observer>);

impl Guarded<'_> {
    fn observe(&mut self, event: &Event<'_>) {
        if let Some(observer) = &mut self.0
            && catch_unwind(AssertUnwindSafe(|| observer.observe(event))).is_err()
        {
            self.0 = None;
        }
    }
}

fn device_error(error: WeightsError) -> TrainingError {
    TrainingError::Device {
        message: error.to_string(),
    }
}

/// The losses of an epoch; those of the last few steps are still on the device.
struct Losses {
    epoch: usize,
    steps: usize,
    done: usize,
    pending: Vec<Pending>,
    weighted_sum: f64,
    images: usize,
    rate: f64,
    /// The last loss that was read.
    latest: Option<f64>,
}

struct Pending {
    loss: Tensor<1>,
    images: usize,
    rate: f64,
}

impl Losses {
    /// Those of the epoch that the run is in.
    fn new(progress: &Progress, steps: usize) -> Self {
        Self {
            epoch: progress.epoch(),
            steps,
            done: progress.step,
            pending: Vec::with_capacity(STEPS_PER_READ),
            weighted_sum: progress.weighted_loss,
            images: progress.images,
            rate: 0.0,
            latest: progress.latest_loss,
        }
    }

    /// Notes what was read.
    fn tell(&self, progress: &mut Progress) {
        progress.weighted_loss = self.weighted_sum;
        progress.images = self.images;
        progress.latest_loss = self.latest;
    }

    fn push(&mut self, loss: Tensor<1>, images: usize, rate: f64) -> Result<(), TrainingError> {
        self.pending.push(Pending { loss, images, rate });
        if self.pending.len() < STEPS_PER_READ {
            return Ok(());
        }
        self.read()
    }

    /// Reads what is pending in one transfer; the first loss that is not finite is an error.
    fn read(&mut self) -> Result<(), TrainingError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let losses = self
            .pending
            .iter()
            .map(|pending| pending.loss.clone())
            .collect();
        let losses = to_vec::<f32>(Tensor::cat(losses, 0).try_into_data_as::<f32>())?;
        for (pending, loss) in self.pending.drain(..).zip(losses) {
            let loss = f64::from(loss);
            self.done += 1;
            if !loss.is_finite() {
                return Err(TrainingError::NonFiniteLoss {
                    epoch: self.epoch + 1,
                    step: self.done,
                    steps: self.steps,
                    loss,
                    learning_rate: pending.rate,
                });
            }
            self.weighted_sum += loss * pending.images as f64;
            self.images += pending.images;
            self.rate = pending.rate;
            self.latest = Some(loss);
        }
        Ok(())
    }

    /// Mean loss over the images, and the last learning rate.
    fn finish(&mut self) -> Result<(f64, f64), TrainingError> {
        self.read()?;
        Ok((self.weighted_sum / self.images.max(1) as f64, self.rate))
    }
}

/// Whether the network can take these images and has a logit for each of their classes.
pub(crate) fn check_fit(
    network: &LeNetConfig,
    dataset: &ImageDataset,
) -> Result<(), TrainingError> {
    let name = || dataset.name().to_owned();
    if dataset.is_empty() {
        return Err(TrainingError::NoImages { dataset: name() });
    }
    let [height, width] = network.image_size;
    let expected = [network.in_channels, height, width];
    let [found_height, found_width] = dataset.image_size();
    if expected != [1, found_height, found_width] {
        return Err(InputError {
            expected,
            found: [dataset.len(), 1, found_height, found_width],
        }
        .into());
    }
    match dataset.class_names().len() {
        found if found > network.classes => Err(TrainingError::Classes {
            dataset: name(),
            expected: network.classes,
            found,
        }),
        _ => Ok(()),
    }
}
