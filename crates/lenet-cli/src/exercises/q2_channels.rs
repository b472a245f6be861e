use lenet_core::LeNetConfig;
use lenet_data::KnownDataset;
use lenet_train::sweep::Sweep;

use crate::Exercise;
use crate::exercise::Run;
use crate::run::{Comparison, Recipe};

/// Exercise 2: the output channels of the two convolutions.
pub const Q2_CHANNELS: Exercise = Exercise {
    name: "q2_channels",
    title: "Output channels",
    question: "How many output channels should the convolutions have?",
    dataset: KnownDataset::FashionMnist,
    run: Run::Comparison(Comparison {
        title: "Output channels",
        epochs: 15,
        seeds: 3,
        sweep: output_channels,
    }),
};

fn output_channels(recipe: &Recipe) -> Sweep {
    let mut sweep = Sweep::new("channels", "output channels");
    for channels in [[3, 8], [6, 16], [12, 22], [24, 44]] {
        let network = LeNetConfig::tweakable(recipe.classes).with_out_channels(channels);
        sweep.push_setting(format!("{channels:?}"), network, recipe.training.clone());
    }
    sweep
}
