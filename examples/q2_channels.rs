//! Exercise 2: the output channels of the two convolutions.
//!
//! It is declared in `crates/lenet-cli/src/exercises/q2_channels.rs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    lenet_cli::exercises::Q2_CHANNELS.main()
}
