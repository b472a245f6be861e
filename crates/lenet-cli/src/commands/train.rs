//! `lenet train`: trains one network of the user's choice.

use anyhow::Result;
use clap::Args;
use lenet_core::{LeNetConfig, PerLayer, Preset};
use lenet_data::KnownDataset;
use lenet_train::TrainingConfig;

use crate::args::{TrainingArgs, count};
use crate::command_line::command_line;
use crate::exercise::Task;
use crate::session::Session;

pub(crate) const ABOUT: &str = "Train a network and evaluate it on the test images";

#[derive(Clone, Debug, Args)]
pub(crate) struct TrainArgs {
    /// Network to start from: classic (sigmoid, average pooling), modern (ReLU, max pooling) or tweakable (modern, every
    /// convolution padded by 2); the flags below change it
    #[arg(long, default_value_t, value_name = "NAME")]
    network: Preset,

    /// Kernel sizes of the convolutions: one for all, or a list such as 5,3
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = count)]
    kernel_size: Vec<usize>,

    /// Padding of the convolutions: one for all, or a list such as 2,0
    #[arg(long, value_name = "N", value_delimiter = ',')]
    padding: Vec<usize>,

    /// Output channels of the convolutions, such as 6,16
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = count)]
    out_channels: Vec<usize>,

    /// Sizes of the fully connected layers before the last, such as 120,84
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = count)]
    hidden_dims: Vec<usize>,

    #[command(flatten)]
    training: TrainingArgs,
}

const TRAIN: Task = Task {
    name: "train",
    title: "LeNet",
    question: ABOUT,
    dataset: KnownDataset::FashionMnist,
};

pub(crate) fn run(args: &TrainArgs) -> Result<()> {
    let TrainArgs { training, .. } = args;
    Session::run(&TRAIN, &training.session, &command_line(), |session| {
        let network = args.network(session.classes());
        let config = training
            .recipe
            .training(TrainingConfig::default().epochs, session.quick);
        let checkpoints = session.checkpoints(training.checkpoints, training.resume);
        session.train(TRAIN.title, &network, &config, checkpoints)?;
        Ok(())
    })
}

impl TrainArgs {
    fn network(&self, classes: usize) -> LeNetConfig {
        let mut network = self.network.config(classes);
        if let Some(sizes) = per_layer(&self.kernel_size) {
            network = network.with_kernel_size(sizes);
        }
        if let Some(sizes) = per_layer(&self.padding) {
            network = network.with_padding(sizes);
        }
        if !self.out_channels.is_empty() {
            network = network.with_out_channels(self.out_channels.clone());
        }
        if !self.hidden_dims.is_empty() {
            network = network.with_hidden_dims(self.hidden_dims.clone());
        }
        network
    }
}

fn per_layer(values: &[usize]) -> Option<PerLayer> {
    match values {
        [] => None,
        [value] => Some(PerLayer::from(*value)),
        values => Some(PerLayer::from(values.to_vec())),
    }
}
