//! Training one network.
//!
//! [`trainer`] is the public interface, [`run`] the loop and [`losses`] the bookkeeping of the unfinished epoch.
//! [`learner`] is the network on its device: [`composed`] with burn's autodiff and the optimiser in [`sgd`], or `gpu`
//! with the kernels of `lenet-cubecl`, where the trials of a sweep form a `group`.
//! Checkpoint files are in [`checkpoint`](crate::checkpoint).

mod composed;
mod ensembles;
#[cfg(feature = "gpu")]
mod gpu;
#[cfg(feature = "gpu")]
mod group;
mod learner;
mod losses;
mod run;
mod sgd;
mod trainer;
#[cfg(feature = "gpu")]
mod uploads;

pub(crate) use ensembles::Ensembles;
#[cfg(feature = "gpu")]
pub(crate) use gpu::predict;
pub use trainer::{Trainer, TrainingRun};
