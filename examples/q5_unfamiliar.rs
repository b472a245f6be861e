//! Exercise 5: how a network trained on garments responds to other images: cats, cars, digits, noise, and pictures of
//! the user.
//!
//! It is declared in `crates/lenet-cli/src/exercises/q5_unfamiliar.rs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    lenet_cli::exercises::Q5_UNFAMILIAR.main()
}
