//! Exercise 2, the parts that the notebook leaves out: initialisation, number of epochs, learning-rate schedule.
//!
//! It is declared in `crates/lenet-cli/src/exercises/q2_training.rs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    lenet_cli::exercises::Q2_TRAINING.main()
}
