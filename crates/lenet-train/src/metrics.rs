//! What training reports about each epoch.

use serde::{Deserialize, Serialize};

/// The numbers of one epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EpochMetrics {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Mean training loss over the images of the epoch, in nats.
    pub mean_loss: f64,
    /// Training loss of the last batch: the value that the notebook of *Dive into Deep Learning* plots.
    pub last_batch_loss: f64,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Seconds spent training, without validation.
    pub seconds: f64,
    /// Accuracy on the validation set after the epoch, from 0 to 1; `None` without a validation set.
    pub validation_accuracy: Option<f64>,
    /// Mean loss on the validation set after the epoch; `None` without a validation set.
    pub validation_loss: Option<f64>,
}
