use lenet_core::LeNetConfig;
use lenet_data::KnownDataset;

use crate::Exercise;
use crate::exercise::Run;

/// The network of the chapter: sigmoid and average pooling, plain SGD at learning rate 0.1.
pub const LENET: Exercise = Exercise {
    name: "lenet",
    title: "Classic LeNet",
    question: "How accurate is the LeNet of section 7.6 (sigmoid, average pooling)?",
    dataset: KnownDataset::FashionMnist,
    run: Run::Training {
        network: LeNetConfig::classic,
        epochs: 15,
    },
};
