//! Exercise 2: the fully connected layers before the one that outputs the classes.
//!
//! It is declared in `crates/lenet-cli/src/exercises/q2_fc_layers.rs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    lenet_cli::exercises::Q2_FC_LAYERS.main()
}
