//! What an exercise is, and how it runs: as an example, as a subcommand, or for the report.

use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgMatches, Args, Command, FromArgMatches};
use lenet_core::LeNetConfig;
use lenet_data::KnownDataset;

use crate::args::{ComparisonArgs, InspectionArgs, SessionArgs, TrainingArgs};
use crate::command_line::command_line;
use crate::exercises::q5_unfamiliar::PictureArgs;
use crate::exit::exit_code;
use crate::run::Comparison;
use crate::session::Session;

/// An exercise of *Dive into Deep Learning*, section 7.6, as a value; all of them are in
/// [`exercises`](crate::exercises).
///
/// ```
/// use lenet_cli::exercises::Q2_CHANNELS;
///
/// // An example is a program whose `main` returns `Q2_CHANNELS.main()`.
/// assert_eq!(Q2_CHANNELS.name(), "q2_channels");
/// ```
pub struct Exercise {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) question: &'static str,
    /// The data set it trains on by default.
    pub(crate) dataset: KnownDataset,
    pub(crate) run: Run,
}

/// What a session says about itself.
pub(crate) struct Task {
    /// Name of the output directory and of the section.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) question: &'static str,
    /// The data set it trains on by default.
    pub(crate) dataset: KnownDataset,
}

/// How an exercise runs; this determines its flags.
pub(crate) enum Run {
    /// Trains one network.
    Training {
        /// The network for a number of classes.
        network: fn(usize) -> LeNetConfig,
        epochs: usize,
    },
    /// Compares networks and states the conclusion.
    Comparison(Comparison),
    /// Makes several comparisons, or one with a report of its own.
    Comparisons(fn(&mut Session, &ComparisonArgs) -> Result<()>),
    /// Looks inside a trained network.
    Inspection(fn(&mut Session, &InspectionArgs) -> Result<()>),
    /// Looks inside a trained network, with pictures of the user as well.
    Pictures(fn(&mut Session, &PictureArgs) -> Result<()>),
}

impl Exercise {
    /// Name of the example and of the output directory, such as `q2_channels`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The heading of its section in the report.
    pub fn title(&self) -> &'static str {
        self.title
    }

    /// Runs the exercise as a program of its own: parses the command line, runs, prints errors.
    pub fn main(&self) -> ExitCode {
        let matches = self.command(self.name).get_matches();
        exit_code(|| self.run(&matches, &command_line()))
    }

    /// The command line of the exercise.
    pub(crate) fn command(&self, name: impl Into<clap::builder::Str>) -> Command {
        let command = Command::new(name)
            .version(env!("CARGO_PKG_VERSION"))
            .about(self.question);
        match self.run {
            Run::Training { .. } => TrainingArgs::augment_args(command),
            Run::Comparison(_) | Run::Comparisons(_) => ComparisonArgs::augment_args(command),
            Run::Inspection(_) => InspectionArgs::augment_args(command),
            Run::Pictures(_) => PictureArgs::augment_args(command),
        }
    }

    /// Runs the exercise with the flags that [`command`](Self::command) parsed.
    pub(crate) fn run(&self, matches: &ArgMatches, command: &str) -> Result<()> {
        match &self.run {
            Run::Training { network, epochs } => {
                let args = TrainingArgs::from_arg_matches(matches)?;
                self.in_session(&args.session, command, |session| {
                    let network = network(session.classes());
                    let config = args.recipe.training(*epochs, session.quick);
                    let checkpoints = session.checkpoints(args.checkpoints, args.resume);
                    session.train(self.title, &network, &config, checkpoints)?;
                    Ok(())
                })
            }
            Run::Comparison(comparison) => {
                let args = ComparisonArgs::from_arg_matches(matches)?;
                self.in_session(&args.session, command, |session| {
                    if let Some(result) = session.compare(comparison, &args)? {
                        session.say(result.conclusion());
                    }
                    Ok(())
                })
            }
            Run::Comparisons(run) => {
                let args = ComparisonArgs::from_arg_matches(matches)?;
                self.in_session(&args.session, command, |session| run(session, &args))
            }
            Run::Inspection(run) => {
                let args = InspectionArgs::from_arg_matches(matches)?;
                self.in_session(&args.session, command, |session| run(session, &args))
            }
            Run::Pictures(run) => {
                let args = PictureArgs::from_arg_matches(matches)?;
                self.in_session(&args.inspection.session, command, |session| {
                    run(session, &args)
                })
            }
        }
    }

    fn in_session(
        &self,
        args: &SessionArgs,
        command: &str,
        run: impl FnOnce(&mut Session) -> Result<()>,
    ) -> Result<()> {
        let task = Task {
            name: self.name,
            title: self.title,
            question: self.question,
            dataset: self.dataset,
        };
        Session::run(&task, args, command, run)
    }
}
