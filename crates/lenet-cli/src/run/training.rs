//! Trains one network, evaluates it on the test images, and writes its files.

use anyhow::{Context, Result};
use lenet_core::LeNetConfig;
use lenet_plot::{Figure, LossCurve};
use lenet_train::observer::JsonLines;
use lenet_train::{
    Checkpoints, Evaluation, Event, Interval, Observer, Trainer, TrainingConfig, evaluate,
};

use crate::args::CheckpointArgs;
use crate::output::console;
use crate::report::Block;
use crate::session::{Session, interrupt};

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

    /// Trains a network on all training images, evaluates it once on the test images, and reports both.
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
        // Metrics are written once the run is complete, so that a failed run leaves an older file alone.
        let mut observer = (console(), JsonLines::new(Vec::new()));
        let mut trainer = Trainer::new(network, config)
            .with_observer(&mut observer)
            .with_stop(&self.stop);
        if let Some(checkpoints) = checkpoints {
            trainer = trainer.with_checkpoints(checkpoints);
        }
        let run = trainer.fit(&self.splits.train, &self.device.device)?;
        self.remove_old_section()?;
        // What took longest to compute is written first: weights, metrics, figures, text.
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
        self.write("metrics.jsonl", &metrics)?;
        self.wrote("metrics", "metrics.jsonl");

        self.add(Block::Evaluation(result.clone()));
        let title = format!(
            "{} · test accuracy {:.3}",
            self.title(title),
            result.accuracy
        );
        let figure = Figure::new(title, LossCurve::new(&run.epochs));
        let caption = "Training loss after each epoch.".to_owned();
        self.save_figure(figure, "loss", &["png", "svg"], caption)?;
        self.add(Block::Epochs(run.epochs));
        self.add(Block::Preformatted(layers));

        say!("");
        console.observe(&evaluated);
        say!("\n{}", result.confusion);
        interrupt::check(&self.stop)?;
        Ok(result)
    }
}
