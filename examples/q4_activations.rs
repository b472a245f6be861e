//! Exercise 4: the activations of the first and the second layer for coats and sweaters (the class pullover of
//! Fashion-MNIST).
//!
//! It is declared in `crates/lenet-cli/src/exercises/q4_activations.rs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    lenet_cli::exercises::Q4_ACTIVATIONS.main()
}
