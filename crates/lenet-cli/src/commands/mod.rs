//! The subcommands of the program `lenet`.

mod predict;
mod pretrain;
mod report;
#[cfg(feature = "remote")]
mod serve_device;
mod train;

use std::io::{Write, stdout};
use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgMatches, Args, Command, FromArgMatches, value_parser};
use clap_complete::Shell;

use crate::command_line::command_line;
use crate::exercises;
use crate::exit::exit_code;

/// A subcommand that another crate adds to the program.
#[derive(Clone, Debug)]
pub struct Subcommand {
    /// Its name, description and flags.
    pub command: Command,
    /// Runs it with the flags of its command line. An error is printed with its causes.
    pub run: fn(&ArgMatches) -> Result<()>,
}

/// Runs the program `lenet`: parses the command line, runs the subcommand, prints errors.
///
/// `extra` are the subcommands that this crate does not have.
///
/// The exit code is 0 on success, 1 after an error, 2 for an invalid command line, 130 after Ctrl-C, and 143 after SIGTERM. A
/// server, such as that of `explore`, ends with 0 after both.
pub fn main(extra: &[Subcommand]) -> ExitCode {
    let matches = command(extra).get_matches();
    exit_code(|| run(&matches, extra))
}

fn command(extra: &[Subcommand]) -> Command {
    let exercises = exercises::ALL.map(|exercise| {
        let underscored = exercise.name();
        exercise.command(hyphenated(underscored)).alias(underscored)
    });
    let shell = clap::arg!(<SHELL> "The shell").value_parser(value_parser!(Shell));
    let program = Command::new("lenet")
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
        ])
        .subcommands(extra.iter().map(|subcommand| subcommand.command.clone()))
        .subcommands([
            report::ReportArgs::augment_args(Command::new("report").about(report::ABOUT)),
            pretrain::PretrainArgs::augment_args(Command::new("pretrain").about(pretrain::ABOUT)),
            Command::new("completions")
                .about("Print the completions of a shell")
                .arg(shell),
        ]);
    #[cfg(feature = "remote")]
    let program = program.subcommand(serve_device::ServeDeviceArgs::augment_args(
        Command::new("serve-device")
            .about(serve_device::ABOUT)
            .long_about(serve_device::LONG_ABOUT),
    ));
    program
}

fn run(matches: &ArgMatches, extra: &[Subcommand]) -> Result<()> {
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
        #[cfg(feature = "remote")]
        Some(("serve-device", matches)) => {
            serve_device::run(&serve_device::ServeDeviceArgs::from_arg_matches(matches)?)
        }
        Some(("report", matches)) => report::run(&report::ReportArgs::from_arg_matches(matches)?),
        Some(("pretrain", matches)) => {
            pretrain::run(&pretrain::PretrainArgs::from_arg_matches(matches)?)
        }
        Some(("completions", matches)) => {
            if let Some(&shell) = matches.get_one::<Shell>("SHELL") {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut command(extra), "lenet", &mut script);
                // A closed standard output is not an error.
                let _ = stdout().write_all(&script);
            }
            Ok(())
        }
        Some((name, matches)) => {
            let mut extra = extra.iter();
            match extra.find(|subcommand| subcommand.command.get_name() == name) {
                Some(subcommand) => (subcommand.run)(matches),
                None => unreachable!("clap accepts the subcommands of `command`, found '{name}'"),
            }
        }
        None => unreachable!("clap requires a subcommand"),
    }
}

/// The name of an exercise as a subcommand.
fn hyphenated(name: &str) -> String {
    name.replace('_', "-")
}
