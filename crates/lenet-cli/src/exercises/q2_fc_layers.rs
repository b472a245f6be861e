use lenet_core::LeNetConfig;
use lenet_data::KnownDataset;
use lenet_train::sweep::Sweep;

use crate::Exercise;
use crate::exercise::Run;
use crate::run::{Comparison, Recipe};

/// Exercise 2: the fully connected layers before the one that outputs the classes.
pub const Q2_FC_LAYERS: Exercise = Exercise {
    name: "q2_fc_layers",
    title: "Fully connected layers",
    question: "Do more fully connected layers help?",
    dataset: KnownDataset::FashionMnist,
    run: Run::Comparison(Comparison {
        title: "Fully connected layers",
        epochs: 15,
        seeds: 3,
        sweep: hidden_layers,
    }),
};

fn hidden_layers(recipe: &Recipe) -> Sweep {
    let mut sweep = Sweep::new("fc_layers", "hidden layers");
    let choices = [
        &[84][..],
        &[120, 84],
        &[120, 120, 84, 84],
        &[120, 120, 120, 84, 84, 84],
    ];
    for dims in choices {
        let network = LeNetConfig::tweakable(recipe.classes).with_hidden_dims(dims);
        sweep.push_setting(format!("{dims:?}"), network, recipe.training.clone());
    }
    sweep
}
