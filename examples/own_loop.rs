//! The training loop written out: batches, forward, loss, backward, and the SGD step, with nothing hidden.
//!
//! `lenet::train::Trainer` does the same, and can be observed, interrupted and resumed.

#![allow(clippy::indexing_slicing, reason = "a mean is one value")]

use std::error::Error;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Gradients, Tensor};
use lenet::core::{LeNetConfig, read_back};
use lenet::data::{Order, synthetic};
use lenet::train::evaluate;

const EPOCHS: u64 = 4;
const BATCH_SIZE: usize = 64;
const LEARNING_RATE: f32 = 0.1;
const SEED: u64 = 0;

fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::flex();
    // The same device, recording operations so that gradients can be computed.
    let recording = device.clone().autodiff();
    let data = synthetic::garment_splits(6_400, 1_000);

    let mut lenet = LeNetConfig::modern(10).init(&recording, SEED)?;
    for epoch in 0..EPOCHS {
        let order = Order::Shuffled { seed: SEED, epoch };
        let mut losses = Vec::new();
        for batch in data.train.batches(BATCH_SIZE, order, &recording)? {
            // Images [batch, 1, 28, 28] and labels [batch] become a loss [1].
            let loss = lenet.loss(batch.images, batch.labels);
            lenet = lenet.map(&mut Step(loss.backward()));
            // Left on the device: reading every loss would make a GPU wait.
            losses.push(loss.inner());
        }
        let mean_loss = read_back::<f32>(Tensor::cat(losses, 0).mean())?[0];
        let accuracy = evaluate(&lenet, &data.test, &device)?.accuracy;
        println!(
            "epoch {}  loss {mean_loss:.4}  test accuracy {accuracy:.3}",
            epoch + 1
        );
    }
    Ok(())
}

/// Plain SGD: every parameter takes a step against its gradient.
struct Step(Gradients);

impl ModuleMapper for Step {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = parameter.consume();
        let stepped = match tensor.grad_remove(&mut self.0) {
            Some(gradient) => {
                let stepped = tensor.inner() - gradient.mul_scalar(LEARNING_RATE);
                Tensor::from_inner(stepped).require_grad()
            }
            None => tensor,
        };
        Param::from_mapped_value(id, stepped, mapper)
    }
}
