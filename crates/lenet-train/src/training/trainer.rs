//! The builder that users call. The loop is in `run.rs`.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use burn::tensor::Device;
use lenet_core::{LeNet, LeNetConfig};
use lenet_data::ImageDataset;

use super::run::Run;
use crate::checkpoint::{CheckpointFolder, RunIdentity};
use crate::dataset::check_fit;
use crate::observer::Guard;
use crate::pool::{self, Helpers};
use crate::{Checkpoints, EpochMetrics, Observer, TrainingConfig, TrainingError};

/// A trained network and the history of its training.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TrainingRun {
    /// The network after the last epoch, without autodiff.
    pub lenet: LeNet,
    /// One entry per epoch.
    pub epochs: Vec<EpochMetrics>,
}

/// Trains one network.
///
/// ```
/// use burn::tensor::Device;
/// use lenet_core::LeNetConfig;
/// use lenet_data::synthetic;
/// use lenet_train::{Checkpoints, Trainer, TrainingConfig};
///
/// let folder = tempfile::tempdir()?;
/// let garments = synthetic::garments(256, 0);
/// let (network, config) = (LeNetConfig::modern(10), TrainingConfig::default().with_epochs(2));
/// let fit = || {
///     let checkpoints = Checkpoints::new(folder.path()).with_resume(true);
///     Trainer::new(&network, &config).with_checkpoints(checkpoints).fit(&garments, &Device::flex())
/// };
/// let run = fit()?;
///
/// // A killed run would resume here. This one is complete, so its result is read from the last checkpoint.
/// let again = fit()?;
/// assert_eq!(again.lenet.state_dict()?, run.lenet.state_dict()?);
/// assert_eq!(again.epochs, run.epochs);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Trainer<'a> {
    pub(super) network: &'a LeNetConfig,
    pub(super) config: &'a TrainingConfig,
    pub(super) validation: Option<&'a ImageDataset>,
    pub(super) observer: Guard<'a>,
    pub(super) stop: Option<&'a AtomicBool>,
    checkpoints: Option<Checkpoints>,
}

impl<'a> Trainer<'a> {
    /// Trains this network with this recipe.
    pub fn new(network: &'a LeNetConfig, config: &'a TrainingConfig) -> Self {
        Self {
            network,
            config,
            validation: None,
            observer: Guard(None),
            stop: None,
            checkpoints: None,
        }
    }

    /// Sets the images on which the network is validated after every epoch. It is never trained on them. Keep
    /// the test set out of the loop: [`evaluate`](crate::evaluate) the result on it, once.
    #[must_use]
    pub fn with_validation(mut self, validation: &'a ImageDataset) -> Self {
        self.validation = Some(validation);
        self
    }

    /// Sets the observer of the run; without one, training is silent.
    #[must_use]
    pub fn with_observer(mut self, observer: &'a mut dyn Observer) -> Self {
        self.observer = Guard(Some(observer));
        self
    }

    /// Writes checkpoints during training, and resumes from them if they say so.
    #[must_use]
    pub fn with_checkpoints(mut self, checkpoints: Checkpoints) -> Self {
        self.checkpoints = Some(checkpoints);
        self
    }

    /// Stops after the current step once this flag is true, and writes a checkpoint if there are any. The
    /// result is then [`TrainingError::Interrupted`], even if the checkpoint cannot be written.
    #[must_use]
    pub fn with_stop(mut self, stop: &'a AtomicBool) -> Self {
        self.stop = Some(stop);
        self
    }

    /// Trains from the seed, or from the last checkpoint, to the end.
    ///
    /// A panic in the observer silences the observer. A checkpoint that cannot be written is reported to the
    /// observer. Training continues in both cases.
    ///
    /// # Threads
    ///
    /// On Flex, each run has its own threads: as many as the current rayon pool has, or an even share once the
    /// runs of the program have two per core. The observer is called on one of them. Observer and stop flag
    /// are served at every step, whatever else the program trains.
    ///
    /// The calling thread waits. If it belongs to a rayon pool, it executes other jobs of that pool in the
    /// meantime, and `fit` returns only when they are complete too. Where that matters, call it from a thread
    /// outside rayon, such as one of [`std::thread::scope`]. In a pool of one thread, the run uses that thread
    /// and other jobs wait until it ends.
    ///
    /// # Errors
    ///
    /// [`TrainingError`] before the first step if the configurations and the data do not fit together, or the
    /// checkpoints belong to another run; later if the loss or a weight becomes infinite or NaN, if the run is
    /// stopped, or if the device fails.
    pub fn fit(self, train: &ImageDataset, device: &Device) -> Result<TrainingRun, TrainingError> {
        pool::run(device, |helpers| self.fit_with(train, device, helpers))
    }

    fn fit_with(
        mut self,
        train: &ImageDataset,
        device: &Device,
        helpers: &Helpers,
    ) -> Result<TrainingRun, TrainingError> {
        let start = Instant::now();
        self.config.validate()?;
        for dataset in [Some(train), self.validation].into_iter().flatten() {
            check_fit(self.network, dataset)?;
        }
        let (folder, checkpoint) = match self.checkpoints.take() {
            Some(checkpoints) => {
                let identity = RunIdentity::new(self.network, self.config, train, self.validation);
                let (folder, checkpoint) = CheckpointFolder::open(checkpoints, identity)?;
                (Some(folder), checkpoint)
            }
            None => (None, None),
        };
        let device = device.clone().autodiff();
        let mut lenet = self.network.init(&device, self.config.seed)?;
        let mut run = Run::new(self, train, folder, start);
        let resumed = match checkpoint {
            Some(checkpoint) => {
                let path = checkpoint.path.clone();
                lenet = run.resume(lenet, checkpoint)?;
                Some(path)
            }
            None => None,
        };
        run.report_start(resumed.as_deref());
        while !run.is_complete() {
            lenet = run.train_epoch(lenet, &device, helpers)?;
        }
        Ok(run.finish(lenet))
    }
}
