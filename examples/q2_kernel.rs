//! Exercise 2 of *Dive into Deep Learning*, section 7.6: the size of the convolution kernels, from
//! 3 to 7, every convolution padded by 2.

mod common;

use std::process::ExitCode;

use common::Exercise;
use lenet::core::LeNetConfig;
use lenet::data::KnownDataset;
use lenet::train::sweep::Sweep;

const EXERCISE: Exercise = Exercise {
    name: "q2_kernel",
    title: "Kernel size",
    question: "Does a larger or a smaller kernel help?",
    dataset: KnownDataset::FashionMnist,
};

fn main() -> ExitCode {
    common::compare(&EXERCISE, 5, |_, training, classes| {
        (3..=7).fold(Sweep::new("kernel", "kernel size"), |sweep, size| {
            let network = LeNetConfig::tweakable(classes).with_kernel_size(size);
            sweep.with_setting(size.to_string(), size as f64, network, training.clone())
        })
    })
}
