//! Chooses the best setting of a comparison by its validation images, and tests it once.

use anyhow::{Context, Result, bail};
use lenet_core::device_kind;
use lenet_train::sweep::{Setting, SweepError, SweepResult};
use lenet_train::{CheckpointError, Checkpoints, Evaluation, TrainingConfig, TrainingError};

use super::Comparison;
use crate::args::ComparisonArgs;
use crate::session::Session;

/// The outcome of a choice between recipes.
pub(crate) struct Best {
    /// All candidates on the validation images.
    pub(crate) candidates: SweepResult,
    /// The recipe of the best one.
    pub(crate) training: TrainingConfig,
    /// The best one, trained on all training images, on the test images.
    pub(crate) evaluation: Evaluation,
}

impl Session {
    /// Compares candidates on validation images, trains the best one on all training images, and evaluates it once
    /// on the test images. `None` if this run does not train the best one: because it is only a part of the
    /// comparison, or because of `--no-train`.
    pub(crate) fn choose_best(
        &mut self,
        comparison: &Comparison,
        args: &ComparisonArgs,
    ) -> Result<Option<Best>> {
        self.heading("Choosing by the validation images");
        let splits = self.split_validation();
        say!(
            "split     {} for training, {} for validation",
            splits.train.len(),
            splits.test.len()
        );
        let sweep = self.sweep(comparison, args);
        let candidates = self.run_sweep(comparison.title, &sweep, args, &splits)?;
        let Some(candidates) = candidates else {
            return Ok(None);
        };
        self.say(candidates.conclusion());

        let best = candidates.best().map(|setting| setting.label.as_str());
        let mut settings = sweep.settings.iter();
        let Some(chosen) = settings.find(|setting| Some(setting.label.as_str()) == best) else {
            bail!("no recipe completed all its trials, so there is nothing to test");
        };
        self.heading(format!(
            "{}: trained on all images, tested once",
            chosen.label
        ));
        let training = chosen.training.clone().with_seed(args.recipe.seed);
        match self.train_chosen(args, chosen, &training) {
            Ok(evaluation) => Ok(Some(Best {
                candidates,
                training,
                evaluation,
            })),
            Err(error) => Err(match error.downcast_ref() {
                // The same command resumes this, too, because all trials of the sweep are on disk.
                Some(TrainingError::Interrupted {
                    checkpoint: Some(_),
                    ..
                }) => {
                    let result = Box::new(candidates);
                    anyhow::Error::new(SweepError::Interrupted { result }).context(error)
                }
                _ => error,
            }),
        }
    }

    /// Trains the chosen recipe, resuming if it was interrupted. Checkpoints of another recipe, which may have been the
    /// best one in an earlier run, are removed.
    fn train_chosen(
        &mut self,
        args: &ComparisonArgs,
        chosen: &Setting,
        training: &TrainingConfig,
    ) -> Result<Evaluation> {
        let kind = device_kind(&self.device.device);
        let folder = self.path("best.checkpoints").join(kind);
        let checkpoints = args.checkpoints.checkpoint_every.map(|interval| {
            let checkpoints = Checkpoints::new(&folder).with_interval(interval);
            checkpoints.with_resume(true)
        });
        let mut train = || {
            let checkpoints = checkpoints.clone();
            self.train("The chosen recipe", &chosen.network, training, checkpoints)
        };
        let error = match train() {
            Ok(evaluation) => return Ok(evaluation),
            Err(error) => error,
        };
        let Some(TrainingError::Checkpoint(CheckpointError::OtherRun { .. })) =
            error.downcast_ref()
        else {
            return Err(error);
        };
        say!("note      {error:#}\nit is removed, and training starts from the seed\n");
        std::fs::remove_dir_all(&folder)
            .with_context(|| format!("removing {}", folder.display()))?;
        train()
    }
}
