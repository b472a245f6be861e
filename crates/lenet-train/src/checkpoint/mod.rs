//! Checkpoints: everything that a run needs to continue as if it had never been stopped.
//!
//! A checkpoint is one safetensors file named `checkpoint-` and the number of completed steps. It holds the
//! weights under PyTorch's names, the velocities under the same names with the prefix `velocity.`, the metrics
//! and the seconds of the run in float64, and a description of the run as JSON in its metadata.
//!
//! [`format`](mod@format) turns a checkpoint into bytes and back, [`folder`] keeps the files, [`identity`]
//! decides to which run a file belongs. The training loop is in [`training`](crate::training).

mod error;
mod folder;
mod format;
mod identity;
mod interval;

use std::path::PathBuf;

use lenet_core::NamedTensor;

use crate::EpochMetrics;

pub use error::CheckpointError;
pub(crate) use folder::{CheckpointFolder, files};
#[cfg(fuzzing)]
pub(crate) use format::parse;
pub(crate) use identity::RunIdentity;
pub use interval::{Interval, IntervalError};

/// Where and how often a run writes checkpoints.
///
/// ```
/// use lenet_train::{Checkpoints, Interval};
///
/// let checkpoints = Checkpoints::new("out/lenet/checkpoints")
///     .with_interval(Interval::Steps(500))
///     .with_kept(2)
///     .with_resume(true);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoints {
    folder: PathBuf,
    interval: Interval,
    kept: usize,
    resume: bool,
}

impl Checkpoints {
    /// Writes a checkpoint after every epoch and keeps the last three. A folder that already holds checkpoints
    /// is refused unless [resuming](Self::with_resume).
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            interval: Interval::Epochs(1),
            kept: 3,
            resume: false,
        }
    }

    /// Sets how often a checkpoint is written; 0 counts as 1. The end of a run always gets one.
    #[must_use]
    pub fn with_interval(mut self, interval: Interval) -> Self {
        self.interval = match interval {
            Interval::Epochs(count) => Interval::Epochs(count.max(1)),
            Interval::Steps(count) => Interval::Steps(count.max(1)),
        };
        self
    }

    /// Sets how many of the latest checkpoints are kept; 0 counts as 1.
    #[must_use]
    pub fn with_kept(mut self, kept: usize) -> Self {
        self.kept = kept.max(1);
        self
    }

    /// Sets whether to resume from the last checkpoint in the folder. If there is none, the run starts from the
    /// beginning.
    #[must_use]
    pub fn with_resume(mut self, resume: bool) -> Self {
        self.resume = resume;
        self
    }
}

/// The position of a run, without the weights.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Progress {
    /// The completed epochs.
    pub(crate) epochs: Vec<EpochMetrics>,
    /// The unfinished epoch after them.
    pub(crate) partial: PartialEpoch,
    /// Seconds of the run so far, including validation, but not the time between a stop and the next start.
    pub(crate) total_seconds: f64,
}

/// The completed part of an epoch.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PartialEpoch {
    /// Completed steps.
    pub(crate) step: usize,
    /// Sum of their losses, each multiplied by the number of its images.
    pub(crate) weighted_loss: f64,
    /// Number of their images.
    pub(crate) images: usize,
    /// Loss of the last of them.
    pub(crate) latest_loss: Option<f64>,
    /// Seconds they took.
    pub(crate) seconds: f64,
}

/// A checkpoint that was read from a file.
pub(crate) struct Checkpoint {
    pub(crate) progress: Progress,
    pub(crate) weights: Vec<NamedTensor>,
    /// Empty without momentum.
    pub(crate) velocity: Vec<NamedTensor>,
    pub(crate) path: PathBuf,
}
