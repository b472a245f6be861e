//! The network of the chapter: sigmoid and average pooling, plain SGD at learning rate 0.1.
//!
//! It is declared in `crates/lenet-cli/src/exercises/lenet.rs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    lenet_cli::exercises::LENET.main()
}
