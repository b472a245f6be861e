//! The program `lenet`.

use std::process::ExitCode;

fn main() -> ExitCode {
    lenet_cli::main(&[lenet_explorer::subcommand()])
}
