//! Who is told how training goes: a terminal, a pipe, a file, or nobody.

mod json_lines;
mod progress_bar;
mod text_lines;

use std::path::Path;

use lenet_core::LeNetConfig;
use lenet_data::ImageDataset;
use serde::Serialize;

use crate::{EpochMetrics, Evaluation, TrainingConfig};

pub use json_lines::JsonLines;
pub use progress_bar::ProgressBar;
pub use text_lines::TextLines;

/// Something that happened in a run.
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
        /// Name of the data set.
        dataset: &'a str,
        /// Whether the images are drawings of the project.
        synthetic: bool,
        /// Images to train on.
        images: usize,
        /// Steps of an epoch.
        steps: usize,
        /// Version of this crate.
        version: &'static str,
    },
    /// The run goes on from a checkpoint.
    Resumed {
        /// The file.
        checkpoint: &'a Path,
        /// Steps done in the epoch after those that are done.
        step: usize,
        /// Steps of an epoch.
        steps: usize,
        /// The epochs that are done.
        epochs: &'a [EpochMetrics],
        /// Seconds that the run has taken so far: epochs, the unfinished one too, and evaluations, but not
        /// the time since it was stopped.
        seconds: f64,
    },
    /// A step is done.
    Step {
        /// The epoch, from 1.
        epoch: usize,
        /// The step in the epoch, from 1.
        step: usize,
        /// Steps of an epoch.
        steps: usize,
        /// The last loss that was read back in this epoch: up to 50 steps old.
        loss: Option<f64>,
    },
    /// An epoch is done.
    Epoch {
        /// What it gave.
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
    /// A checkpoint could not be written; the training goes on.
    CheckpointFailed {
        /// Why not.
        message: &'a str,
    },
    /// An old checkpoint, one more than are to be kept, could not be removed; the next one tries again.
    CheckpointNotRemoved {
        /// Why not.
        message: &'a str,
    },
    /// Training is done.
    Finished,
    /// The network was judged; sent by whoever judged it.
    Evaluated {
        /// What it was judged by, as `test`.
        split: &'a str,
        /// The result.
        #[serde(flatten)]
        evaluation: &'a Evaluation,
    },
}

impl<'a> Event<'a> {
    pub(crate) fn started(
        network: &'a LeNetConfig,
        training: &'a TrainingConfig,
        dataset: &'a ImageDataset,
        steps: usize,
    ) -> Self {
        Self::Started {
            network,
            training,
            dataset: dataset.name(),
            synthetic: dataset.is_synthetic(),
            images: dataset.len(),
            steps,
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

/// Told of every [`Event`] of a run.
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
    /// Takes note of an event. It must not fail: what goes wrong here must not cost the training.
    fn observe(&mut self, event: &Event<'_>);
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn observe(&mut self, _event: &Event<'_>) {}
}

/// Two observers as one.
impl<A: Observer, B: Observer> Observer for (A, B) {
    fn observe(&mut self, event: &Event<'_>) {
        self.0.observe(event);
        self.1.observe(event);
    }
}

impl<T: Observer + ?Sized> Observer for &mut T {
    fn observe(&mut self, event: &Event<'_>) {
        (**self).observe(event);
    }
}

impl<T: Observer + ?Sized> Observer for Box<T> {
    fn observe(&mut self, event: &Event<'_>) {
        (**self).observe(event);
    }
}
