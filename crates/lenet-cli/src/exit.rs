//! How a run ends: the exit code, and what is printed about an error.

use std::process::ExitCode;

use lenet_train::TrainingError;
use lenet_train::sweep::SweepError;

use crate::command_line::{command_line, command_line_with};
use crate::session::interrupt;

/// Runs a command. An error is printed with its causes and gives exit code 1; an interruption gives 130, or
/// 143 if it was SIGTERM.
pub(crate) fn exit_code(run: impl FnOnce() -> anyhow::Result<()>) -> ExitCode {
    let Err(error) = run() else {
        return ExitCode::SUCCESS;
    };
    if let Some(error) = error.downcast_ref::<clap::Error>() {
        error.exit();
    }
    if let Some(hint) = after_interruption(&error) {
        eprintln!("{error:#}\n{hint}");
        return ExitCode::from(interrupt::exit_code());
    }
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}

/// What to run next, if Ctrl-C ended the run.
fn after_interruption(error: &anyhow::Error) -> Option<String> {
    let again = || format!("to run it again:   {}", command_line());
    match error.downcast_ref() {
        Some(TrainingError::Interrupted {
            checkpoint: None,
            unsaved: Some(_),
            ..
        }) => return Some(again()),
        Some(TrainingError::Interrupted {
            checkpoint: Some(_),
            ..
        }) => {
            return Some(format!(
                "to resume:         {}",
                command_line_with("--resume")
            ));
        }
        Some(TrainingError::Interrupted { .. }) => {
            let command = command_line_with("--checkpoint-every 1");
            return Some(format!("to be resumable:   {command}"));
        }
        _ => {}
    }
    if let Some(SweepError::Interrupted { .. }) = error.downcast_ref() {
        return Some(format!("to resume:         {}", command_line()));
    }
    error.is::<interrupt::Interrupted>().then(again)
}
