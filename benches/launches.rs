//! Kernel launches of a training step and of an evaluation on a GPU, as CubeCL reports them; a software driver will do:
//! `cargo bench --bench launches --features wgpu`.
//!
//! A step is what is launched between the gathering of a batch and the end of SGD; it is recorded and then replayed, which
//! CubeCL does not report. Its seconds are the difference between a run of many steps and one of few, divided by the
//! difference of their steps; they tell something about a GPU only if they were measured on one. Several networks are the
//! trials of a sweep that differ by their seed.

#![allow(clippy::panic, reason = "a benchmark fails by panicking")]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use burn::backend::DispatchDevice;
use burn::tensor::Device;
use cubecl::MemoryScope;
use cubecl::logging::{LaunchObservation, LaunchObserver};
use lenet::core::{DeviceChoice, LeNetConfig, read_back};
use lenet::data::{ImageDataset, synthetic};
use lenet::train::sweep::{Sweep, SweepRunner, Worker};
use lenet::train::{TrainingConfig, evaluate};

/// Images of a step.
const BATCH: usize = 128;

/// The kernels that were launched, in this order.
#[derive(Default)]
struct Launches(Mutex<Vec<&'static str>>);

impl LaunchObserver for Launches {
    fn launched(&self, kernel: &'static str) {
        let mut kernels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kernels.push(kernel);
    }
}

/// What a piece of work took.
struct Cost {
    kernels: Vec<&'static str>,
    seconds: f64,
}

fn cost(work: impl FnOnce()) -> Cost {
    let launches = Arc::new(Launches::default());
    let observation = LaunchObservation::new(launches.clone());
    let start = Instant::now();
    work();
    let seconds = start.elapsed().as_secs_f64();
    drop(observation);
    let mut kernels = launches.0.lock().unwrap_or_else(PoisonError::into_inner);
    Cost {
        kernels: std::mem::take(&mut kernels),
        seconds,
    }
}

impl Cost {
    fn launches(&self) -> usize {
        self.kernels.len()
    }

    /// The fewest launches of a training step: other threads may launch something in between.
    fn launches_of_a_step(&self) -> usize {
        let is = |kernel: &str, name: &str| kernel.contains(name);
        let steps = self.kernels.split_inclusive(|kernel| is(kernel, "Descend"));
        let lens = steps.filter_map(|step| {
            let start = step.iter().rposition(|kernel| is(kernel, "::Gather"))?;
            Some(step.len() - start)
        });
        lens.min().unwrap_or_else(|| panic!("a step was launched"))
    }
}

/// One epoch over the images for each of these networks.
fn train(config: &LeNetConfig, networks: usize, images: &ImageDataset, device: &Device) {
    let mut sweep = Sweep::new("launches", "network").with_seeds(0..networks as u64);
    let training = TrainingConfig::default().with_epochs(1);
    sweep.push_setting("network", config.clone(), training.with_batch_size(BATCH));
    let workers = Worker::share_cores(device, networks);
    let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    let file = folder.path().join("trials.jsonl");
    let result = SweepRunner::new(&sweep, &workers).run(images, &images.take(BATCH), file);
    match result {
        Ok(result) if result.is_complete() => {}
        Ok(result) => panic!("a trial failed: {result}"),
        Err(error) => panic!("{error}"),
    }
}

/// The logits of a batch.
fn inference(config: &LeNetConfig, images: &ImageDataset, device: &Device) -> Cost {
    let lenet = config
        .init(device, 0)
        .unwrap_or_else(|error| panic!("{error}"));
    let indices: Vec<usize> = (0..images.len()).collect();
    let images = images.batch(&indices, device).images;
    let logits = || read_back::<f32>(lenet.forward(images.clone()));
    logits().unwrap_or_else(|error| panic!("{error}"));
    cost(|| drop(logits()))
}

/// The loss of a batch and its gradients, in a training loop with burn's autodiff.
fn autodiff(config: &LeNetConfig, images: &ImageDataset, device: &Device) -> Cost {
    let device = device.clone().autodiff();
    let lenet = config
        .init(&device, 0)
        .unwrap_or_else(|error| panic!("{error}"));
    let indices: Vec<usize> = (0..images.len()).collect();
    let batch = images.batch(&indices, &device);
    let gradients = || {
        let gradients = lenet
            .loss(batch.images.clone(), batch.labels.clone())
            .backward();
        // The last gradient to be computed.
        lenet
            .conv
            .first()
            .and_then(|block| block.bias.val().grad(&gradients))
            .map(read_back::<f32>)
    };
    match gradients() {
        Some(Ok(_)) => cost(|| drop(gradients())),
        found => panic!("a gradient, not {found:?}"),
    }
}

fn evaluation(config: &LeNetConfig, images: &ImageDataset, device: &Device) {
    let lenet = config
        .init(device, 0)
        .unwrap_or_else(|error| panic!("{error}"));
    evaluate(&lenet, images, device).unwrap_or_else(|error| panic!("{error}"));
}

/// Bytes of device memory that are held for tensors.
fn reserved(device: &Device) -> u64 {
    match device.as_dispatch() {
        DispatchDevice::Cube(device) => {
            let report = device.client().memory_report(MemoryScope::Device);
            report.usage().bytes_reserved
        }
        _ => 0,
    }
}

fn main() {
    let choices = [
        DeviceChoice::Cuda,
        DeviceChoice::Vulkan,
        DeviceChoice::Metal,
        DeviceChoice::Wgpu,
    ];
    let selected = choices.into_iter().find_map(|choice| choice.select().ok());
    let Some(selected) = selected else {
        panic!("no GPU and no software driver: see the README for the devices of a build");
    };
    let device = selected.device;
    println!("{}, batches of {BATCH}", selected.description);
    let networks = |default: &[usize]| -> Vec<usize> {
        let given = std::env::var("NETWORKS").ok();
        let given = given.map(|list| list.split(',').filter_map(|n| n.parse().ok()).collect());
        given.unwrap_or_else(|| default.to_vec())
    };
    let tweakable = LeNetConfig::tweakable(10).with_out_channels([24, 44]);
    println!(
        "| network | at once | launches of a step | of burn's autodiff | of inference | of an evaluation | ms a step | MB reserved |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (name, config) in [
        ("modern", LeNetConfig::modern(10)),
        ("classic", LeNetConfig::classic(10)),
        ("channels [24, 44]", tweakable),
    ] {
        let (few, many) = (2, 6);
        let [images, few_images, many_images] =
            [1, few, many].map(|steps| synthetic::garments(steps * BATCH, 0));
        evaluation(&config, &images, &device);
        let evaluated = cost(|| evaluation(&config, &images, &device));
        let inferred = inference(&config, &images, &device);
        let differentiated = autodiff(&config, &images, &device);
        for count in networks(&[1, 5, 25]) {
            // Everything is compiled, and tuned where burn tunes, before it is counted.
            train(&config, count, &few_images, &device);
            let short = cost(|| train(&config, count, &few_images, &device));
            let long = cost(|| train(&config, count, &many_images, &device));
            let steps = f64::from(many as u32 - few as u32);
            println!(
                "| {name} | {count} | {} | {} | {} | {} | {:.1} | {:.1} |",
                short.launches_of_a_step(),
                differentiated.launches(),
                inferred.launches(),
                evaluated.launches(),
                1e3 * (long.seconds - short.seconds) / steps,
                reserved(&device) as f64 / 1e6,
            );
        }
    }
}
