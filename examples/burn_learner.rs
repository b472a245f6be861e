//! The modern LeNet in burn's own `Learner`, with its dashboard on a terminal, beside this project's loop.
//!
//! `cargo run --release --example burn_learner --features learner`; set `EPOCHS` and `LENET_OFFLINE=1` for a short
//! run on synthetic images.

use std::error::Error;
use std::io::{IsTerminal, stdout};
use std::time::Instant;

use burn::data::dataloader::DataLoaderBuilder;
use burn::optim::SgdConfig;
use burn::tensor::Device;
use burn::train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
use burn::train::metric::{AccuracyMetric, LossMetric, MetricDefinition};
use burn::train::renderer::{
    EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation,
    MetricsRendererTraining,
};
use burn::train::{Learner, SupervisedTraining};
use lenet::core::{DeviceChoice, LeNet, LeNetConfig};
use lenet::data::{DataError, ImageBatcher, ImageDataset, KnownDataset, Loader, synthetic};
use lenet::train::observer::TextLines;
use lenet::train::{Trainer, TrainingConfig, evaluate};

fn main() -> Result<(), Box<dyn Error>> {
    let device = DeviceChoice::Auto.select()?.device;
    let data = match Loader::new(KnownDataset::FashionMnist).load() {
        Err(DataError::Missing { .. }) => synthetic::garment_splits(12_800, 2_000),
        data => data?,
    };
    let (train, validation) = data.train.split_validation(data.train.len() / 12, 0);
    let epochs = std::env::var("EPOCHS").map_or(Ok(15), |epochs| epochs.parse())?;
    let network = LeNetConfig::modern(10);
    let config = TrainingConfig::default().with_epochs(epochs);

    println!("burn's Learner\n");
    let start = Instant::now();
    let lenet = network.init(&device.clone().autodiff(), config.seed)?;
    let by_learner = train_with_learner(lenet, &config, &train, &validation, &device)?;
    let learner_seconds = start.elapsed().as_secs_f64();

    println!("\nThe loop of lenet-train\n");
    let start = Instant::now();
    let mut log = TextLines::new(stdout());
    let by_trainer = Trainer::new(&network, &config)
        .with_validation(&validation)
        .with_observer(&mut log)
        .fit(&train, &device)?
        .lenet;
    let trainer_seconds = start.elapsed().as_secs_f64();

    println!("\n{:<15} test accuracy   test loss   s/epoch", "loop");
    for (name, lenet, seconds) in [
        ("burn's Learner", by_learner, learner_seconds),
        ("lenet-train", by_trainer, trainer_seconds),
    ] {
        let result = evaluate(&lenet, &data.test, &device)?;
        println!(
            "{name:<15} {:>13.4} {:>11.4} {:>9.2}",
            result.accuracy,
            result.mean_loss,
            seconds / epochs as f64
        );
    }
    println!("\nBoth started from the same weights; the order of the images differs.");
    Ok(())
}

/// Trains with plain SGD in burn's `Learner`.
fn train_with_learner(
    lenet: LeNet,
    config: &TrainingConfig,
    train: &ImageDataset,
    validation: &ImageDataset,
    device: &Device,
) -> Result<LeNet, Box<dyn Error>> {
    let loader = |device: &Device| {
        DataLoaderBuilder::new(ImageBatcher)
            .batch_size(config.batch_size)
            .set_device(device.clone())
    };
    let train = loader(&device.clone().autodiff())
        .shuffle(config.seed)
        .build(train.clone());
    let validation = loader(device).build(validation.clone());
    // The `Learner` would append to the metrics of an earlier run.
    let folder = std::path::Path::new("out/burn_learner");
    if folder.join("experiment.log").is_file() {
        std::fs::remove_dir_all(folder)?;
    }
    let mut training = SupervisedTraining::new(folder, train, validation)
        .metrics((AccuracyMetric::new(), LossMetric::new()))
        .with_default_checkpointers()
        .num_epochs(config.epochs)
        .summary();
    if !stdout().is_terminal() {
        training = training.renderer(Box::new(EpochLines));
    }
    let learner = Learner::new(lenet, SgdConfig::new().init(), config.learning_rate);
    let result = training.launch(learner);
    match result.error {
        Some(error) => Err(format!("burn's Learner: {error}").into()),
        None => Ok(result.model),
    }
}

/// In a pipe, a line for each epoch instead of the dashboard.
struct EpochLines;

impl TrainingProgressLogger for EpochLines {
    fn start(&mut self, epochs: usize, _first: usize, _items: Option<usize>, _label: Option<&str>) {
        println!("{epochs} epochs");
    }
    fn start_split(&mut self, _name: &str, _items: usize) {}
    fn update_split(&mut self, _items: usize) {}
    fn update_epoch(&mut self, epoch: usize) {
        println!("epoch {epoch}");
    }
    fn end_split(&mut self) {}
    fn end(&mut self) {}
    fn log_event_training(&mut self, _event: String) {}
}

impl EvaluationProgressLogger for EpochLines {
    fn start_global_progress(&mut self, _tests: usize) {}
    fn start_test(&mut self, _name: &str, _items: usize) {}
    fn update_test_progress(&mut self, _items: usize) {}
    fn end_test(&mut self) {}
    fn end_global_progress(&mut self) {}
    fn log_event_evaluation(&mut self, _event: String) {}
}

impl MetricsRendererTraining for EpochLines {
    fn update_train(&mut self, _state: MetricState) {}
    fn update_valid(&mut self, _state: MetricState) {}
}

impl MetricsRendererEvaluation for EpochLines {
    fn update_test(&mut self, _name: EvaluationName, _state: MetricState) {}
}

impl MetricsRenderer for EpochLines {
    fn manual_close(&mut self) {}
    fn register_metric(&mut self, _definition: MetricDefinition) {}
}
