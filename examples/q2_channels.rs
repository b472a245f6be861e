//! Exercise 2 of *Dive into Deep Learning*, section 7.6: the number of output channels of the two
//! convolutions.

mod common;

use std::process::ExitCode;

use common::Exercise;
use lenet::core::LeNetConfig;
use lenet::data::KnownDataset;
use lenet::train::sweep::{Scale, Sweep};

const EXERCISE: Exercise = Exercise {
    name: "q2_channels",
    title: "Output channels",
    question: "How many output channels should the convolutions have?",
    dataset: KnownDataset::FashionMnist,
};

fn main() -> ExitCode {
    common::compare(&EXERCISE, 3, |_, training, classes| {
        let mut sweep = Sweep::new("channels", "output channels").with_scale(Scale::Categories);
        for channels in [[3, 8], [6, 16], [12, 22], [24, 44]] {
            let network = LeNetConfig::tweakable(classes).with_out_channels(channels);
            let (label, x) = (format!("{channels:?}"), channels[0] as f64);
            sweep = sweep.with_setting(label, x, network, training.clone());
        }
        sweep
    })
}
