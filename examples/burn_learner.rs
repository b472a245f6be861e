//! The modern LeNet in burn's own `Learner`, with its dashboard on a terminal, beside this project's loop.

mod common;

use std::io::{IsTerminal, stdout};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use burn::data::dataloader::DataLoaderBuilder;
use burn::optim::SgdConfig;
use burn::train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
use burn::train::metric::{AccuracyMetric, LossMetric, MetricDefinition};
use burn::train::renderer::{
    EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation,
    MetricsRendererTraining,
};
use burn::train::{Learner, SupervisedTraining};
use common::args::{TrainArgs, parse};
use common::{Exercise, Session, console, say};
use lenet::core::{LeNet, LeNetConfig};
use lenet::data::{ImageBatcher, ImageDataset, KnownDataset};
use lenet::train::{Table, TrainingConfig, evaluate, train};

const EXERCISE: Exercise = Exercise {
    name: "burn_learner",
    title: "burn's Learner",
    question: "Does burn's own Learner train the network as well as this project's loop, and as fast?",
    dataset: KnownDataset::FashionMnist,
};

fn main() -> ExitCode {
    let args: TrainArgs = parse(EXERCISE.question);
    common::exit_code(|| {
        let mut session = Session::begin(&EXERCISE, &args.session)?;
        let network = LeNetConfig::modern(session.classes());
        let config = args.recipe.training(15, session.quick);
        let validation = session.splits.train.len() / 12;
        let (learn, validate) = session.splits.train.split_validation(validation, 0);
        let device = session.device.device.clone();

        session.heading("burn's Learner");
        let start = Instant::now();
        let lenet = network.init(&device.clone().autodiff(), config.seed)?;
        let learnt = with_learner(&session, lenet, &config, &learn, &validate)?;
        let learner_seconds = start.elapsed().as_secs_f64();

        session.heading("The loop of lenet-train");
        let start = Instant::now();
        let run = train(
            &network,
            &config,
            &learn,
            Some(&validate),
            &device,
            &mut console(),
        )?;
        let own_seconds = start.elapsed().as_secs_f64();

        session.heading("Side by side");
        let mut table = Table::new(["loop", "test accuracy", "test loss", "s/epoch"]);
        let rows = [
            ("burn's Learner", &learnt, learner_seconds),
            ("lenet-train", &run.lenet, own_seconds),
        ];
        for (name, lenet, seconds) in rows {
            let result = evaluate(lenet, &session.splits.test, &device)?;
            table = table.with_row([
                name.to_owned(),
                format!("{:.4}", result.accuracy),
                format!("{:.4}", result.mean_loss),
                format!("{:.2}", seconds / config.epochs as f64),
            ]);
        }
        session.table(table);
        session.say(format!(
            "Both learnt from {} images for {} epochs, beginning with the same weights, and looked at {} others \
             after each epoch; the order of the images differs.",
            learn.len(),
            config.epochs,
            validate.len()
        ));
        learnt.save_safetensors(session.path("weights.safetensors"))?;
        session.wrote("weights", "weights.safetensors, of burn's Learner");
        session.wrote("Learner", "learner/: its metrics, checkpoints and log");
        session.finish()
    })
}

/// Trains with plain SGD in burn's `Learner`.
fn with_learner(
    session: &Session,
    lenet: LeNet,
    config: &TrainingConfig,
    learn: &ImageDataset,
    validate: &ImageDataset,
) -> Result<LeNet> {
    let device = &session.device.device;
    let loader = |device| {
        DataLoaderBuilder::new(ImageBatcher)
            .batch_size(config.batch_size)
            .set_device(device)
    };
    let learn = loader(device.clone().autodiff())
        .shuffle(config.seed)
        .build(learn.clone());
    let validate = loader(device.clone()).build(validate.clone());
    // burn's Learner would add to the metrics of an earlier run, whose log tells that the folder is its.
    let folder = session.path("learner");
    if folder.join("experiment.log").is_file() {
        std::fs::remove_dir_all(&folder)
            .with_context(|| format!("removing {}", folder.display()))?;
    }
    let mut training = SupervisedTraining::new(folder, learn, validate)
        .metrics((AccuracyMetric::new(), LossMetric::new()))
        .with_default_checkpointers()
        .num_epochs(config.epochs)
        .summary();
    if !stdout().is_terminal() {
        training = training.renderer(Box::new(Epochs));
    }
    let learner = Learner::new(lenet, SgdConfig::new().init(), config.learning_rate);
    let result = training.launch(learner);
    match result.error {
        Some(error) => Err(anyhow::anyhow!("burn's Learner: {error}")),
        None => Ok(result.model),
    }
}

/// In a pipe, a line for each epoch instead of the dashboard.
struct Epochs;

impl TrainingProgressLogger for Epochs {
    fn start(&mut self, epochs: usize, _first: usize, _items: Option<usize>, _label: Option<&str>) {
        say!("{epochs} epochs");
    }
    fn start_split(&mut self, _name: &str, _items: usize) {}
    fn update_split(&mut self, _items: usize) {}
    fn update_epoch(&mut self, epoch: usize) {
        say!("epoch {epoch}");
    }
    fn end_split(&mut self) {}
    fn end(&mut self) {}
    fn log_event_training(&mut self, _event: String) {}
}

impl EvaluationProgressLogger for Epochs {
    fn start_global_progress(&mut self, _tests: usize) {}
    fn start_test(&mut self, _name: &str, _items: usize) {}
    fn update_test_progress(&mut self, _items: usize) {}
    fn end_test(&mut self) {}
    fn end_global_progress(&mut self) {}
    fn log_event_evaluation(&mut self, _event: String) {}
}

impl MetricsRendererTraining for Epochs {
    fn update_train(&mut self, _state: MetricState) {}
    fn update_valid(&mut self, _state: MetricState) {}
}

impl MetricsRendererEvaluation for Epochs {
    fn update_test(&mut self, _name: EvaluationName, _state: MetricState) {}
}

impl MetricsRenderer for Epochs {
    fn manual_close(&mut self) {}
    fn register_metric(&mut self, _definition: MetricDefinition) {}
}
