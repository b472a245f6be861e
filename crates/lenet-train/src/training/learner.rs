//! The network of a run where it trains. Each kind of device has its own: `composed.rs` and `gpu.rs`.

use lenet_core::{LeNet, NamedTensor};
use lenet_data::ImageDataset;

use crate::pool::Helpers;
use crate::{Evaluation, TrainingError};

/// A network in training, with everything that a step changes.
pub(super) trait Learner {
    /// Prepares the steps of an epoch (from 0), from this one on.
    fn start_epoch(&mut self, epoch: usize, step: usize) -> Result<(), TrainingError>;

    /// Makes the next step of the epoch at a learning rate; returns the number of its images. Its loss may still be
    /// on the device afterwards.
    fn step(&mut self, rate: f64, helpers: &Helpers) -> Result<usize, TrainingError>;

    /// The losses of the steps since they were last read, in one transfer.
    fn read_losses(&mut self) -> Result<Vec<f32>, TrainingError>;

    /// The network as it is now, without autodiff.
    fn network(&self) -> Result<LeNet, TrainingError>;

    /// Evaluates the network as it is now; `None` if it cannot do so better than [`evaluate`](crate::evaluate).
    fn evaluate(&self, dataset: &ImageDataset) -> Result<Option<Evaluation>, TrainingError>;

    /// The velocities under the names of their parameters; empty without momentum, and before the first step.
    fn velocity(&self) -> Result<Vec<NamedTensor>, TrainingError>;
}
