//! Why something could not be computed.

use lenet_core::{ConfigError, ReadBackError};
use thiserror::Error;

/// Why something could not be computed about a network and an image.
#[derive(Debug, Error)]
pub(crate) enum EngineError {
    #[error(
        "the network takes images with {found} channels, but the explorer shows grey images: expected 1 channel"
    )]
    Channels { found: usize },
    #[error(
        "the image has {}×{} pixels, but the network takes {}×{} (height × width)",
        found[0], found[1], expected[0], expected[1]
    )]
    ImageSize {
        expected: [usize; 2],
        found: [usize; 2],
    },
    #[error("unknown class {found}: the network has {classes} classes, counted from 0")]
    Class { found: usize, classes: usize },
    #[error("unknown stage '{found}': expected one of {expected}")]
    Stage { found: String, expected: String },
    #[error(
        "the units of {stage} have no weights of their own: pick one of a convolution or a dense layer"
    )]
    NoWeights { stage: String },
    #[error("unknown channel {found} of {stage}: it has {channels}, counted from 0")]
    Channel {
        stage: String,
        found: usize,
        channels: usize,
    },
    #[error(
        "{stage} of the network is not finite for this image: its weights are too large; if it is being trained, \
         start again with a lower learning rate"
    )]
    NotFinite { stage: String },
    #[error(transparent)]
    ReadBack(#[from] ReadBackError),
    #[error("the network in memory has an impossible configuration: {0}")]
    Network(#[from] ConfigError),
}

impl EngineError {
    /// Whether the device or the program failed, and not the request.
    pub(crate) fn is_internal(&self) -> bool {
        match self {
            Self::ReadBack(_) | Self::Network(_) => true,
            Self::Channels { .. }
            | Self::ImageSize { .. }
            | Self::Class { .. }
            | Self::Stage { .. }
            | Self::NoWeights { .. }
            | Self::Channel { .. }
            | Self::NotFinite { .. } => false,
        }
    }
}
