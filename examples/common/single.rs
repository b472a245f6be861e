use std::io::{IsTerminal, stderr, stdout};
use std::process::ExitCode;

use anyhow::{Context, Result};
use lenet::core::LeNetConfig;
use lenet::plot::{Block, LossCurve};
use lenet::train::observer::{JsonLines, ProgressBar, TextLines};
use lenet::train::{
    Checkpoints, Evaluation, Event, Interval, Observer, Table, Trainer, TrainingConfig, evaluate,
};

use super::args::{CheckpointArgs, TrainArgs, parse};
use super::exercise::{Exercise, Session};
use super::{exit_code, interrupt, write_whole};

/// Trains the preset as the command line says, prints everything and writes the files.
pub(crate) fn train_one(exercise: &Exercise, preset: fn(usize) -> LeNetConfig) -> ExitCode {
    let args: TrainArgs = parse(exercise.question);
    exit_code(|| {
        let mut session = Session::begin(exercise, &args.session)?;
        let config = args.recipe.training(15, session.quick);
        let checkpoints = session.checkpoints(args.checkpoints, args.resume);
        session.train(
            exercise.title,
            &preset(session.classes()),
            &config,
            checkpoints,
        )?;
        session.finish()
    })
}

/// Who watches a run on the console.
pub(crate) fn console() -> Box<dyn Observer> {
    match stderr().is_terminal() {
        true => Box::new(ProgressBar::new()),
        false => Box::new(TextLines::new(stdout())),
    }
}

impl Session {
    /// The checkpoints of a single run, if the command line asks for any.
    pub(crate) fn checkpoints(&self, args: CheckpointArgs, resume: bool) -> Option<Checkpoints> {
        let interval = match args.checkpoint_every {
            None if resume => Interval::Epochs(1),
            interval => interval?,
        };
        let checkpoints = Checkpoints::new(self.path("checkpoints"));
        Some(checkpoints.with_interval(interval).with_resume(resume))
    }

    /// Trains one network, judges it by the test set, and reports both.
    pub(crate) fn train(
        &mut self,
        title: &str,
        network: &LeNetConfig,
        config: &TrainingConfig,
        checkpoints: Option<Checkpoints>,
    ) -> Result<Evaluation> {
        say!(
            "training  {} epochs, batch {}, learning rate {}, seed {}",
            config.epochs,
            config.batch_size,
            config.learning_rate,
            config.seed
        );
        let layers = network.layer_table()?.to_string();
        say!("\n{layers}");
        // The metrics become a file when the run is whole: a failed one leaves older files alone.
        let metrics = JsonLines::new(Vec::new());
        let mut observer = (console(), metrics);
        let stop = interrupt::flag()?;
        let mut trainer = Trainer::new(network, config).with_stop(&stop);
        if let Some(checkpoints) = checkpoints {
            trainer = trainer.with_checkpoints(checkpoints);
        }
        let run = trainer.fit(&self.splits.train, &self.device.device, &mut observer)?;
        // What took longest comes first, and what can be made from it again comes last: weights, metrics,
        // pictures, words.
        run.lenet
            .save_safetensors(self.path("weights.safetensors"))?;
        self.wrote("weights", "weights.safetensors");
        let result = evaluate(&run.lenet, &self.splits.test, &self.device.device)?;
        let (mut console, mut metrics) = observer;
        let evaluated = Event::Evaluated {
            split: "test",
            evaluation: &result,
        };
        metrics.observe(&evaluated);
        let metrics = metrics.finish().context("collecting the metrics")?;
        write_whole(&self.path("metrics.jsonl"), &metrics)?;
        self.wrote("metrics", "metrics.jsonl");

        let mut curve =
            LossCurve::new(self.title(title), &run.epochs).with_test_accuracy(result.accuracy);
        if let Some(warning) = self.warning() {
            curve = curve.with_warning(warning);
        }
        curve.save(self.path("loss.png"))?;
        curve.save(self.path("loss.svg"))?;
        self.wrote("loss curve", "loss.png and .svg");

        say!("");
        console.observe(&evaluated);
        say!("\n{}", result.confusion);
        self.add(Block::Text(format!(
            "Test accuracy {:.4}, test loss {:.4}, on {} images.",
            result.accuracy, result.mean_loss, result.images
        )));
        self.add(Block::Picture {
            file: "loss.svg".to_owned(),
            caption: "Training loss after each epoch.".to_owned(),
        });
        self.add(Block::Table(loss_table(&run.epochs)));
        self.add(Block::Preformatted(result.confusion.to_string()));
        self.add(Block::Preformatted(layers));
        interrupt::check(&stop)?;
        Ok(result)
    }
}

fn loss_table(epochs: &[lenet::train::EpochMetrics]) -> Table {
    let table = Table::new(["epoch", "mean loss", "last batch", "seconds"]);
    epochs.iter().fold(table, |table, metrics| {
        table.with_row([
            metrics.epoch.to_string(),
            format!("{:.4}", metrics.mean_loss),
            format!("{:.4}", metrics.last_batch_loss),
            format!("{:.2}", metrics.seconds),
        ])
    })
}
