//! Forward pass, backward pass, training step, evaluation and a whole epoch, on every device that is compiled in and
//! present: `cargo cpu-bench --bench network`.

#![allow(
    missing_docs,
    reason = "criterion's macros generate undocumented functions"
)]

mod steps;

use std::hint::black_box;

use burn::tensor::Device;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lenet::core::{DeviceChoice, LeNetConfig};
use lenet::data::{Batch, synthetic};
use lenet::train::{Trainer, TrainingConfig, cross_entropy, evaluate};
use steps::STEPS;

fn devices() -> impl Iterator<Item = (DeviceChoice, Device)> {
    DeviceChoice::available()
        .into_iter()
        .filter(|&choice| choice != DeviceChoice::Auto)
        .filter_map(|choice| Some((choice, choice.select().ok()?.device)))
}

fn networks() -> [(&'static str, LeNetConfig); 5] {
    let tweakable = LeNetConfig::tweakable(10);
    [
        ("classic", LeNetConfig::classic(10)),
        ("modern", LeNetConfig::modern(10)),
        ("kernel 3", tweakable.clone().with_kernel_size(3)),
        ("kernel 7", tweakable.clone().with_kernel_size(7)),
        ("channels [24, 44]", tweakable.with_out_channels([24, 44])),
    ]
}

/// All networks with batches of 128, and the presets with other batch sizes as well.
fn cases() -> impl Iterator<Item = (&'static str, LeNetConfig, usize)> {
    let usual = networks().map(|(name, config)| (name, config, 128));
    let [classic, modern, ..] = networks();
    let others = [1, 32, 1024].into_iter().flat_map(move |batch| {
        [classic.clone(), modern.clone()].map(|(name, config)| (name, config, batch))
    });
    usual.into_iter().chain(others)
}

fn images(batch: usize, device: &Device) -> Batch {
    let indices: Vec<usize> = (0..batch).collect();
    synthetic::garments(batch, 0).batch(&indices, device)
}

fn forward(c: &mut Criterion) {
    for (choice, device) in devices() {
        let mut group = c.benchmark_group(format!("{choice}/forward"));
        for (name, config, batch) in cases() {
            let Ok(lenet) = config.init(&device, 0) else {
                continue;
            };
            let images = images(batch, &device).images;
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

fn forward_backward(c: &mut Criterion) {
    for (choice, device) in devices() {
        let device = device.autodiff();
        let mut group = c.benchmark_group(format!("{choice}/forward + backward"));
        for (name, config, batch) in cases() {
            let Ok(lenet) = config.init(&device, 0) else {
                continue;
            };
            let images = images(batch, &device);
            group.throughput(Throughput::Elements(batch as u64));
            group.bench_function(BenchmarkId::new(name, batch), |b| {
                b.iter(|| {
                    let batch = images.clone();
                    let loss = cross_entropy(lenet.forward(batch.images), batch.labels);
                    let gradients = loss.backward();
                    device.sync().ok();
                    black_box(gradients)
                });
            });
        }
    }
}

fn training_step(c: &mut Criterion) {
    for (choice, device) in devices() {
        let mut group = c.benchmark_group(format!("{choice}/training step"));
        for (name, config, batch) in cases() {
            let images = synthetic::garments(batch * STEPS, 0);
            group.throughput(Throughput::Elements(batch as u64));
            group.bench_function(BenchmarkId::new(name, batch), |b| {
                b.iter_custom(|iterations| steps::time(&config, &images, &device, iterations));
            });
        }
    }
}

fn whole_runs(c: &mut Criterion) {
    let (train_images, test_images) =
        (synthetic::garments(6_400, 0), synthetic::garments(2_000, 1));
    let one_epoch = TrainingConfig::default().with_epochs(1);
    for (choice, device) in devices() {
        let mut group = c.benchmark_group(format!("{choice}/whole"));
        group.sample_size(10);
        for (name, config) in networks().into_iter().take(2) {
            let Ok(lenet) = config.init(&device, 0) else {
                continue;
            };
            group.throughput(Throughput::Elements(test_images.len() as u64));
            group.bench_function(BenchmarkId::new("evaluation", name), |b| {
                b.iter(|| evaluate(&lenet, &test_images, &device).map(|result| result.accuracy));
            });
            group.throughput(Throughput::Elements(train_images.len() as u64));
            group.bench_function(BenchmarkId::new("epoch", name), |b| {
                b.iter(|| {
                    let run = Trainer::new(&config, &one_epoch).fit(&train_images, &device);
                    run.map(|run| run.epochs.len())
                });
            });
        }
    }
}

criterion_group!(
    benches,
    forward,
    forward_backward,
    training_step,
    whole_runs
);
criterion_main!(benches);
