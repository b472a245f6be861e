//! Exercise 1: LeNet with ReLU and max pooling, everything else unchanged.
//!
//! It is declared in `crates/lenet-cli/src/exercises/q1_modern.rs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    lenet_cli::exercises::Q1_MODERN.main()
}
