//! Exercise 5: what a network trained on garments makes of other images: cats, cars, digits, noise, and any picture
//!
//! What it compares and how is declared in `crates/lenet-cli/src/exercises/q5_unfamiliar.rs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    lenet_cli::exercises::Q5_UNFAMILIAR.main()
}
