//! Trained networks inside the program, each with a model card.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;
use thiserror::Error;

use crate::{LeNet, Weights, WeightsError};

/// A trained network that is compiled into the program: 61,706 parameters, 242 KiB.
///
/// Each has a model card with its recipe, its accuracy on the test images, and its confusion matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pretrained {
    #[doc = include_str!("../pretrained/fashion-mnist-classic.md")]
    FashionMnistClassic,
    #[doc = include_str!("../pretrained/fashion-mnist-modern.md")]
    FashionMnistModern,
    #[doc = include_str!("../pretrained/mnist-classic.md")]
    MnistClassic,
    #[doc = include_str!("../pretrained/mnist-modern.md")]
    MnistModern,
}

impl Pretrained {
    /// All pretrained networks.
    pub const ALL: [Self; 4] = [
        Self::FashionMnistClassic,
        Self::FashionMnistModern,
        Self::MnistClassic,
        Self::MnistModern,
    ];

    /// The name, as parsed by `FromStr` and printed by `Display`: data set and preset, such as
    /// `fashion-mnist-modern`.
    pub fn name(self) -> &'static str {
        match self {
            Self::FashionMnistClassic => "fashion-mnist-classic",
            Self::FashionMnistModern => "fashion-mnist-modern",
            Self::MnistClassic => "mnist-classic",
            Self::MnistModern => "mnist-modern",
        }
    }

    /// The name of the data set it was trained on, such as `fashion-mnist`.
    pub fn dataset(self) -> &'static str {
        match self {
            Self::FashionMnistClassic | Self::FashionMnistModern => "fashion-mnist",
            Self::MnistClassic | Self::MnistModern => "mnist",
        }
    }

    /// The model card in Markdown: recipe, command, seed, test accuracy, confusion matrix and licence of the
    /// images.
    pub fn model_card(self) -> &'static str {
        match self {
            Self::FashionMnistClassic => include_str!("../pretrained/fashion-mnist-classic.md"),
            Self::FashionMnistModern => include_str!("../pretrained/fashion-mnist-modern.md"),
            Self::MnistClassic => include_str!("../pretrained/mnist-classic.md"),
            Self::MnistModern => include_str!("../pretrained/mnist-modern.md"),
        }
    }

    /// The fraction of the data set's test images that it classifies correctly, as the model card says.
    ///
    /// ```
    /// use lenet_core::Pretrained;
    ///
    /// let accuracy = Pretrained::MnistModern.test_accuracy();
    /// let card = Pretrained::MnistModern.model_card();
    /// assert!(card.contains(&format!("| test accuracy | {accuracy:.4} on 10000 images")));
    /// ```
    pub fn test_accuracy(self) -> f64 {
        match self {
            Self::FashionMnistClassic => 0.8926,
            Self::FashionMnistModern => 0.9112,
            Self::MnistClassic => 0.9893,
            Self::MnistModern => 0.9919,
        }
    }

    /// The contents of a safetensors file with the weights, and with the configuration in its metadata.
    pub fn safetensors(self) -> &'static [u8] {
        match self {
            Self::FashionMnistClassic => {
                include_bytes!("../pretrained/fashion-mnist-classic.safetensors")
            }
            Self::FashionMnistModern => {
                include_bytes!("../pretrained/fashion-mnist-modern.safetensors")
            }
            Self::MnistClassic => include_bytes!("../pretrained/mnist-classic.safetensors"),
            Self::MnistModern => include_bytes!("../pretrained/mnist-modern.safetensors"),
        }
    }
}

impl fmt::Display for Pretrained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No pretrained network has this name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown pretrained network '{found}': expected one of {}", Pretrained::ALL.map(Pretrained::name).join(", "))]
pub struct UnknownPretrained {
    /// The unknown name.
    pub found: String,
}

impl FromStr for Pretrained {
    type Err = UnknownPretrained;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter();
        all.find(|pretrained| pretrained.name() == name)
            .ok_or_else(|| UnknownPretrained {
                found: name.to_owned(),
            })
    }
}

impl LeNet {
    /// Creates a trained network on `device`.
    ///
    /// It takes images `[batch, 1, 28, 28]` with values from 0 (black) to 1 (white), and outputs logits
    /// `[batch, 10]` in the order of the data set's labels.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use lenet_core::{LeNet, Pretrained};
    ///
    /// let device = Device::flex();
    /// let lenet = LeNet::pretrained(Pretrained::MnistModern, &device)?;
    /// let predictions = lenet.predict(Tensor::zeros([1, 1, 28, 28], &device))?;
    /// println!("digit {}", predictions[0].class());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`WeightsError`] if the weights cannot be loaded, which would be a bug of this crate.
    pub fn pretrained(pretrained: Pretrained, device: &Device) -> Result<Self, WeightsError> {
        let weights = Weights::from_bytes(pretrained.safetensors())?;
        Self::from_weights(weights, device)
    }
}
