//! Exercise 2: the number of convolutions, each followed by pooling.
//!
//! It is declared in `crates/lenet-cli/src/exercises/q2_conv_layers.rs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    lenet_cli::exercises::Q2_CONV_LAYERS.main()
}
