use lenet_core::{Initializer, LeNetConfig};
use lenet_data::{Augmentation, KnownDataset};
use lenet_train::Schedule;
use lenet_train::sweep::Sweep;

use crate::Exercise;
use crate::exercise::Run;
use crate::run::{Comparison, Recipe};

/// Exercise 2, its actual aim: to improve the accuracy.
///
/// Recipes are compared on a validation split of the training images. The best one is trained on all training images
/// and evaluated once on the test images.
pub const Q2_BEST: Exercise = Exercise {
    name: "q2_best",
    title: "The best LeNet",
    question: "How accurate can it get within 20 epochs, if the test images have no say in the choice?",
    dataset: KnownDataset::FashionMnist,
    run: Run::Comparisons(|session, args| session.choose_best(&RECIPES, args).map(drop)),
};

const RECIPES: Comparison = Comparison {
    title: "Recipes",
    epochs: 20,
    seeds: 1,
    sweep: recipes,
};

/// Starts from the network of the exercise and makes one change after the other.
fn recipes(recipe: &Recipe) -> Sweep {
    let training = &recipe.training;
    let base = LeNetConfig::tweakable(recipe.classes);
    let wide = LeNetConfig::modern(recipe.classes)
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
    let flips = Augmentation::default().with_horizontal_flip(true);
    let flipped = momentum.clone().with_augmentation(flips);
    let shifted = momentum.clone().with_augmentation(flips.with_max_shift(1));

    let mut sweep = Sweep::new("recipes", "recipe").with_held_out("validation");
    sweep.push_setting("exercise", base, training.clone());
    sweep.push_setting("wide", wide.clone(), training.clone());
    sweep.push_setting("+ momentum, cosine", wide.clone(), momentum);
    sweep.push_setting("+ flips", wide, flipped.clone());
    sweep.push_setting("deep, flips", deep.clone(), flipped);
    sweep.push_setting("deep, flips, shifts", deep, shifted);
    sweep
}
