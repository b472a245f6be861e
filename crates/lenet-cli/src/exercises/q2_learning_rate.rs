use lenet_core::LeNetConfig;
use lenet_data::KnownDataset;
use lenet_train::sweep::{Scale, Sweep};

use crate::Exercise;
use crate::exercise::Run;
use crate::run::{Comparison, Recipe};

/// Exercise 2: the learning rate, on a logarithmic axis.
pub const Q2_LEARNING_RATE: Exercise = Exercise {
    name: "q2_learning_rate",
    title: "Learning rate",
    question: "Which learning rate should SGD have?",
    dataset: KnownDataset::FashionMnist,
    run: Run::Comparison(Comparison {
        title: "Learning rate",
        epochs: 15,
        seeds: 3,
        sweep: learning_rates,
    }),
};

fn learning_rates(recipe: &Recipe) -> Sweep {
    let mut sweep = Sweep::new("learning_rate", "learning rate").with_scale(Scale::Logarithmic);
    for rate in recipe.learning_rates(&[0.01, 0.05, 0.1, 0.5]) {
        let network = LeNetConfig::tweakable(recipe.classes);
        let training = recipe.training.clone().with_learning_rate(rate);
        sweep
            .push_setting(rate.to_string(), network, training)
            .at(rate);
    }
    sweep
}
