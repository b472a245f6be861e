#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
//!
//! # Map of the crate
//!
//! | to do this | use |
//! |---|---|
//! | train a network | [`Trainer`], [`TrainingConfig`], [`Schedule`] |
//! | write checkpoints and resume | [`Checkpoints`], [`Interval`] |
//! | evaluate a network | [`evaluate`], [`evaluate_with_stop`], [`Evaluation`], [`ConfusionMatrix`] |
//! | follow the progress | [`Observer`] and the implementations in [`observer`] |
//! | compare several networks or recipes | [`sweep`] |
//! | write your own training loop | [`cross_entropy`] |

mod checkpoint;
mod config;
mod confusion;
mod dataset;
mod differences;
mod error;
mod evaluation;
mod metrics;
pub mod observer;
mod pool;
mod remote;
pub mod sweep;
mod training;

pub use checkpoint::{CheckpointError, Checkpoints, Interval, IntervalError};
pub use config::{Schedule, TrainingConfig};
pub use confusion::ConfusionMatrix;
pub use error::{TrainingConfigError, TrainingError};
pub use evaluation::{Evaluation, evaluate, evaluate_with_stop};
pub use lenet_core::cross_entropy;
pub use metrics::EpochMetrics;
pub use observer::{Event, Observer};
pub use training::{Trainer, TrainingRun};

/// Entry points of the fuzz targets.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    /// Whether these bytes are a checkpoint of the run that `run` describes.
    pub fn is_checkpoint(bytes: &[u8], run: &serde_json::Value) -> bool {
        crate::checkpoint::parse(bytes, run).is_ok()
    }

    /// The number of trials in a results file of this sweep on these images.
    pub fn finished_trials(
        path: &std::path::Path,
        sweep: &crate::sweep::Sweep,
        images: &lenet_data::ImageDataset,
    ) -> Option<usize> {
        crate::sweep::finished_trials(path, sweep, images).ok()
    }
}
