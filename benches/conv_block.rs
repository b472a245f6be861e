//! Compares LeNet's convolution blocks as `lenet-kernels` fuses them with the same blocks composed of burn's
//! operations: `cargo cpu-bench --bench conv_block`.

#![allow(
    missing_docs,
    reason = "criterion's macros generate undocumented functions"
)]

use std::hint::black_box;

use burn::tensor::module::{avg_pool2d, conv2d, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor, TensorData, activation};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lenet::core::{Activation, Pooling, conv_block};

/// Name, input channels, output channels, image size, kernel size, padding.
const BLOCKS: [(&str, usize, usize, usize, usize, usize); 6] = [
    ("conv1", 1, 6, 28, 5, 2),
    ("conv2", 6, 16, 14, 5, 0),
    ("conv1, kernel 3", 1, 6, 28, 3, 2),
    ("conv1, kernel 7", 1, 6, 28, 7, 2),
    ("conv1, 24 channels", 1, 24, 28, 5, 2),
    ("conv2, 24 to 44 channels", 24, 44, 14, 5, 2),
];

type Block = fn(Tensor<4>, Tensor<4>, Tensor<1>, usize, Activation, Pooling) -> Tensor<4>;

fn composed(
    input: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    padding: usize,
    function: Activation,
    pooling: Pooling,
) -> Tensor<4> {
    let options = ConvOptions::new([1, 1], [padding, padding], [1, 1], 1);
    let maps = conv2d(input, weight, Some(bias), options);
    let maps = match function {
        Activation::Relu => activation::relu(maps),
        _ => activation::sigmoid(maps),
    };
    match pooling {
        Pooling::Max => max_pool2d(maps, MaxPoolOptions::new([2, 2])),
        _ => avg_pool2d(maps, AvgPoolOptions::new([2, 2])),
    }
}

fn tensor<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    let len: usize = shape.iter().product();
    let values: Vec<f32> = (0..len).map(|i| (i as f32 * 12.9898).sin() * 0.2).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn blocks(c: &mut Criterion) {
    let device = Device::flex().autodiff();
    let batch = 128;
    let variants = [
        ("modern", Activation::Relu, Pooling::Max),
        ("classic", Activation::Sigmoid, Pooling::Average),
    ];
    let ways: [(&str, Block); 2] = [("fused", conv_block), ("composed", composed)];
    for (variant, function, pooling) in variants {
        for (name, inputs, outputs, size, kernel, padding) in BLOCKS {
            let mut group = c.benchmark_group(format!("flex/{name}/{variant}"));
            group.throughput(Throughput::Elements(batch as u64));
            let input = tensor([batch, inputs, size, size], &device);
            // The first layer does not need the gradient of its input.
            let input = if inputs > 1 {
                input.require_grad()
            } else {
                input
            };
            let weight = tensor([outputs, inputs, kernel, kernel], &device).require_grad();
            let bias = tensor([outputs], &device).require_grad();
            for (way, block) in ways {
                let run = || {
                    let (input, weight, bias) = (input.clone(), weight.clone(), bias.clone());
                    block(input, weight, bias, padding, function, pooling)
                };
                group.bench_function(BenchmarkId::new("forward", way), |b| {
                    b.iter(|| black_box(run()));
                });
                group.bench_function(BenchmarkId::new("forward + backward", way), |b| {
                    b.iter(|| black_box(run().sum().backward()));
                });
            }
        }
    }
}

criterion_group!(benches, blocks);
criterion_main!(benches);
