//! Exercise 2 of *Dive into Deep Learning*, section 7.6, its actual aim: improve the accuracy.
//!
//! Recipes are compared by a validation part of the training images. The best one is trained again
//! on all of them and meets the test images once.

mod common;

use std::process::ExitCode;

use anyhow::{Context, Result};
use common::args::{CompareArgs, parse};
use common::{Exercise, Session, say};
use lenet::core::{Initializer, LeNetConfig, device_kind};
use lenet::data::{Augmentation, KnownDataset};
use lenet::train::sweep::{Scale, Setting, Sweep, SweepError};
use lenet::train::{CheckpointError, Checkpoints, Schedule, TrainingConfig, TrainingError};

const EXERCISE: Exercise = Exercise {
    name: "q2_best",
    title: "The best LeNet",
    question: "How high does the accuracy go within 20 epochs, if nothing is chosen by the test images?",
    dataset: KnownDataset::FashionMnist,
};

fn main() -> ExitCode {
    let args: CompareArgs = parse(EXERCISE.question);
    common::exit_code(|| {
        let mut session = Session::begin(&EXERCISE, &args.session)?;
        let validation = session.splits.train.len() / 12;
        let (learn, choose) = session.splits.train.split_validation(validation, 0);

        session.heading("Choosing by the validation images");
        say!(
            "split     {} to learn from, {} to choose by",
            learn.len(),
            choose.len()
        );
        let training = args.recipe.training(20, session.quick);
        let sweep = candidates(session.classes(), &training).with_seeds(args.sweep.seeds(
            args.recipe.seed,
            1,
            session.quick,
        ));
        let sets = (&learn, &choose);
        let result = session.sweep_on("Recipes", &sweep, &args, sets)?;
        session.say(result.conclusion());
        let best = result.best().map(|setting| setting.label.clone());
        let chosen = sweep
            .settings
            .iter()
            .find(|s| Some(&s.label) == best.as_ref());
        let Some(chosen) = chosen else {
            anyhow::bail!("no recipe completed all its trials, so there is nothing to test");
        };

        session.heading(format!(
            "{}: trained on all images, tested once",
            chosen.label
        ));
        match train_chosen(&mut session, &args, chosen) {
            Ok(()) => session.finish(),
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
    })
}

/// As the sweep, it resumes where it was stopped, but never from the checkpoint of another recipe, which
/// may have been the best one before.
fn train_chosen(session: &mut Session, args: &CompareArgs, chosen: &Setting) -> Result<()> {
    let training = chosen.training.clone().with_seed(args.recipe.seed);
    let kind = device_kind(&session.device.device);
    let folder = session.path("best.checkpoints").join(kind);
    let checkpoints = args.checkpoints.checkpoint_every.map(|interval| {
        let checkpoints = Checkpoints::new(&folder).with_interval(interval);
        checkpoints.with_resume(true)
    });
    let mut train = || {
        let checkpoints = checkpoints.clone();
        session.train("The chosen recipe", &chosen.network, &training, checkpoints)
    };
    let Err(error) = train() else {
        return Ok(());
    };
    let Some(TrainingError::Checkpoint(CheckpointError::OtherRun { .. })) = error.downcast_ref()
    else {
        return Err(error);
    };
    say!("note      {error}\nit is removed, and training starts from the seed\n");
    let removed = std::fs::remove_dir_all(&folder);
    removed.with_context(|| format!("removing {}", folder.display()))?;
    train()?;
    Ok(())
}

/// From the exercise's own network, one change after the other.
fn candidates(classes: usize, training: &TrainingConfig) -> Sweep {
    let base = LeNetConfig::tweakable(classes);
    let wide = LeNetConfig::modern(classes)
        .with_out_channels([32, 64])
        .with_kernel_size(3)
        .with_padding(1)
        .with_hidden_dims([256])
        .with_initializer(Initializer::KaimingUniform);
    let deep = wide.clone().with_out_channels([32, 64, 128]);
    let momentum = training
        .clone()
        .with_learning_rate(training.learning_rate / 2.0)
        .with_momentum(0.9)
        .with_weight_decay(5e-4)
        .with_schedule(Schedule::Cosine { final_rate: 0.0 });
    let flipped = momentum
        .clone()
        .with_augmentation(Augmentation::default().with_horizontal_flip());
    let moved = momentum.clone().with_augmentation(
        Augmentation::default()
            .with_horizontal_flip()
            .with_max_shift(1),
    );

    Sweep::new("recipes", "recipe")
        .with_scale(Scale::Categories)
        .with_held_out("validation")
        .with_setting("exercise", 0.0, base, training.clone())
        .with_setting("wide", 1.0, wide.clone(), training.clone())
        .with_setting("+ momentum, cosine", 2.0, wide.clone(), momentum)
        .with_setting("+ flips", 3.0, wide, flipped.clone())
        .with_setting("deep, flips", 4.0, deep.clone(), flipped)
        .with_setting("deep, flips, shifts", 5.0, deep, moved)
}
