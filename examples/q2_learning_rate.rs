//! Exercise 2: the learning rate, on a logarithmic axis.
//!
//! It is declared in `crates/lenet-cli/src/exercises/q2_learning_rate.rs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    lenet_cli::exercises::Q2_LEARNING_RATE.main()
}
