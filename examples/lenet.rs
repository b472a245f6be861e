//! The classic LeNet of *Dive into Deep Learning*, section 7.6: sigmoid and average pooling,
//! trained with plain SGD at learning rate 0.1.

mod common;

use std::process::ExitCode;

use common::Exercise;
use lenet::core::LeNetConfig;
use lenet::data::KnownDataset;

const EXERCISE: Exercise = Exercise {
    name: "lenet",
    title: "Classic LeNet",
    question: "How well does the LeNet of section 7.6 (sigmoid, average pooling) do?",
    dataset: KnownDataset::FashionMnist,
};

fn main() -> ExitCode {
    common::train_one(&EXERCISE, LeNetConfig::classic)
}
