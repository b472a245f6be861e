//! Exercise 3: the modern LeNet on the original MNIST, at the notebook's learning rate of 0.01 and at 0.1.
//!
//! It is declared in `crates/lenet-cli/src/exercises/q3_mnist.rs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    lenet_cli::exercises::Q3_MNIST.main()
}
