//! What the exercises share: the command line, the data, training, comparing, and their files.

#![allow(dead_code, unused_imports, reason = "each example uses a part of it")]

/// Prints a line. A reader that went away, such as `head` behind a pipe, ends no run.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}

pub(crate) mod args;
mod best;
mod datasets;
pub(crate) mod exercise;
mod interrupt;
pub(crate) mod machine;
pub(crate) mod network;
mod single;
mod sweep;

use std::process::ExitCode;

use lenet::train::TrainingError;
use lenet::train::sweep::SweepError;

pub(crate) use say;

pub(crate) use exercise::{Exercise, Session};
pub(crate) use single::{console, train_one};
pub(crate) use sweep::compare;

/// Runs an exercise; an error is printed and becomes exit code 1.
pub(crate) fn exit_code(exercise: impl FnOnce() -> anyhow::Result<()>) -> ExitCode {
    match exercise() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(hint) = interruption(&error) {
                eprintln!("{}\n{hint}", with_causes(&error));
                return ExitCode::from(interrupt::EXIT_CODE);
            }
            eprintln!("error: {}", with_causes(&error));
            ExitCode::FAILURE
        }
    }
}

/// How to go on, if this is the end of a run that Ctrl-C asked for.
fn interruption(error: &anyhow::Error) -> Option<String> {
    let command = exercise::command_line();
    let more = |flag: &str| match command.contains(flag) {
        true => command.clone(),
        false if command.contains(" -- ") => format!("{command} {flag}"),
        false => format!("{command} -- {flag}"),
    };
    match (error.downcast_ref(), error.downcast_ref()) {
        (
            Some(TrainingError::Interrupted {
                checkpoint: None,
                unsaved: Some(_),
                ..
            }),
            _,
        ) => Some(format!("to run it again:   {command}")),
        (Some(TrainingError::Interrupted { checkpoint, .. }), _) => Some(match checkpoint {
            Some(_) => format!("to go on:          {}", more("--resume")),
            None => format!("to be able to:     {}", more("--checkpoint-every 1")),
        }),
        (_, Some(SweepError::Interrupted { .. })) => Some(format!("to go on:          {command}")),
        _ if error.is::<interrupt::Interrupted>() => Some(format!("to run it again:   {command}")),
        _ => None,
    }
}

/// The error and its causes in one line; a cause that is told already is not told again.
fn with_causes(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |told, cause| {
        let cause = cause.to_string();
        match told.is_empty() {
            true => cause,
            false if told.contains(&cause) => told,
            false => format!("{told}: {cause}"),
        }
    })
}

/// Writes a file that is there whole or not at all; an older one stays until then.
pub(crate) fn write_whole(path: &std::path::Path, bytes: &[u8]) -> anyhow::Result<()> {
    use anyhow::Context;
    let written = lenet::core::write_file(path, bytes);
    written.with_context(|| format!("writing {}", path.display()))
}
