//! Exercise 1 of *Dive into Deep Learning*, section 7.6: LeNet modernised with ReLU and max
//! pooling, everything else unchanged.

mod common;

use std::process::ExitCode;

use lenet::core::LeNetConfig;

fn main() -> ExitCode {
    common::run("q1_modern", "modern LeNet", LeNetConfig::modern)
}
