//! Exercise 2, its actual aim: to improve the accuracy.
//!
//! It is declared in `crates/lenet-cli/src/exercises/q2_best.rs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    lenet_cli::exercises::Q2_BEST.main()
}
