//! Exercise 2 of *Dive into Deep Learning*, section 7.6, its actual aim: improve the accuracy.
//!
//! Recipes are compared by a validation part of the training images. The best one is trained again
//! on all of them and meets the test images once.

mod common;

use std::process::ExitCode;

use common::args::{CompareArgs, parse};
use common::{Exercise, Session, say};
use lenet::core::{Initializer, LeNetConfig};
use lenet::data::{Augmentation, KnownDataset};
use lenet::train::sweep::{Scale, Sweep};
use lenet::train::{Schedule, TrainingConfig};

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
        session.train_best(&args, &sweep, result)?;
        session.finish()
    })
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
