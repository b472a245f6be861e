use anyhow::{Context, Result, bail};
use lenet::core::device_kind;
use lenet::train::sweep::{Setting, Sweep, SweepError, SweepResult};
use lenet::train::{CheckpointError, Checkpoints, Evaluation, TrainingConfig, TrainingError};

use super::args::CompareArgs;
use super::exercise::Session;

impl Session {
    /// Trains the best setting of a comparison on all training images and evaluates it once on the test images;
    /// returns its recipe as well.
    pub(crate) fn train_best(
        &mut self,
        args: &CompareArgs,
        sweep: &Sweep,
        result: SweepResult,
    ) -> Result<(TrainingConfig, Evaluation)> {
        let best = result.best().map(|setting| setting.label.as_str());
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
            Ok(evaluation) => Ok((training, evaluation)),
            Err(error) => Err(match error.downcast_ref() {
                // The same command resumes this, too: all that it takes from the sweep is on disk.
                Some(TrainingError::Interrupted {
                    checkpoint: Some(_),
                    ..
                }) => {
                    let result = Box::new(result);
                    anyhow::Error::new(SweepError::Interrupted { result }).context(error)
                }
                _ => error,
            }),
        }
    }

    /// Resumes where it was stopped, as the sweep does, but never from the checkpoint of another recipe, which may
    /// have been the best one before.
    fn train_chosen(
        &mut self,
        args: &CompareArgs,
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
        say!("note      {error}\nit is removed, and training starts from the seed\n");
        let removed = std::fs::remove_dir_all(&folder);
        removed.with_context(|| format!("removing {}", folder.display()))?;
        train()
    }
}
