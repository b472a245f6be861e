//! Networks, data and comparisons.

use cubecl::client::Client;
use lenet_cubecl::{DeviceImages, Ensemble, Layers, Place, Step};
use lenet_kernels::{Activation, ConvPlan, DensePlan, NetworkPlan, Pooling, Shape};

/// The device of the tests: the first GPU, or a software driver.
pub(crate) fn client() -> Client {
    cubecl::Device::default().client()
}

/// The LeNet of *Dive into Deep Learning* with another activation, pooling, kernel size or number of channels, for
/// images of `size` × `size`.
pub(crate) fn layers(
    size: usize,
    activation: Activation,
    pooling: Pooling,
    kernel_size: usize,
    channels: &[usize],
) -> Layers {
    let mut size = size;
    let mut in_channels = 1;
    let mut blocks = Vec::new();
    for (index, &out_channels) in channels.iter().enumerate() {
        let padding = if index == 0 { kernel_size / 2 } else { 0 };
        blocks.push(Shape {
            in_channels,
            out_channels,
            height: size,
            width: size,
            kernel_size,
            padding,
        });
        size = (size + 2 * padding + 1 - kernel_size) / 2;
        in_channels = out_channels;
    }
    Layers {
        blocks,
        dense: vec![[in_channels * size * size, 30], [30, 17], [17, 10]],
        activation,
        pooling,
    }
}

pub(crate) fn modern() -> Layers {
    layers(28, Activation::Relu, Pooling::Max, 5, &[6, 16])
}

pub(crate) fn classic() -> Layers {
    layers(28, Activation::Sigmoid, Pooling::Average, 5, &[6, 16])
}

/// Numbers that look random, from 0 to below 1.
pub(crate) fn noise(seed: usize, len: usize) -> Vec<f32> {
    let mut state = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let next = |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 24) as f32
    };
    (0..len).map(next).collect()
}

/// Bytes and labels of images `size` × `size`.
pub(crate) fn pictures(len: usize, size: usize) -> (Vec<u8>, Vec<u8>) {
    let pixels = noise(99, len * size * size)
        .into_iter()
        .map(|value| (value * 256.0) as u8);
    let labels = noise(98, len).into_iter().map(|value| (value * 10.0) as u8);
    (pixels.collect(), labels.collect())
}

/// Weights and biases of each layer.
pub(crate) fn parameters(layers: &Layers, seed: usize) -> Vec<Vec<f32>> {
    let blocks = layers.blocks.iter().map(|shape| {
        let fan_in = shape.in_channels * shape.kernel_size * shape.kernel_size;
        [fan_in, shape.out_channels]
    });
    let dense = layers.dense.iter().copied();
    let mut values = Vec::new();
    for (index, [fan_in, outputs]) in blocks.chain(dense).enumerate() {
        let scale = 2.0 / (fan_in as f32).sqrt();
        let weights = noise(seed * 100 + index, fan_in * outputs);
        values.push(
            weights
                .into_iter()
                .map(|value| (value - 0.5) * scale)
                .collect(),
        );
        let biases = noise(seed * 100 + 50 + index, outputs);
        values.push(
            biases
                .into_iter()
                .map(|value| (value - 0.5) * 0.2)
                .collect(),
        );
    }
    values
}

/// An ensemble without networks.
pub(crate) fn ensemble(layers: &Layers, images: usize, batch_size: usize) -> Ensemble {
    let client = client();
    let size = layers.blocks[0].height;
    let (pixels, labels) = pictures(images, size);
    let images = DeviceImages::new(&client, &pixels, &labels, [size, size]);
    let images = images.expect("as many pixels as the images have");
    Ensemble::new(&client, layers, images, batch_size).expect("layers that fit")
}

/// A step that only computes gradients, which become the velocities.
pub(crate) fn look(start: usize, images: usize) -> Step {
    Step {
        start,
        images,
        learning_rate: 0.0,
        momentum: 0.0,
        weight_decay: 0.0,
        gradient_clipping: None,
    }
}

/// The images in another order for each seed.
pub(crate) fn order(images: usize, seed: usize) -> Vec<Place> {
    let mut order: Vec<_> = (0..images).collect();
    let keys = noise(seed + 1000, images);
    order.sort_by(|&a, &b| keys[a].total_cmp(&keys[b]));
    let place = |image| Place {
        image,
        ..Place::default()
    };
    order.into_iter().map(place).collect()
}

/// The layers on the CPU.
fn plan(layers: &Layers) -> NetworkPlan {
    let blocks = layers.blocks.iter().map(|&shape| {
        ConvPlan::new(shape, layers.activation, layers.pooling).expect("a valid shape")
    });
    let last = layers.dense.len() - 1;
    let dense =
        layers.dense.iter().enumerate().map(|(index, &shape)| {
            DensePlan::new(shape, (index < last).then_some(layers.activation))
        });
    NetworkPlan::new(blocks.collect(), dense.collect()).expect("layers that fit")
}

fn pairs(parameters: &[Vec<f32>]) -> Vec<lenet_kernels::Parameters<'_>> {
    let pairs = parameters.chunks_exact(2);
    pairs
        .map(|pair| lenet_kernels::Parameters {
            weight: &pair[0],
            bias: &pair[1],
        })
        .collect()
}

/// The logits that the CPU computes, `[images, 10]`.
pub(crate) fn logits(layers: &Layers, parameters: &[Vec<f32>], images: &[f32]) -> Vec<f32> {
    let size = layers.blocks[0].height * layers.blocks[0].width;
    plan(layers)
        .infer(images.len() / size, images, &pairs(parameters))
        .expect("matching lengths")
}

/// The loss and the gradients that the CPU computes, weights and biases of each layer.
pub(crate) fn expected(
    layers: &Layers,
    parameters: &[Vec<f32>],
    images: &[f32],
    labels: &[usize],
) -> (f32, Vec<Vec<f32>>) {
    let (loss, gradients) = plan(layers)
        .gradients(images, labels, &pairs(parameters))
        .expect("matching lengths");
    let gradients = gradients
        .into_iter()
        .flat_map(|layer| [layer.weight, layer.bias]);
    (loss, gradients.collect())
}

/// The values of the images at these places, scaled, and their labels.
pub(crate) fn batch(images: usize, size: usize, places: &[Place]) -> (Vec<f32>, Vec<usize>) {
    let (pixels, labels) = pictures(images, size);
    let mut values = Vec::new();
    for place in places {
        let image = &pixels[place.image * size * size..][..size * size];
        for row in 0..size as isize {
            for column in 0..size as isize {
                let row = row - isize::from(place.down);
                let column = column - isize::from(place.right);
                let inside =
                    (0..size as isize).contains(&row) && (0..size as isize).contains(&column);
                let column = if place.flip {
                    size as isize - 1 - column
                } else {
                    column
                };
                let value = inside.then(|| image[row as usize * size + column as usize]);
                values.push(f32::from(value.unwrap_or(0)) / 255.0);
            }
        }
    }
    (
        values,
        places
            .iter()
            .map(|place| labels[place.image].into())
            .collect(),
    )
}

/// Checks that the values agree within 1e-4 of the largest.
pub(crate) fn assert_close(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected
        .iter()
        .fold(1e-3_f32, |largest, value| largest.max(value.abs()));
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            (found - expected).abs() <= 1e-4 * scale,
            "{what}, value {index}: {found}, expected {expected} (largest {scale})"
        );
    }
}
