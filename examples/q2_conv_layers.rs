//! Exercise 2 of *Dive into Deep Learning*, section 7.6: the number of convolutions, each followed by
//! pooling.

mod common;

use std::process::ExitCode;

use common::Exercise;
use lenet::core::LeNetConfig;
use lenet::data::KnownDataset;
use lenet::train::sweep::{Scale, Sweep};

const EXERCISE: Exercise = Exercise {
    name: "q2_conv_layers",
    title: "Convolutions",
    question: "Do more convolution layers help?",
    dataset: KnownDataset::FashionMnist,
};

fn main() -> ExitCode {
    common::compare(&EXERCISE, 3, |_, training, classes| {
        let mut sweep = Sweep::new("conv_layers", "convolutions").with_scale(Scale::Categories);
        for channels in [&[6, 16][..], &[6, 16, 22], &[6, 16, 22, 28]] {
            let network = LeNetConfig::tweakable(classes).with_out_channels(channels);
            let (label, x) = (format!("{channels:?}"), channels.len() as f64);
            sweep = sweep.with_setting(label, x, network, training.clone());
        }
        sweep
    })
}
