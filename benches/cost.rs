//! The cost of a training step of the modern network on the CPU, by batch size, output channels and number of
//! threads: `cargo cpu-bench --bench cost`.

#![allow(
    missing_docs,
    reason = "criterion's macros generate undocumented functions"
)]

mod steps;

use burn::tensor::Device;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lenet::core::LeNetConfig;
use lenet::data::synthetic;
use steps::STEPS;

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
                    pool.install(|| steps::time(network, &images, &Device::flex(), iterations))
                });
            });
        }
    }
}

criterion_group!(benches, cost);
criterion_main!(benches);
