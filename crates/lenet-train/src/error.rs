use std::path::{Path, PathBuf};

use lenet_core::{ConfigError, InputError};
use lenet_data::DataError;
use thiserror::Error;

use crate::{CheckpointError, Schedule};

/// A value in a [`TrainingConfig`](crate::TrainingConfig) that no training can use.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum TrainingConfigError {
    /// A count that must be at least 1.
    #[error("{what} is 0: it must be at least 1")]
    Zero {
        /// The field.
        what: &'static str,
    },
    /// A number outside its range.
    #[error("{what} is {found}: it must be {expected}")]
    Value {
        /// The field.
        what: &'static str,
        /// The value given.
        found: f64,
        /// The range.
        expected: &'static str,
    },
    /// A schedule with a number outside its range.
    #[error("{found:?}: rates must be finite and at least 0, factors above 0, epochs at least 1")]
    Schedule {
        /// The schedule given.
        found: Schedule,
    },
}

/// Why training or evaluation ended without a result.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrainingError {
    /// The training configuration is unusable.
    #[error(transparent)]
    Config(#[from] TrainingConfigError),
    /// The network is impossible.
    #[error(transparent)]
    Network(#[from] ConfigError),
    /// The images do not fit the network.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The data set gives no batches.
    #[error(transparent)]
    Data(#[from] DataError),
    /// There is nothing to train on or to judge by.
    #[error("the data set '{dataset}' has no images")]
    NoImages {
        /// Its name.
        dataset: String,
    },
    /// The data set has classes that the network has no logits for.
    #[error("the data set '{dataset}' has {found} classes, the network {expected}")]
    Classes {
        /// The data set's name.
        dataset: String,
        /// Classes of the network.
        expected: usize,
        /// Classes of the data set.
        found: usize,
    },
    /// The loss became infinite or not a number.
    #[error(
        "the loss became {loss} in epoch {epoch}, step {step} of {steps}, at learning rate {learning_rate}: \
         training diverged; try a smaller learning rate"
    )]
    NonFiniteLoss {
        /// Epoch, from 1.
        epoch: usize,
        /// Step in the epoch, from 1.
        step: usize,
        /// Steps of an epoch.
        steps: usize,
        /// The loss.
        loss: f64,
        /// Learning rate of the step.
        learning_rate: f64,
    },
    /// A weight became infinite or not a number.
    #[error(
        "the weight {name} became {found} in epoch {epoch}, step {step} of {steps}, at learning rate \
         {learning_rate}: training diverged; try a smaller learning rate"
    )]
    NonFiniteWeight {
        /// Epoch, from 1.
        epoch: usize,
        /// Step in the epoch, from 1.
        step: usize,
        /// Steps of an epoch.
        steps: usize,
        /// Key of the tensor.
        name: String,
        /// The value.
        found: f32,
        /// Learning rate of the step.
        learning_rate: f64,
    },
    /// The network gives no probabilities for some images.
    #[error(
        "the network's output for {found} of {images} images of '{dataset}' is infinite or not a number: its \
         weights are too large; train with a smaller learning rate"
    )]
    NonFiniteOutput {
        /// The data set's name.
        dataset: String,
        /// Its images.
        images: usize,
        /// Those without a finite output.
        found: usize,
    },
    /// The folder of checkpoints cannot be used, or its last checkpoint not be resumed from.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The run was stopped before its end.
    #[error(
        "stopped after {epochs} epochs and {step} of {steps} steps: {}",
        what_is_saved(checkpoint.as_deref(), unsaved.as_deref())
    )]
    Interrupted {
        /// Epochs that were done.
        epochs: usize,
        /// Steps done in the next one.
        step: usize,
        /// Steps of an epoch.
        steps: usize,
        /// The last checkpoint in the folder, to resume from.
        checkpoint: Option<PathBuf>,
        /// Why there is no checkpoint of where the run was stopped, if there should be one.
        unsaved: Option<Box<CheckpointError>>,
    },
    /// The device failed.
    #[error("the device failed: {message}")]
    Device {
        /// What the device said.
        message: String,
    },
}

impl TrainingError {
    /// Whether a checkpoint itself was refused, as [`CheckpointError::is_refusal`] says: the run fails in
    /// the same way until that is removed. After any other error the checkpoints are worth keeping.
    ///
    /// ```
    /// use lenet_train::{CheckpointError, TrainingError};
    ///
    /// let path = "checkpoints/checkpoint-000000012.safetensors".into();
    /// let damaged = CheckpointError::Format { path, reason: "it is empty".to_owned() };
    /// assert!(TrainingError::from(damaged).is_refused_checkpoint());
    /// ```
    pub fn is_refused_checkpoint(&self) -> bool {
        matches!(self, Self::Checkpoint(error) if error.is_refusal())
    }
}

/// What a stopped run left on disk, and what it did not.
fn what_is_saved(checkpoint: Option<&Path>, unsaved: Option<&CheckpointError>) -> String {
    match (checkpoint.map(Path::display), unsaved) {
        (Some(path), None) => format!("resume from {path}"),
        (None, None) => "nothing was saved, as no checkpoints were asked for".to_owned(),
        (Some(path), Some(error)) => {
            format!("this could not be saved ({error}); resume from the last checkpoint, {path}")
        }
        (None, Some(error)) => {
            format!("this could not be saved ({error}), and no earlier checkpoint was found")
        }
    }
}
