//! Reading IDX files, making batches and generating images: `cargo cpu-bench --bench data`.

#![allow(
    missing_docs,
    reason = "criterion's macros generate undocumented functions"
)]

use std::hint::black_box;
use std::io::Write;

use burn::tensor::Device;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flate2::{Compression, write::GzEncoder};
use lenet::data::idx::{Idx, MAX_DECOMPRESSED, Values};
use lenet::data::{Order, synthetic};

fn idx(c: &mut Criterion) {
    let images = synthetic::garments(10_000, 0);
    let Ok(plain) = Values::U8(images.images().to_vec()).to_idx(&[10_000, 28, 28]) else {
        return;
    };
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let Ok(gzip) = encoder.write_all(&plain).and_then(|()| encoder.finish()) else {
        return;
    };

    let mut group = c.benchmark_group("idx");
    group.throughput(Throughput::Bytes(plain.len() as u64));
    group.bench_function("parse", |b| {
        b.iter(|| black_box(Idx::parse(black_box(&plain)).map(|idx| idx.values())));
    });
    group.bench_function("inflate", |b| {
        b.iter(|| black_box(Idx::decode(black_box(&gzip), MAX_DECOMPRESSED)));
    });
}

fn batches(c: &mut Criterion) {
    let images = synthetic::garments(10_000, 0);
    let device = Device::flex();
    let mut group = c.benchmark_group("batches");
    group.throughput(Throughput::Elements(images.len() as u64));
    group.bench_function("shuffled, 128", |b| {
        let order = Order::Shuffled { seed: 0, epoch: 0 };
        b.iter(|| {
            images
                .batches(128, order, &device)
                .map(|batches| black_box(batches.count()))
        });
    });
    group.bench_function("drawing", |b| {
        b.iter(|| black_box(synthetic::garments(1_000, 0)));
    });
}

criterion_group!(benches, idx, batches);
criterion_main!(benches);
