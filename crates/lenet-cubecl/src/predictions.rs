//! What a network says of the images of a data set.

use cubecl::client::Client;
use cubecl::prelude::*;

use crate::buffer::check_size;
use crate::images::DeviceImages;
use crate::launch::per_value;
use crate::network::{Layers, Network, Parameters};
use crate::{Buffer, GpuError};

/// The most images of a batch.
const BATCH: usize = 1000;

/// What a network says of each image of a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct Predictions {
    /// The class with the largest logit.
    pub classes: Vec<usize>,
    /// Logarithm of the predicted probability of the image's label; NaN if the label is not a class.
    pub log_likelihoods: Vec<f32>,
}

impl Predictions {
    pub(crate) fn new(
        client: &Client,
        network: &Network,
        parameters: &[Parameters],
        images: &DeviceImages,
    ) -> Result<Self, GpuError> {
        if network.input_len() != images.image_len() {
            return Err(GpuError::Length {
                what: "an image",
                expected: network.input_len(),
                found: images.image_len(),
            });
        }
        if images.is_empty() {
            return Ok(Self {
                classes: Vec::new(),
                log_likelihoods: Vec::new(),
            });
        }
        let buffer = |len: usize| {
            check_size(client, len)?;
            Ok(Buffer::empty(client, len))
        };
        let batch_size = images.len().min(BATCH);
        let batch = buffer(batch_size * network.input_len())?;
        let outputs = network.layer_lens().into_iter();
        let outputs: Result<Vec<_>, _> = outputs.map(|[_, len]| buffer(batch_size * len)).collect();
        let outputs = outputs?;
        let found = buffer(2 * images.len())?;
        for first in (0..images.len()).step_by(batch_size) {
            // The last ones fill up the last batch, and are computed twice.
            let first = first.min(images.len() - batch_size);
            images.read(first, &batch);
            let logits = network.forward([1, batch_size], &batch, parameters, &outputs, &[]);
            let (count, dim) = per_value(client, batch_size);
            classify::launch(
                client,
                count,
                dim,
                logits.arg(),
                images.labels().arg(),
                found.arg(),
                first,
                batch_size,
                images.len(),
                f32::NAN,
                network.classes(),
            );
        }
        let mut classes = found.read()?;
        let log_likelihoods = classes.split_off(images.len());
        Ok(Self {
            classes: classes.into_iter().map(|class| class as usize).collect(),
            log_likelihoods,
        })
    }
}

/// What a network with these parameters, weights and biases of each layer, blocks first, says of the images.
///
/// ```
/// use lenet_cubecl::{DeviceImages, Layers, predict};
/// use lenet_kernels::{Activation, Pooling};
///
/// // Two images of 1 × 2 pixels, and a dense layer that compares the pixels.
/// let client = cubecl::Device::default().client();
/// let images = DeviceImages::new(&client, &[0, 255, 255, 0], &[1, 1], [1, 2])?;
/// let layers = Layers {
///     blocks: Vec::new(),
///     dense: vec![[2, 2]],
///     activation: Activation::Relu,
///     pooling: Pooling::Max,
/// };
/// let parameters = [vec![1.0, 0.0, 0.0, 1.0], vec![0.0, 0.0]];
/// let predictions = predict(&client, &layers, &parameters, &images)?;
/// assert_eq!(predictions.classes, [1, 0]);
/// assert!(predictions.log_likelihoods[0] > predictions.log_likelihoods[1]);
/// # Ok::<(), lenet_cubecl::GpuError>(())
/// ```
///
/// # Errors
///
/// [`GpuError::Shape`] or [`GpuError::Layers`] if the layers do not form a network, [`GpuError::Length`] if parameters or
/// images do not fit it, [`GpuError::TooLarge`] if the device has no room for them, [`GpuError::Device`] if it failed.
pub fn predict(
    client: &Client,
    layers: &Layers,
    parameters: &[Vec<f32>],
    images: &DeviceImages,
) -> Result<Predictions, GpuError> {
    let network = Network::new(layers)?;
    let parameters = Buffer::from_floats(client, &network.flatten(parameters)?);
    Predictions::new(client, &network, &network.parts(&parameters), images)
}

/// Writes the class of each image, then the logarithm of the probability of each label.
#[cube(launch)]
fn classify(
    logits: &[f32],
    labels: &[u32],
    found: &mut [f32],
    first: usize,
    images: usize,
    all_images: usize,
    // WGSL has no literal for it.
    not_a_number: f32,
    #[comptime] classes: usize,
) {
    if ABSOLUTE_POS >= images {
        terminate!();
    }
    let row = ABSOLUTE_POS * classes;
    let mut largest = logits[row];
    let mut class = 0usize;
    // Maxima and exponentials of some drivers lose NaN.
    let mut is_valid = !largest.is_nan();
    for other in 1..classes {
        let logit = logits[row + other];
        is_valid = is_valid && !logit.is_nan();
        class = select(logit > largest, other, class);
        largest = max(largest, logit);
    }
    let mut total = 0.0f32;
    for other in 0..classes {
        total += (logits[row + other] - largest).exp();
    }
    let label = labels[first + ABSOLUTE_POS] as usize;
    let logit = logits[row + min(label, comptime!(classes - 1))];
    let likelihood = logit - largest - total.ln();
    found[first + ABSOLUTE_POS] = f32::cast_from(class);
    found[all_images + first + ABSOLUTE_POS] =
        select(is_valid && label < classes, likelihood, not_a_number);
}
