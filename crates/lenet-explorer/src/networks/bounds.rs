//! How large a network may be. Requests and files choose its size, and must not take all memory or all time.

use lenet_core::{LayerTable, LeNetConfig};

use crate::error::ApiError;

/// Most weights and biases: some hundred times those of LeNet.
const MAX_PARAMETERS: usize = 8_000_000;

/// Most multiply-adds for one image: some hundred times those of LeNet.
const MAX_MULTIPLY_ADDS: u64 = 100_000_000;

/// Most values of all layers for one image, some fifteen times those of LeNet. An evaluation computes a thousand images
/// at once.
const MAX_VALUES: usize = 250_000;

/// Most values of all layers for one batch: 128 MiB, and training keeps a small multiple of that.
const MAX_BATCH_VALUES: usize = 32 << 20;

/// Most convolutions. Each halves the height and the width, so that more of them see a single pixel.
const MAX_CONVOLUTIONS: usize = 16;

/// Most dense layers.
const MAX_DENSE: usize = 32;

/// Most classes: the page has a button for each.
const MAX_CLASSES: usize = 1_000;

/// What is computed with the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cost {
    /// One image at a time.
    OneImage,
    /// Training with this many images in a step.
    Training {
        /// Images of a step.
        batch_size: usize,
    },
}

/// The layers, if such a network is possible, takes grey images and is within the bounds.
pub(crate) fn check_cost(config: &LeNetConfig, cost: Cost) -> Result<LayerTable, ApiError> {
    if config.in_channels != 1 {
        return Err(ApiError::invalid(format!(
            "the network expects images with {} channels, but all images here are grey",
            config.in_channels
        )));
    }
    for (what, found, limit) in [
        ("convolutions", config.out_channels.len(), MAX_CONVOLUTIONS),
        ("dense layers", config.hidden_dims.len() + 1, MAX_DENSE),
        ("classes", config.classes, MAX_CLASSES),
    ] {
        if found > limit {
            return Err(ApiError::invalid(format!(
                "the network has {found} {what}: at most {limit} are supported"
            )));
        }
    }
    let table = config.layer_table()?;
    let outputs = table
        .rows()
        .iter()
        .map(|row| row.output_shape.iter().product::<usize>());
    let [height, width] = config.image_size;
    let values = outputs.fold(height.saturating_mul(width), usize::saturating_add);
    let batch_size = match cost {
        Cost::OneImage => 1,
        Cost::Training { batch_size } => batch_size,
    };
    for (what, found, limit) in [
        (
            "parameters",
            table.parameters() as u64,
            MAX_PARAMETERS as u64,
        ),
        (
            "multiply-adds for an image",
            table.multiply_adds(),
            MAX_MULTIPLY_ADDS,
        ),
        ("values in its layers", values as u64, MAX_VALUES as u64),
        (
            "values in its layers for a batch",
            values.saturating_mul(batch_size) as u64,
            MAX_BATCH_VALUES as u64,
        ),
    ] {
        if found > limit {
            let remedy = match cost {
                Cost::OneImage => "only smaller networks can be explored here",
                Cost::Training { .. } => "use fewer channels, smaller layers or smaller batches",
            };
            return Err(ApiError::invalid(format!(
                "the network has {found} {what}, more than {limit}: {remedy}"
            )));
        }
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_networks_are_refused_with_the_number() {
        let lenet = LeNetConfig::tweakable(10);
        assert!(check_cost(&lenet, Cost::Training { batch_size: 128 }).is_ok());
        for (config, expected) in [
            (lenet.clone().with_in_channels(3), "3 channels"),
            (lenet.clone().with_image_size([2000, 28]), "values"),
            (lenet.clone().with_hidden_dims([100_000]), "parameters"),
            (
                lenet
                    .clone()
                    .with_out_channels([500, 500])
                    .with_hidden_dims([]),
                "multiply-adds",
            ),
            (
                lenet
                    .clone()
                    .with_image_size([1000, 1000])
                    .with_out_channels([1, 1, 1, 1])
                    .with_hidden_dims([]),
                "values",
            ),
            (lenet.clone().with_kernel_size(99), "99×99 kernel"),
            (
                lenet
                    .clone()
                    .with_out_channels(vec![1; 70])
                    .with_kernel_size(3),
                "70 convolutions",
            ),
            (
                lenet.clone().with_hidden_dims(vec![4; 32]),
                "33 dense layers",
            ),
            (lenet.clone().with_classes(200_000), "200000 classes"),
        ] {
            let error = check_cost(&config, Cost::OneImage).unwrap_err();
            assert!(error.message.contains(expected), "{error}");
        }
        let error = check_cost(&lenet, Cost::Training { batch_size: 10_000 }).unwrap_err();
        assert!(error.message.contains("for a batch"), "{error}");
    }
}
