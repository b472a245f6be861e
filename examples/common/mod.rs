//! What the exercises share: the command line, the data, training, comparing, and their files.

#![allow(dead_code, unused_imports, reason = "each example uses a part of it")]

pub(crate) mod args;
mod datasets;
pub(crate) mod exercise;
pub(crate) mod machine;
pub(crate) mod network;
mod single;
mod sweep;

use std::process::ExitCode;

pub(crate) use exercise::{Exercise, Session};
pub(crate) use single::train_one;
pub(crate) use sweep::compare;

/// Runs an exercise; an error is printed and becomes exit code 1.
pub(crate) fn exit_code(exercise: impl FnOnce() -> anyhow::Result<()>) -> ExitCode {
    match exercise() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
