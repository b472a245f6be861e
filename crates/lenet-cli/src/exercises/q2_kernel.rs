use lenet_core::LeNetConfig;
use lenet_data::KnownDataset;
use lenet_train::sweep::{Scale, Sweep};

use crate::Exercise;
use crate::exercise::Run;
use crate::run::{Comparison, Recipe};

/// Exercise 2: the size of the convolution kernels, every convolution padded by 2.
pub const Q2_KERNEL: Exercise = Exercise {
    name: "q2_kernel",
    title: "Kernel size",
    question: "Does a larger or a smaller kernel help?",
    dataset: KnownDataset::FashionMnist,
    run: Run::Comparison(Comparison {
        title: "Kernel size",
        epochs: 15,
        seeds: 5,
        sweep: kernel_sizes,
    }),
};

fn kernel_sizes(recipe: &Recipe) -> Sweep {
    let mut sweep = Sweep::new("kernel", "kernel size").with_scale(Scale::Linear);
    for size in 3..=7 {
        let network = LeNetConfig::tweakable(recipe.classes).with_kernel_size(size);
        sweep
            .push_setting(size.to_string(), network, recipe.training.clone())
            .at(size as f64);
    }
    sweep
}
