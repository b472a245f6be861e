//! Multiply-adds a second of each kernel of `lenet-kernels` on one thread, on every SIMD level, beside those of a loop
//! that does nothing else: `cargo cpu-bench --bench kernels`.
//!
//! Behind max pooling, the backward pass counts the quarter of the multiply-adds that it can need.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros generate undocumented functions; a benchmark fails by panicking"
)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lenet_kernels::{
    Activation, ConvBackward, ConvPlan, DenseBackward, DensePlan, Parameters, Pooling, Shape,
    SimdLevel,
};
use pulp::{Arch, Simd, WithSimd};

const BATCH: usize = 128;

/// Name, input channels, output channels, image size, kernel size, padding.
const BLOCKS: [(&str, usize, usize, usize, usize, usize); 6] = [
    ("conv1", 1, 6, 28, 5, 2),
    ("conv2", 6, 16, 14, 5, 0),
    ("conv1, kernel 7", 1, 6, 28, 7, 2),
    ("conv2, kernel 7", 6, 16, 13, 7, 2),
    ("conv1, 24 channels", 1, 24, 28, 5, 2),
    ("conv2, 24 to 44 channels", 24, 44, 14, 5, 2),
];

fn noise(seed: usize, len: usize) -> Vec<f32> {
    let value = |i: usize| ((i as f32 + 1.0) * 12.9898 + seed as f32).sin() * 0.5;
    (0..len).map(value).collect()
}

/// Multiply-adds of 24 independent sums, which are more than the latency of one needs.
struct Peak {
    rounds: usize,
}

impl WithSimd for Peak {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let (factor, term) = (
            simd.splat_f32s(black_box(0.5)),
            simd.splat_f32s(black_box(1.0)),
        );
        let mut sums = [term; 24];
        for _ in 0..self.rounds {
            for sum in &mut sums {
                *sum = simd.mul_add_e_f32s(*sum, factor, term);
            }
        }
        let total = sums
            .into_iter()
            .fold(term, |total, sum| simd.add_f32s(total, sum));
        simd.reduce_sum_f32s(total)
    }
}

struct Lanes;

impl WithSimd for Lanes {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> usize {
        S::F32_LANES
    }
}

fn peak(c: &mut Criterion) {
    let arch = Arch::new();
    let rounds = 100_000;
    let mut group = c.benchmark_group("kernels/multiply-adds alone");
    group.throughput(Throughput::Elements(
        (rounds * 24 * arch.dispatch(Lanes)) as u64,
    ));
    group.bench_function("best level", |b| {
        b.iter(|| black_box(arch.dispatch(Peak { rounds })));
    });
}

fn blocks(c: &mut Criterion) {
    let kinds = [
        ("modern", Activation::Relu, Pooling::Max),
        ("classic", Activation::Sigmoid, Pooling::Average),
    ];
    for level in SimdLevel::all() {
        for (kind, activation, pooling) in kinds {
            for (name, in_channels, out_channels, size, kernel_size, padding) in BLOCKS {
                let shape = Shape {
                    in_channels,
                    out_channels,
                    height: size,
                    width: size,
                    kernel_size,
                    padding,
                };
                let plan = ConvPlan::new(shape, activation, pooling)
                    .unwrap()
                    .with_level(level);
                let [height, width] = plan.output_size();
                let weight_len = out_channels * in_channels * kernel_size * kernel_size;
                let multiply_adds = BATCH * weight_len * height * width * 4;
                // As after ReLU.
                let input = noise(1, BATCH * in_channels * size * size);
                let input: Vec<f32> = input.into_iter().map(|value| value.max(0.0)).collect();
                let (weight, bias) = (noise(2, weight_len), noise(3, out_channels));
                let parameters = Parameters {
                    weight: &weight,
                    bias: &bias,
                };
                let (output, saved) = plan.forward(BATCH, &input, parameters).unwrap();
                let output_gradient = noise(4, output.len());
                let arguments = ConvBackward {
                    batch: BATCH,
                    input: &input,
                    weight: &weight,
                    output: &output,
                    saved: &saved,
                    output_gradient: &output_gradient,
                    // The first layer does not need it.
                    input_gradient: in_channels > 1,
                };
                let mut group = c.benchmark_group(format!("kernels/{level}/{kind}/{name}"));
                group.sample_size(20);
                group.throughput(Throughput::Elements(multiply_adds as u64));
                group.bench_function(BenchmarkId::from_parameter("forward"), |b| {
                    b.iter(|| black_box(plan.forward(BATCH, &input, parameters).unwrap()));
                });
                let gradients = if in_channels > 1 { 2 } else { 1 };
                let share = if pooling == Pooling::Max { 4 } else { 1 };
                group.throughput(Throughput::Elements(
                    (multiply_adds * gradients / share) as u64,
                ));
                group.bench_function(BenchmarkId::from_parameter("backward"), |b| {
                    b.iter(|| black_box(plan.backward(arguments).unwrap()));
                });
            }
        }
    }
}

fn dense(c: &mut Criterion) {
    for level in SimdLevel::all() {
        for [inputs, outputs] in [[400, 120], [120, 84], [84, 10]] {
            let plan = DensePlan::new([inputs, outputs], Some(Activation::Relu)).with_level(level);
            let (input, weight) = (noise(1, BATCH * inputs), noise(2, inputs * outputs));
            let bias = noise(3, outputs);
            let parameters = Parameters {
                weight: &weight,
                bias: &bias,
            };
            let output = plan.forward(BATCH, &input, parameters).unwrap();
            let output_gradient = noise(4, output.len());
            let arguments = DenseBackward {
                batch: BATCH,
                input: &input,
                weight: &weight,
                output: &output,
                output_gradient: &output_gradient,
                input_gradient: true,
            };
            let multiply_adds = (BATCH * inputs * outputs) as u64;
            let mut group = c.benchmark_group(format!("kernels/{level}/dense {inputs}×{outputs}"));
            group.sample_size(20);
            group.throughput(Throughput::Elements(multiply_adds));
            group.bench_function(BenchmarkId::from_parameter("forward"), |b| {
                b.iter(|| black_box(plan.forward(BATCH, &input, parameters).unwrap()));
            });
            group.throughput(Throughput::Elements(2 * multiply_adds));
            group.bench_function(BenchmarkId::from_parameter("backward"), |b| {
                b.iter(|| black_box(plan.backward(arguments).unwrap()));
            });
        }
    }
}

fn kernels(c: &mut Criterion) {
    // This thread, so that none has to be woken.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1);
    pool.use_current_thread().build_global().unwrap();
    peak(c);
    dense(c);
    blocks(c);
}

criterion_group!(benches, kernels);
criterion_main!(benches);
