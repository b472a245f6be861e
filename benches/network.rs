//! Forward pass and training step of the presets, on every device compiled in that the machine
//! has: `cargo bench --bench network -- flex`.

#![allow(
    missing_docs,
    reason = "criterion's macros make undocumented functions"
)]

use std::hint::black_box;

use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::Device;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lenet::core::{DeviceChoice, LeNetConfig};
use lenet::data::synthetic;
use lenet::train::cross_entropy;

fn devices() -> impl Iterator<Item = (DeviceChoice, Device)> {
    DeviceChoice::available()
        .into_iter()
        .filter(|&choice| choice != DeviceChoice::Auto)
        .filter_map(|choice| Some((choice, choice.select().ok()?.device)))
}

fn presets() -> [(&'static str, LeNetConfig); 2] {
    [
        ("classic", LeNetConfig::classic(10)),
        ("modern", LeNetConfig::modern(10)),
    ]
}

fn forward(c: &mut Criterion) {
    for (choice, device) in devices() {
        let mut group = c.benchmark_group(format!("{choice}/forward"));
        for (name, config) in presets() {
            let Ok(lenet) = config.init(&device, 0) else {
                continue;
            };
            for batch in [1, 128] {
                let indices: Vec<usize> = (0..batch).collect();
                let images = synthetic::garments(batch, 0)
                    .batch(&indices, &device)
                    .images;
                group.throughput(Throughput::Elements(batch as u64));
                group.bench_function(BenchmarkId::new(name, batch), |b| {
                    b.iter(|| {
                        let logits = lenet.forward(images.clone());
                        device.sync().ok();
                        black_box(logits)
                    });
                });
            }
        }
    }
}

fn training_step(c: &mut Criterion) {
    for (choice, device) in devices() {
        let device = device.autodiff();
        let mut group = c.benchmark_group(format!("{choice}/training-step"));
        for (name, config) in presets() {
            let Ok(mut lenet) = config.init(&device, 0) else {
                continue;
            };
            let batch = 128;
            let indices: Vec<usize> = (0..batch).collect();
            let images = synthetic::garments(batch, 0).batch(&indices, &device);
            let mut optimizer = SgdConfig::new().init();
            group.throughput(Throughput::Elements(batch as u64));
            group.bench_function(BenchmarkId::new(name, batch), |b| {
                b.iter(|| {
                    let batch = images.clone();
                    let loss = cross_entropy(lenet.forward(batch.images), batch.labels);
                    let gradients = GradientsParams::from_grads(loss.backward(), &lenet);
                    lenet = optimizer.step(0.01, lenet.clone(), gradients);
                    device.sync().ok();
                });
            });
        }
    }
}

criterion_group!(benches, forward, training_step);
criterion_main!(benches);
