//! Classifies a picture with a pretrained LeNet: `cargo run --release --example predict -- picture.png`.
//!
//! Without a picture it classifies generated digits.

#![allow(
    clippy::indexing_slicing,
    reason = "the network has ten classes, each with a name"
)]

use std::error::Error;

use burn::tensor::Device;
use lenet::core::{LeNet, Pretrained};
use lenet::data::{KnownDataset, Picture, Polarity, synthetic};

fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::flex();
    let lenet = LeNet::pretrained(Pretrained::MnistModern, &device)?;
    let names = KnownDataset::Mnist.class_names();

    // Images are tensors [batch, 1, 28, 28] with values from 0 (black) to 1.
    let images = match std::env::args_os().nth(1) {
        Some(path) => Picture::open(path, [28, 28], Polarity::Auto)?.to_tensor(&device),
        None => synthetic::digits(3, 0).batch(&[0, 1, 2], &device).images,
    };
    for prediction in lenet.predict(images)? {
        for class in prediction.top(3) {
            print!("{} {:.3}   ", names[class.class], class.probability);
        }
        println!();
    }
    Ok(())
}
