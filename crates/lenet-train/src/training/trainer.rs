//! The builder that users call. The loop is in `run.rs`.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;
use lenet_core::{LeNet, LeNetConfig};
use lenet_data::ImageDataset;

use super::composed::Composed;
use super::ensembles::Ensembles;
#[cfg(feature = "gpu")]
use super::gpu::{self, Gpu};
use super::learner::Learner;
use super::run::Run;
use crate::checkpoint::{Checkpoint, CheckpointFolder, RunIdentity};
use crate::dataset::check_fit;
use crate::observer::Guard;
use crate::pool::{self, Helpers};
use crate::{CheckpointError, Checkpoints, EpochMetrics, Observer, TrainingConfig, TrainingError};

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
    ensembles: Option<&'a Ensembles>,
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
            ensembles: None,
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

    /// On a GPU, trains side by side with the other runs of these ensembles.
    pub(crate) fn with_ensembles(mut self, ensembles: &'a Ensembles) -> Self {
        self.ensembles = Some(ensembles);
        self
    }

    /// Trains from the seed, or from the last checkpoint, to the end.
    ///
    /// A panic in the observer silences the observer. A checkpoint that cannot be written is reported to the
    /// observer. Training continues in both cases.
    ///
    /// # Threads
    ///
    /// On a GPU, a run has one thread; in a sweep, it also waits for the runs that train in the same launches.
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
        let resumed = checkpoint
            .as_ref()
            .map(|checkpoint| checkpoint.path.clone());
        let progress = checkpoint
            .as_ref()
            .map(|checkpoint| checkpoint.progress.clone());
        let start_from = |lenet: LeNet| restore(lenet, checkpoint, self.config);
        let learner = self.learner(train, device, start_from)?;
        let progress = progress.unwrap_or_default();
        let mut run = Run::new(self, train, learner, folder, progress, start);
        run.report_start(resumed.as_deref());
        while !run.is_complete() {
            run.train_epoch(device, helpers)?;
        }
        run.finish()
    }

    /// The network on the device, with the state that `start_from` gives it.
    fn learner<'d>(
        &self,
        train: &'d ImageDataset,
        device: &Device,
        start_from: impl FnOnce(LeNet) -> Result<(LeNet, Option<LeNet>), CheckpointError>,
    ) -> Result<Box<dyn Learner + 'd>, TrainingError>
    where
        'a: 'd,
    {
        #[cfg(feature = "gpu")]
        {
            let place = gpu::reserve(self.network, self.config, train, device, self.ensembles)?;
            if let Some(place) = place {
                let device = device.clone().without_autodiff();
                let lenet = self.network.init(&device, self.config.seed)?;
                let (lenet, velocity) = start_from(lenet)?;
                let gpu = Gpu::new(self.config, train, device, lenet, velocity.as_ref(), place)?;
                return Ok(Box::new(gpu));
            }
        }
        let device = device.clone().autodiff();
        let lenet = self.network.init(&device, self.config.seed)?;
        let (lenet, velocity) = start_from(lenet)?;
        let learner = Composed::new(self.config, train, device, lenet, velocity);
        Ok(Box::new(learner))
    }
}

/// The network of a checkpoint, if there is one, and its velocity.
fn restore(
    lenet: LeNet,
    checkpoint: Option<Checkpoint>,
    config: &TrainingConfig,
) -> Result<(LeNet, Option<LeNet>), CheckpointError> {
    let Some(checkpoint) = checkpoint else {
        return Ok((lenet, None));
    };
    let refused = |source| CheckpointError::Weights {
        path: checkpoint.path.clone(),
        source,
    };
    let velocity = match config.momentum > 0.0 {
        true => Some(
            lenet
                .valid()
                .load_state_dict(checkpoint.velocity)
                .map_err(refused)?,
        ),
        false => None,
    };
    let lenet = lenet.load_state_dict(checkpoint.weights).map_err(refused)?;
    Ok((lenet, velocity))
}
