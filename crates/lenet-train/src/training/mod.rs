//! Training one network.
//!
//! [`trainer`] is the public interface, [`run`] the loop, [`losses`] the bookkeeping of the unfinished epoch and
//! [`sgd`] the optimiser. Checkpoint files are in [`checkpoint`](crate::checkpoint).

mod losses;
mod run;
mod sgd;
mod trainer;

pub use trainer::{Trainer, TrainingRun};
