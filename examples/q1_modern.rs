//! Exercise 1 of *Dive into Deep Learning*, section 7.6: LeNet modernised with ReLU and max
//! pooling, everything else unchanged.

mod common;

use std::process::ExitCode;

use common::Exercise;
use lenet::core::LeNetConfig;
use lenet::data::KnownDataset;

const EXERCISE: Exercise = Exercise {
    name: "q1_modern",
    title: "Modern LeNet",
    question: "What do ReLU and max pooling give, everything else unchanged?",
    dataset: KnownDataset::FashionMnist,
};

fn main() -> ExitCode {
    common::train_one(&EXERCISE, LeNetConfig::modern)
}
