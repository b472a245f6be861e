#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
//!
//! # Map of the crate
//!
//! | to do this | use |
//! |---|---|
//! | train a network | [`train()`], [`TrainingConfig`], [`Schedule`] |
//! | leave checkpoints, resume, stop | [`Trainer`], [`Checkpoints`] |
//! | judge it | [`evaluate`], [`Evaluation`], [`ConfusionMatrix`] |
//! | watch it | [`Observer`] and its implementations in [`observer`] |
//! | compare many trainings | [`sweep`] |
//! | print numbers | [`Table`] |
//! | write your own loop | [`cross_entropy`] |

mod checkpoint;
mod config;
mod confusion;
mod dataset_identity;
mod differences;
mod error;
mod evaluation;
mod loss;
pub mod observer;
mod pool;
mod sgd;
pub mod sweep;
mod table;
mod training;

pub use checkpoint::{CheckpointError, Checkpoints, Interval, IntervalError};
pub use config::{Schedule, TrainingConfig};
pub use confusion::ConfusionMatrix;
pub use error::{TrainingConfigError, TrainingError};
pub use evaluation::{Evaluation, evaluate};
pub use lenet_core::cross_entropy;
pub use observer::{Event, Observer};
pub use table::Table;
pub use training::{EpochMetrics, Trainer, TrainingRun, train};

/// What fuzz targets look at and users do not.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    /// Whether these bytes are a checkpoint of the run that `metadata` describes.
    pub fn is_checkpoint(bytes: &[u8], run: &serde_json::Value) -> bool {
        crate::checkpoint::parse(bytes, run).is_ok()
    }

    /// The number of finished trials in a file of results of this sweep on these images.
    pub fn finished_trials(
        path: &std::path::Path,
        sweep: &crate::sweep::Sweep,
        images: &lenet_data::ImageDataset,
    ) -> Option<usize> {
        crate::sweep::finished_trials(path, sweep, images).ok()
    }
}
