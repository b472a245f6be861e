//! Draws what each channel of the first layer of a pretrained LeNet responds to in six garments.

#![allow(clippy::indexing_slicing, reason = "every label has a class name")]

use std::error::Error;

use burn::tensor::Device;
use lenet::core::{LeNet, Pretrained};
use lenet::data::synthetic;
use lenet::plot::{ActivationGrid, Figure};

fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::flex();
    let lenet = LeNet::pretrained(Pretrained::FashionMnistModern, &device)?;

    let garments = synthetic::garments(6, 0);
    let images = garments.batch(&[0, 1, 2, 3, 4, 5], &device).images;
    let labels = garments.labels().iter();
    let labels = labels.map(|&label| garments.class_names()[usize::from(label)].clone());

    // Every stage of the network, named as in its layer table.
    let stages = lenet.forward_with_activations(images.clone())?;
    for stage in &stages {
        println!("{}", stage.name());
    }
    let first = stages
        .iter()
        .find(|stage| stage.name() == "conv1.activation");
    let maps = first
        .and_then(|stage| stage.maps())
        .ok_or("the network has no layer conv1")?;

    let grid = ActivationGrid::new(labels, images, maps.clone())?;
    Figure::new("First layer of the modern LeNet", grid).save("activations.png")?;
    println!("figure in activations.png");
    Ok(())
}
