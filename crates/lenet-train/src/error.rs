//! Errors of training and evaluation. Those of checkpoints and sweeps are in their own modules.

use std::any::Any;
use std::error::Error as StdError;
use std::path::{Path, PathBuf};

use lenet_core::{ConfigError, InputError, ReadBackError};
use lenet_data::DataError;
use thiserror::Error;

use crate::{CheckpointError, Schedule};

/// An invalid value in a [`TrainingConfig`](crate::TrainingConfig).
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
    /// A schedule with a value outside its range.
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
    /// The training configuration is invalid.
    #[error(transparent)]
    Config(#[from] TrainingConfigError),
    /// The network configuration is invalid.
    #[error(transparent)]
    Network(#[from] ConfigError),
    /// The images do not fit the network.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The data set cannot be divided into batches.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A data set is empty.
    #[error("the data set '{dataset}' has no images")]
    NoImages {
        /// Its name.
        dataset: String,
    },
    /// The data set has more classes than the network has logits.
    #[error("the data set '{dataset}' has {found} classes, the network {expected}")]
    Classes {
        /// The data set's name.
        dataset: String,
        /// Classes of the network.
        expected: usize,
        /// Classes of the data set.
        found: usize,
    },
    /// The loss became infinite or NaN.
    #[error(
        "the loss became {loss} in epoch {epoch}, step {step} of {steps}, at learning rate {learning_rate}: \
         training diverged; try a smaller learning rate"
    )]
    NonFiniteLoss {
        /// Epoch, from 1.
        epoch: usize,
        /// Step in the epoch, from 1.
        step: usize,
        /// Steps per epoch.
        steps: usize,
        /// The loss.
        loss: f64,
        /// Learning rate of the step.
        learning_rate: f64,
    },
    /// A weight became infinite or NaN.
    #[error(
        "the weight {name} became {found} in epoch {epoch}, step {step} of {steps}, at learning rate \
         {learning_rate}: training diverged; try a smaller learning rate"
    )]
    NonFiniteWeight {
        /// Epoch, from 1.
        epoch: usize,
        /// Step in the epoch, from 1.
        step: usize,
        /// Steps per epoch.
        steps: usize,
        /// Key of the tensor.
        name: String,
        /// The value.
        found: f32,
        /// Learning rate of the step.
        learning_rate: f64,
    },
    /// The network returns no probabilities for some images.
    #[error(
        "the network's output for {found} of {images} images of '{dataset}' is infinite or NaN: its \
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
    /// The checkpoint folder cannot be used, or the run cannot resume from its last checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The run was stopped before it was complete.
    #[error(
        "stopped after {epochs} epochs and {step} of {steps} steps: {}",
        what_is_saved(checkpoint.as_deref(), unsaved.as_deref())
    )]
    Interrupted {
        /// Completed epochs.
        epochs: usize,
        /// Completed steps of the next epoch.
        step: usize,
        /// Steps per epoch.
        steps: usize,
        /// The last checkpoint in the folder, to resume from.
        checkpoint: Option<PathBuf>,
        /// Why the checkpoint of the last step could not be written, if it should have been.
        unsaved: Option<Box<CheckpointError>>,
    },
    /// The device failed.
    #[error("the device failed")]
    Device {
        /// The error of the device.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The server of a remote device is gone, or failed. Burn does not reconnect, so the program must be started again.
    #[error(
        "the remote device failed, and burn does not reconnect: see that its server runs, then run the same command \
         again ({message})"
    )]
    RemoteLost {
        /// What burn says.
        message: String,
    },
    /// The threads that compute could not be started.
    #[error("cannot start threads")]
    Threads {
        /// The error of the operating system.
        source: Box<dyn StdError + Send + Sync>,
    },
}

impl From<ReadBackError> for TrainingError {
    fn from(error: ReadBackError) -> Self {
        Self::device(error)
    }
}

impl TrainingError {
    pub(crate) fn device(error: impl StdError + Send + Sync + 'static) -> Self {
        Self::Device {
            source: error.into(),
        }
    }

    /// Whether a checkpoint was refused, see [`CheckpointError::is_refusal`]: the run fails in the same way until
    /// that file is removed. After any other error, the checkpoints are worth keeping.
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

/// Says what a stopped run left on disk.
fn what_is_saved(checkpoint: Option<&Path>, unsaved: Option<&CheckpointError>) -> String {
    match (checkpoint.map(Path::display), unsaved) {
        (Some(path), None) => format!("resume from {path}"),
        (None, None) => "nothing was saved, because checkpoints are off".to_owned(),
        (Some(path), Some(error)) => {
            format!(
                "this could not be saved ({}); resume from the last checkpoint, {path}",
                chain(error)
            )
        }
        (None, Some(error)) => {
            format!(
                "this could not be saved ({}), and there is no earlier checkpoint",
                chain(error)
            )
        }
    }
}

/// The message of a panic.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

/// An error and its causes in one line, for messages that outlive the error.
pub(crate) fn chain(error: &dyn StdError) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}
