//! The subcommands of the program `lenet`.

mod predict;
mod pretrain;
mod report;
mod train;

use std::io::{Write, stdout};
use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgMatches, Args, Command, FromArgMatches, value_parser};
use clap_complete::Shell;

use crate::command_line::command_line;
use crate::exercises;
use crate::exit::exit_code;

/// Runs the program `lenet`: parses the command line, runs the subcommand, prints errors.
///
/// The exit code is 0 on success, 1 after an error, 2 for an invalid command line, and 130 after Ctrl-C.
pub fn main() -> ExitCode {
    let matches = command().get_matches();
    exit_code(|| run(&matches))
}

fn command() -> Command {
    let exercises = exercises::ALL.map(|exercise| {
        let underscored = exercise.name();
        exercise.command(hyphenated(underscored)).alias(underscored)
    });
    let shell = clap::arg!(<SHELL> "The shell").value_parser(value_parser!(Shell));
    Command::new("lenet")
        .version(env!("CARGO_PKG_VERSION"))
        .about("LeNet, its training, and the exercises of Dive into Deep Learning, section 7.6")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([
            Command::new("exercise")
                .about("Run an exercise and write its figures, numbers and conclusion")
                .subcommand_required(true)
                .arg_required_else_help(true)
                .subcommands(exercises),
            train::TrainArgs::augment_args(Command::new("train").about(train::ABOUT)),
            predict::PredictArgs::augment_args(Command::new("predict").about(predict::ABOUT)),
            report::ReportArgs::augment_args(Command::new("report").about(report::ABOUT)),
            pretrain::PretrainArgs::augment_args(Command::new("pretrain").about(pretrain::ABOUT)),
            Command::new("completions")
                .about("Print the completions of a shell")
                .arg(shell),
        ])
}

fn run(matches: &ArgMatches) -> Result<()> {
    match matches.subcommand() {
        Some(("exercise", matches)) => {
            let Some((name, matches)) = matches.subcommand() else {
                unreachable!("clap requires an exercise")
            };
            let exercise = exercises::ALL
                .into_iter()
                .find(|exercise| hyphenated(exercise.name()) == name);
            match exercise {
                Some(exercise) => exercise.run(matches, &command_line()),
                None => unreachable!(
                    "every exercise of the command line is in the list, found '{name}'"
                ),
            }
        }
        Some(("train", matches)) => train::run(&train::TrainArgs::from_arg_matches(matches)?),
        Some(("predict", matches)) => {
            predict::run(&predict::PredictArgs::from_arg_matches(matches)?)
        }
        Some(("report", matches)) => report::run(&report::ReportArgs::from_arg_matches(matches)?),
        Some(("pretrain", matches)) => {
            pretrain::run(&pretrain::PretrainArgs::from_arg_matches(matches)?)
        }
        Some(("completions", matches)) => {
            if let Some(&shell) = matches.get_one::<Shell>("SHELL") {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut command(), "lenet", &mut script);
                // A closed standard output is not an error.
                let _ = stdout().write_all(&script);
            }
            Ok(())
        }
        other => unreachable!("clap accepts the subcommands above, found {other:?}"),
    }
}

/// The name of an exercise as a subcommand.
fn hyphenated(name: &str) -> String {
    name.replace('_', "-")
}
