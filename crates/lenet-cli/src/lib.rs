#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
//!
//! # Map of the crate
//!
//! - [`exercises`]: the exercises, one file each.
//! - [`main`]: the program `lenet` with all its subcommands; the crate `lenet-explorer` adds one and has the binary.
//!
//! Internally, `session` is one run of a command, `run` is what a session can do, and `output` and `report` are how
//! results are shown.

/// Prints a line. A closed standard output, as in a pipe to `head`, does not end the run.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}

mod args;
mod command_line;
mod commands;
mod exercise;
pub mod exercises;
mod exit;
mod output;
mod partition;
mod report;
mod run;
mod session;

pub use commands::{Subcommand, main};
pub use exercise::Exercise;
