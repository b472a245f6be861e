//! What a training step of the modern network costs on the CPU with the batch size, the output channels
//! and the number of threads: `cargo bench --bench cost`.

#![allow(
    missing_docs,
    clippy::panic,
    reason = "criterion's macros make undocumented functions; a bench fails by panicking"
)]

use std::time::Duration;

use burn::tensor::Device;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lenet::core::LeNetConfig;
use lenet::data::{ImageDataset, synthetic};
use lenet::train::{TrainingConfig, observer::Silent, train};

/// Steps to an epoch.
const STEPS: usize = 8;

/// Seconds of `steps` training steps, batches included.
fn steps(network: &LeNetConfig, images: &ImageDataset, batch: usize, steps: u64) -> Duration {
    let epochs = steps.div_ceil(STEPS as u64);
    let config = TrainingConfig::default()
        .with_batch_size(batch)
        .with_epochs(epochs as usize);
    let run = train(network, &config, images, None, &Device::flex(), &mut Silent);
    let run = run.unwrap_or_else(|error| panic!("{error}"));
    let seconds: f64 = run.epochs.iter().map(|epoch| epoch.seconds).sum();
    Duration::from_secs_f64(seconds * steps as f64 / (epochs * STEPS as u64) as f64)
}

fn cost(c: &mut Criterion) {
    let modern = LeNetConfig::modern(10);
    let batches = [1, 4, 16, 64, 128, 256, 1024, 4096].map(|batch| (modern.clone(), batch));
    let channels = [1, 2, 4, 8].map(|times| {
        let network = modern.clone().with_out_channels([6 * times, 16 * times]);
        (network, 128)
    });
    let all = synthetic::garments(4096 * STEPS, 0);
    for threads in [1, 2] {
        let Ok(pool) = rayon::ThreadPoolBuilder::new().num_threads(threads).build() else {
            continue;
        };
        let mut group = c.benchmark_group(format!("flex/cost/threads {threads}"));
        group.sample_size(10);
        let cases = batches.iter().map(|case| ("batch", case));
        let cases = cases.chain(channels.iter().map(|case| ("channels", case)));
        for (name, (network, batch)) in cases {
            let images = all.select(&(0..batch * STEPS).collect::<Vec<_>>());
            let parameter = match name {
                "batch" => batch.to_string(),
                _ => format!("{:?}", network.out_channels),
            };
            group.throughput(Throughput::Elements(*batch as u64));
            group.bench_function(BenchmarkId::new(name, parameter), |b| {
                b.iter_custom(|iterations| {
                    pool.install(|| steps(network, &images, *batch, iterations))
                });
            });
        }
    }
}

criterion_group!(benches, cost);
criterion_main!(benches);
