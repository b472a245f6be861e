//! What a lost server does to a run: burn returns errors or panics, and never reconnects.

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::tensor::Device;
use lenet_core::device_kind;

use crate::TrainingError;
use crate::error::{chain, panic_message};

/// Runs `work`. On a remote device, a panic and any other failure of the device are [`TrainingError::RemoteLost`].
/// Elsewhere a panic stays one: a mistake in the code must not pass for a device that failed.
pub(crate) fn catch_loss<R>(
    device: &Device,
    work: impl FnOnce() -> Result<R, TrainingError>,
) -> Result<R, TrainingError> {
    if device_kind(device) != "remote" {
        return work();
    }
    let message = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Err(TrainingError::Device { source })) => chain(&*source),
        Ok(result) => return result,
        Err(panic) => panic_message(panic.as_ref()).to_owned(),
    };
    // burn's messages have several lines; this one becomes part of a sentence and of a row.
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    Err(TrainingError::RemoteLost { message })
}
