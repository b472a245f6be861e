//! Events of training runs and sweeps, and the observers that report them.
//!
//! Progress bars are left to applications: [`line`](fn@line) and [`RemainingTime`] provide what they display.

mod guard;
mod json_lines;
mod remaining_time;
mod text_lines;

use std::path::Path;

use lenet_core::{LeNet, LeNetConfig};
use serde::Serialize;

use crate::sweep::{PartStatus, Partition, Sweep, Trial, TrialResult};
use crate::{EpochMetrics, Evaluation, TrainingConfig, TrainingError};

pub(crate) use guard::Guard;
pub use json_lines::JsonLines;
pub use remaining_time::RemainingTime;
pub use text_lines::{TextLines, line};

/// Something that happened in a training run or in a sweep.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event<'a> {
    /// Training begins.
    Started {
        /// The network.
        network: &'a LeNetConfig,
        /// The recipe.
        training: &'a TrainingConfig,
        /// Name of the training set.
        dataset: &'a str,
        /// Whether the images are synthetic.
        synthetic: bool,
        /// Number of training images.
        images: usize,
        /// Steps per epoch.
        steps: usize,
        /// Version of this crate.
        version: &'static str,
    },
    /// The run resumes from a checkpoint.
    Resumed {
        /// The file.
        checkpoint: &'a Path,
        /// Completed steps of the unfinished epoch.
        step: usize,
        /// Steps per epoch.
        steps: usize,
        /// The completed epochs.
        epochs: &'a [EpochMetrics],
        /// Seconds that the run has taken so far, including validation and the unfinished epoch but not the
        /// time since it was stopped.
        seconds: f64,
    },
    /// A step is complete.
    Step {
        /// The epoch, from 1.
        epoch: usize,
        /// The step in the epoch, from 1.
        step: usize,
        /// Steps per epoch.
        steps: usize,
        /// The most recent loss of this epoch that was read from the device, up to 50 steps old.
        loss: Option<f64>,
    },
    /// An epoch is complete.
    Epoch {
        /// Its numbers.
        #[serde(flatten)]
        metrics: &'a EpochMetrics,
        /// Epochs of the run.
        epochs: usize,
    },
    /// A checkpoint is on disk.
    Checkpoint {
        /// The file.
        path: &'a Path,
    },
    /// A checkpoint could not be written; training continues.
    CheckpointFailed {
        /// The error and its causes.
        message: &'a str,
    },
    /// An outdated checkpoint could not be removed; the next checkpoint tries again.
    CheckpointNotRemoved {
        /// The error and its causes.
        message: &'a str,
    },
    /// Training is complete.
    Finished,
    /// A network was evaluated. Sent by the code that called [`evaluate`](crate::evaluate), not by the trainer.
    Evaluated {
        /// The images used, such as `test`.
        split: &'a str,
        /// The result.
        #[serde(flatten)]
        evaluation: &'a Evaluation,
    },
    /// The results files of a sweep in parts were read, before its missing trials are run.
    PartsRead {
        /// All parts of the sweep.
        parts: &'a [PartStatus],
    },
    /// A part of a sweep does without the results of another file; it may repeat a trial that is in it.
    ResultsIgnored {
        /// What is wrong with the file.
        message: &'a str,
    },
    /// A sweep begins.
    SweepStarted {
        /// The sweep.
        sweep: &'a Sweep,
        /// The part of the sweep that this process runs, or `None` for all of it.
        partition: Option<Partition>,
        /// Trials to run, of this part or of the sweep.
        trials: usize,
        /// Those of them that an earlier run or another process completed.
        finished: usize,
        /// Multiply-adds of the forward passes of all remaining trials.
        cost: u64,
        /// Trials that run at the same time.
        workers: usize,
    },
    /// A trial begins.
    TrialStarted {
        /// The trial.
        trial: &'a Trial<'a>,
    },
    /// Something happened in the training run of a trial.
    Trial {
        /// The trial.
        trial: &'a Trial<'a>,
        /// The event of its run.
        #[serde(rename = "of")]
        event: &'a Event<'a>,
    },
    /// A trial ended and its result is on disk.
    TrialFinished {
        /// The trial.
        trial: &'a Trial<'a>,
        /// Its result.
        result: &'a TrialResult,
        /// Trials that have ended so far, including those of earlier runs.
        finished: usize,
        /// Trials to run, of this part or of the sweep.
        trials: usize,
    },
    /// The sweep ended: it is complete, was stopped or failed.
    SweepFinished,
}

/// Receives every [`Event`] of a run or sweep, one at a time, on whichever thread it happens.
///
/// A panic ends the observation, not the training.
///
/// ```
/// use lenet_train::{Event, Observer};
///
/// struct BestLoss(f64);
///
/// impl Observer for BestLoss {
///     fn observe(&mut self, event: &Event<'_>) {
///         if let Event::Epoch { metrics, .. } = event {
///             self.0 = self.0.min(metrics.mean_loss);
///         }
///     }
/// }
/// ```
pub trait Observer: Send {
    /// Handles an event. Training waits until this returns.
    fn observe(&mut self, event: &Event<'_>);

    /// May copy the network of a training run after each step, just after [`Event::Step`]; the networks of a sweep
    /// are not shown. Training waits until this returns. By default, nothing happens.
    fn observe_network(&mut self, network: &CurrentNetwork<'_>) {
        let _ = network;
    }
}

/// The network of a run between two steps, which costs nothing unless it is copied.
pub struct CurrentNetwork<'a> {
    copy: &'a dyn Fn() -> Result<LeNet, TrainingError>,
}

impl<'a> CurrentNetwork<'a> {
    pub(crate) fn new(copy: &'a dyn Fn() -> Result<LeNet, TrainingError>) -> Self {
        Self { copy }
    }

    /// A copy of the network, on the training device and without autodiff.
    ///
    /// It shares the weights with the training where it can, so the next step copies them instead of updating them in
    /// place. On a GPU, the weights are read back, which waits for the steps so far.
    ///
    /// # Errors
    ///
    /// [`TrainingError::Device`] if the device fails.
    pub fn copy(&self) -> Result<LeNet, TrainingError> {
        (self.copy)()
    }
}

/// Passes each event to the first observer, then to the second.
impl<A: Observer, B: Observer> Observer for (A, B) {
    fn observe(&mut self, event: &Event<'_>) {
        self.0.observe(event);
        self.1.observe(event);
    }

    fn observe_network(&mut self, network: &CurrentNetwork<'_>) {
        self.0.observe_network(network);
        self.1.observe_network(network);
    }
}

impl<T: Observer + ?Sized> Observer for &mut T {
    fn observe(&mut self, event: &Event<'_>) {
        (**self).observe(event);
    }

    fn observe_network(&mut self, network: &CurrentNetwork<'_>) {
        (**self).observe_network(network);
    }
}

impl<T: Observer + ?Sized> Observer for Box<T> {
    fn observe(&mut self, event: &Event<'_>) {
        (**self).observe(event);
    }

    fn observe_network(&mut self, network: &CurrentNetwork<'_>) {
        (**self).observe_network(network);
    }
}
