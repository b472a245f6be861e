//! The classic LeNet of *Dive into Deep Learning*, section 7.6: sigmoid and average pooling,
//! trained with plain SGD at learning rate 0.1.

mod common;

use std::process::ExitCode;

use lenet::core::LeNetConfig;

fn main() -> ExitCode {
    common::run("lenet", "classic LeNet", LeNetConfig::classic)
}
