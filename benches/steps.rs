//! Times the training steps of `lenet-train`.

#![allow(clippy::panic, reason = "a benchmark fails by panicking")]

use std::time::Duration;

use burn::tensor::Device;
use lenet::core::LeNetConfig;
use lenet::data::ImageDataset;
use lenet::train::{Trainer, TrainingConfig};

/// Steps per epoch.
pub(crate) const STEPS: usize = 8;

/// The time of `steps` training steps, batching included, on `images` divided into [`STEPS`] batches.
pub(crate) fn time(
    network: &LeNetConfig,
    images: &ImageDataset,
    device: &Device,
    steps: u64,
) -> Duration {
    let epochs = steps.div_ceil(STEPS as u64);
    let config = TrainingConfig::default()
        .with_batch_size(images.len() / STEPS)
        .with_epochs(epochs as usize);
    let run = Trainer::new(network, &config).fit(images, device);
    let run = run.unwrap_or_else(|error| panic!("{error}"));
    let seconds: f64 = run.epochs.iter().map(|epoch| epoch.seconds).sum();
    Duration::from_secs_f64(seconds * steps as f64 / (epochs * STEPS as u64) as f64)
}
