//! Compares three kernel sizes over two seeds each, several trials at once, and draws the result.
//!
//! Run it again after an interruption: finished trials are read from `sweep.jsonl`.

use std::error::Error;
use std::io::stdout;

use burn::tensor::Device;
use lenet::core::LeNetConfig;
use lenet::data::synthetic;
use lenet::plot::{Figure, SweepChart};
use lenet::train::TrainingConfig;
use lenet::train::observer::TextLines;
use lenet::train::sweep::{Scale, Sweep, SweepRunner, Worker};

fn main() -> Result<(), Box<dyn Error>> {
    let data = synthetic::garment_splits(6_400, 1_000);
    let training = TrainingConfig::default().with_epochs(4).with_batch_size(64);

    let mut sweep = Sweep::new("kernels", "kernel size")
        .with_scale(Scale::Linear)
        .with_seeds(0..2);
    for size in [3, 5, 7] {
        let network = LeNetConfig::tweakable(10).with_kernel_size(size);
        sweep
            .push_setting(size.to_string(), network, training.clone())
            .at(size as f64);
    }

    // Two trials at a time, each with half of the cores.
    let workers = Worker::share_cores(&Device::flex(), 2);
    let mut log = TextLines::new(stdout());
    let result = SweepRunner::new(&sweep, &workers)
        .with_observer(&mut log)
        .run(&data.train, &data.test, "sweep.jsonl")?;

    println!("{result}\n{}", result.conclusion());
    Figure::new(
        "Kernel size on synthetic garments",
        SweepChart::new(&result),
    )
    .save("sweep.png")?;
    println!("chart in sweep.png");
    Ok(())
}
