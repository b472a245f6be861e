//! The flags of `lenet explore`, and how it starts and ends.

use anyhow::Result;
use clap::{Args, Command, FromArgMatches};
use lenet_cli::Subcommand;
use lenet_core::DeviceChoice;

#[derive(Clone, Debug, Args)]
struct ExploreArgs {
    /// Device
    #[arg(long, value_name = "NAME", default_value = "flex")]
    device: DeviceChoice,
}

/// The subcommand `explore`, for [`lenet_cli::main`].
pub fn subcommand() -> Subcommand {
    let command =
        Command::new("explore").about("See what each layer makes of a drawing, in the browser");
    Subcommand {
        command: ExploreArgs::augment_args(command),
        run: |matches| run(&ExploreArgs::from_arg_matches(matches)?),
    }
}

fn run(_args: &ExploreArgs) -> Result<()> {
    Ok(())
}
