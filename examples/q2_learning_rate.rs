//! Exercise 2 of *Dive into Deep Learning*, section 7.6: the learning rate, on a logarithmic axis.

mod common;

use std::process::ExitCode;

use common::Exercise;
use lenet::core::LeNetConfig;
use lenet::data::KnownDataset;
use lenet::train::sweep::{Scale, Sweep};

const EXERCISE: Exercise = Exercise {
    name: "q2_learning_rate",
    title: "Learning rate",
    question: "Which learning rate should SGD have?",
    dataset: KnownDataset::FashionMnist,
};

fn main() -> ExitCode {
    common::compare(&EXERCISE, 3, |args, training, classes| {
        let mut sweep = Sweep::new("learning_rate", "learning rate").with_scale(Scale::Logarithmic);
        for rate in args.recipe.learning_rates(&[0.01, 0.05, 0.1, 0.5]) {
            let network = LeNetConfig::tweakable(classes);
            let training = training.clone().with_learning_rate(rate);
            sweep = sweep.with_setting(rate.to_string(), rate, network, training);
        }
        sweep
    })
}
