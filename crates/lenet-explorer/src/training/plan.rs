//! From a request to a network and a recipe, each number within its bounds.

use std::fmt::Display;
use std::ops::RangeInclusive;

use lenet_core::{LeNetConfig, PerLayer, Preset};
use lenet_train::TrainingConfig;
use serde::Deserialize;

use crate::error::ApiError;
use crate::gallery::DatasetId;
use crate::networks::{Cost, check_cost};

/// What to train. Only the data set is required.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "an object such as {\"dataset\": \"mnist\"}"
)]
pub(crate) struct Request {
    dataset: String,
    #[serde(default)]
    preset: Preset,
    #[serde(default = "kernel_size")]
    kernel_size: usize,
    #[serde(default = "out_channels")]
    out_channels: Vec<usize>,
    #[serde(default = "hidden_dims")]
    hidden_dims: Vec<usize>,
    #[serde(default = "learning_rate")]
    learning_rate: f64,
    #[serde(default = "epochs")]
    epochs: usize,
    #[serde(default = "batch_size")]
    batch_size: usize,
    #[serde(default)]
    seed: u64,
    /// Images to train and validate on: all, unless the request says otherwise.
    images: Option<usize>,
}

fn kernel_size() -> usize {
    5
}

fn out_channels() -> Vec<usize> {
    vec![6, 16]
}

fn hidden_dims() -> Vec<usize> {
    vec![120, 84]
}

fn learning_rate() -> f64 {
    0.1
}

fn epochs() -> usize {
    5
}

fn batch_size() -> usize {
    128
}

/// A training that can begin.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) dataset: DatasetId,
    pub(crate) images: Option<usize>,
    pub(super) network: LeNetConfig,
    pub(super) training: TrainingConfig,
    preset: Preset,
}

impl Plan {
    /// Checks a request.
    pub(crate) fn new(request: Request) -> Result<Self, ApiError> {
        let dataset: DatasetId = request.dataset.parse().map_err(|error: ApiError| {
            // Not an address, but a field of the request.
            ApiError::invalid(error.message)
        })?;
        check("epochs", request.epochs, 1..=1_000)?;
        check("batch_size", request.batch_size, 1..=10_000)?;
        check("images", request.images.unwrap_or(10), 10..=usize::MAX)?;
        check("learning_rate", request.learning_rate, 1e-9..=1e3)?;
        check("seed", request.seed, 0..=(1 << 53))?;

        let classes = dataset.class_names().len();
        let network = request.preset.config(classes);
        // The geometry of the presets for any number of convolutions: if not all are padded, then the first one by 2.
        let padding = match network.padding {
            PerLayer::Same(padding) => PerLayer::Same(padding),
            PerLayer::Each(_) => {
                let convolutions = 0..request.out_channels.len();
                PerLayer::Each(
                    convolutions
                        .map(|index| if index == 0 { 2 } else { 0 })
                        .collect(),
                )
            }
        };
        let network = network
            .with_kernel_size(request.kernel_size)
            .with_padding(padding)
            .with_out_channels(request.out_channels)
            .with_hidden_dims(request.hidden_dims);
        let batch_size = request.batch_size;
        check_cost(&network, Cost::Training { batch_size })?;
        let training = TrainingConfig::default()
            .with_learning_rate(request.learning_rate)
            .with_epochs(request.epochs)
            .with_batch_size(batch_size)
            .with_seed(request.seed);
        training.validate()?;
        Ok(Self {
            dataset,
            images: request.images,
            network,
            training,
            preset: request.preset,
        })
    }

    /// The name of the network.
    pub(super) fn name(&self) -> String {
        format!("{} LeNet trained on {}", self.preset, self.dataset.name())
    }
}

fn check<T: PartialOrd + Display>(
    name: &str,
    found: T,
    allowed: RangeInclusive<T>,
) -> Result<(), ApiError> {
    if allowed.contains(&found) {
        return Ok(());
    }
    let (least, most) = allowed.into_inner();
    Err(ApiError::invalid(format!(
        "{name} is {found}: expected a number from {least} to {most}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(request: serde_json::Value) -> Result<Plan, ApiError> {
        Plan::new(serde_json::from_value(request).unwrap())
    }

    #[test]
    fn defaults_are_the_networks_of_the_book() {
        for (preset, expected) in [
            ("classic", LeNetConfig::classic(10)),
            ("modern", LeNetConfig::modern(10)),
            ("tweakable", LeNetConfig::tweakable(10)),
        ] {
            let plan = plan(serde_json::json!({"dataset": "mnist", "preset": preset})).unwrap();
            assert_eq!(plan.network.layer_table(), expected.layer_table());
        }
    }

    #[test]
    fn any_number_of_convolutions_fits_a_preset() {
        let one = plan(serde_json::json!({"dataset": "mnist", "out_channels": [4]})).unwrap();
        assert_eq!(one.network.padding, PerLayer::Each(vec![2]));
        let three =
            serde_json::json!({"dataset": "mnist", "out_channels": [4, 4, 4], "kernel_size": 3});
        assert!(plan(three).is_ok());
    }
}
