use lenet_core::LeNetConfig;
use lenet_data::KnownDataset;

use crate::Exercise;
use crate::exercise::Run;

/// Exercise 1: LeNet with ReLU and max pooling, everything else unchanged.
pub const Q1_MODERN: Exercise = Exercise {
    name: "q1_modern",
    title: "Modern LeNet",
    question: "What do ReLU and max pooling change, everything else being equal?",
    dataset: KnownDataset::FashionMnist,
    run: Run::Training {
        network: LeNetConfig::modern,
        epochs: 15,
    },
};
