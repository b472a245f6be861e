use lenet_core::LeNetConfig;
use lenet_data::KnownDataset;
use lenet_train::sweep::Sweep;

use crate::Exercise;
use crate::exercise::Run;
use crate::run::{Comparison, Recipe};

/// Exercise 2: the number of convolutions, each followed by pooling.
pub const Q2_CONV_LAYERS: Exercise = Exercise {
    name: "q2_conv_layers",
    title: "Convolutions",
    question: "Do more convolutions help?",
    dataset: KnownDataset::FashionMnist,
    run: Run::Comparison(Comparison {
        title: "Convolutions",
        epochs: 15,
        seeds: 3,
        sweep: convolutions,
    }),
};

fn convolutions(recipe: &Recipe) -> Sweep {
    let mut sweep = Sweep::new("conv_layers", "convolutions");
    for channels in [&[6, 16][..], &[6, 16, 22], &[6, 16, 22, 28]] {
        let network = LeNetConfig::tweakable(recipe.classes).with_out_channels(channels);
        sweep.push_setting(format!("{channels:?}"), network, recipe.training.clone());
    }
    sweep
}
