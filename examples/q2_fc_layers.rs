//! Exercise 2 of *Dive into Deep Learning*, section 7.6: the number of fully connected layers before
//! the one that gives the classes.

mod common;

use std::process::ExitCode;

use common::Exercise;
use lenet::core::LeNetConfig;
use lenet::data::KnownDataset;
use lenet::train::sweep::{Scale, Sweep};

const EXERCISE: Exercise = Exercise {
    name: "q2_fc_layers",
    title: "Fully connected layers",
    question: "Do more fully connected layers help?",
    dataset: KnownDataset::FashionMnist,
};

fn main() -> ExitCode {
    common::compare(&EXERCISE, 3, |_, training, classes| {
        let mut sweep = Sweep::new("fc_layers", "hidden layers").with_scale(Scale::Categories);
        let choices = [
            &[84][..],
            &[120, 84],
            &[120, 120, 84, 84],
            &[120, 120, 120, 84, 84, 84],
        ];
        for dims in choices {
            let network = LeNetConfig::tweakable(classes).with_hidden_dims(dims);
            let (label, x) = (format!("{dims:?}"), dims.len() as f64);
            sweep = sweep.with_setting(label, x, network, training.clone());
        }
        sweep
    })
}
