//! The errors of configurations, images and weights. Those of files and devices are defined beside their code.

use std::path::PathBuf;

use thiserror::Error;

use crate::ReadBackError;
use crate::file::FileError;

/// Why a [`LeNetConfig`](crate::LeNetConfig) is impossible.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A size that must be at least 1 is zero.
    #[error("{what} is 0, but must be at least 1")]
    Zero {
        /// What is zero, such as `out_channels of conv2`.
        what: String,
    },
    /// There are no convolutions.
    #[error("out_channels is empty, but a LeNet has at least one convolution")]
    NoConvolution,
    /// The length of a list is not the number of convolutions.
    #[error(
        "{setting} has {found} values for {expected} convolutions: give one number for all, or {expected} numbers"
    )]
    ListLength {
        /// The field's name.
        setting: &'static str,
        /// The number of convolutions.
        expected: usize,
        /// The number of values listed.
        found: usize,
    },
    /// A kernel is larger than its padded input.
    #[error(
        "{layer}: a {kernel_size}×{kernel_size} kernel does not fit an input of {height}×{width} padded by {padding} \
         ({padded_height}×{padded_width}); use a smaller kernel, more padding, larger images or fewer convolutions",
        padded_height = height.saturating_add(padding.saturating_mul(2)),
        padded_width = width.saturating_add(padding.saturating_mul(2))
    )]
    KernelTooLarge {
        /// The layer's name, such as `conv2`.
        layer: String,
        /// Height and width of the kernel.
        kernel_size: usize,
        /// Padding on each side.
        padding: usize,
        /// Height of the layer's input without padding.
        height: usize,
        /// Width of the layer's input without padding.
        width: usize,
    },
    /// A feature map is too small for a 2×2 window.
    #[error(
        "{layer}: 2×2 pooling leaves nothing of an input of {height}×{width}; use larger images, more padding or fewer convolutions"
    )]
    NothingLeft {
        /// The layer's name, such as `conv2.pool`.
        layer: String,
        /// Height of the pooling's input.
        height: usize,
        /// Width of the pooling's input.
        width: usize,
    },
    /// The network has more parameters, or a larger feature map, than is supported.
    #[error(
        "{layer}: the network exceeds {limit} numbers here; reduce channels, kernels, dense layers or image size"
    )]
    TooLarge {
        /// The layer that exceeds the limit.
        layer: String,
        /// The largest number of parameters of a network, and of values of a feature map.
        limit: usize,
    },
    /// The network has more layers than is supported.
    #[error(
        "the network has {found} convolutions and dense layers, but at most {limit} are supported"
    )]
    TooManyLayers {
        /// The largest number of layers.
        limit: usize,
        /// The number in the configuration.
        found: usize,
    },
    /// The standard deviation of [`Initializer::Normal`](crate::Initializer::Normal) is invalid.
    #[error("the initializer's standard deviation is {found}, but must be finite and above 0")]
    StandardDeviation {
        /// The value in the configuration.
        found: f64,
    },
}

/// The images have another shape than the network takes.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "images have shape {found:?}, but the network takes [batch, {}, {}, {}] (batch, channel, height, width)",
    expected[0], expected[1], expected[2]
)]
pub struct InputError {
    /// Channel, height and width that the network takes.
    pub expected: [usize; 3],
    /// Shape of the images: batch, channel, height and width.
    pub found: [usize; 4],
}

/// A tensor that differs between a weights file and a network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TensorDifference {
    /// A parameter of the network is missing in the file.
    #[error("{name}: missing, expected shape {expected:?}")]
    Missing {
        /// Key of the tensor.
        name: String,
        /// Shape the network needs.
        expected: Vec<usize>,
    },
    /// A tensor in the file does not belong to the network.
    #[error("{name}: not part of this network, shape {found:?}")]
    Unexpected {
        /// Key of the tensor.
        name: String,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// The shapes differ.
    #[error("{name}: expected shape {expected:?}, found {found:?}")]
    Shape {
        /// Key of the tensor.
        name: String,
        /// Shape the network needs.
        expected: Vec<usize>,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// The element type is not 32-bit float.
    #[error("{name}: expected element type F32, found {found}")]
    ElementType {
        /// Key of the tensor.
        name: String,
        /// Element type in the file, in the format's own spelling.
        found: String,
    },
    /// The number of values does not match the shape.
    #[error("{name}: expected {expected} values, found {found}")]
    Length {
        /// Key of the tensor.
        name: String,
        /// Number of values according to the shape.
        expected: usize,
        /// Number of values found.
        found: usize,
    },
    /// A value is infinite or not a number.
    #[error("{name}: value {index} is {found}, not a finite number")]
    NotFinite {
        /// Key of the tensor.
        name: String,
        /// Index of the first such value.
        index: usize,
        /// The value.
        found: String,
    },
    /// The values could not be read.
    #[error("{name}: {reason}")]
    Unreadable {
        /// Key of the tensor.
        name: String,
        /// What is wrong.
        reason: String,
    },
}

/// Why weights were not saved or loaded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The contents of a file are not usable weights.
    #[error("{}", path.display())]
    Contents {
        /// The file.
        path: PathBuf,
        /// What is wrong with its contents.
        source: Box<WeightsError>,
    },
    /// The format is unknown.
    #[error(
        "not a weights file: expected safetensors, a burn record or a PyTorch file, found one that starts with {start:02x?}"
    )]
    UnknownFormat {
        /// The first bytes, at most eight.
        start: Vec<u8>,
    },
    /// The file is damaged, or a variant of its format that cannot be read.
    #[error("not a readable {format} file: {reason}")]
    Format {
        /// The format, according to the first bytes.
        format: &'static str,
        /// What the parser reports.
        reason: String,
    },
    /// The configuration in the file's metadata is invalid, or written by an incompatible version.
    #[error("cannot read the network configuration in the file")]
    Metadata(#[from] serde_json::Error),
    /// The file contains tensors only, and no preset was given.
    #[error(
        "the file does not contain the network's configuration: call `Weights::with_preset`, such as with \
         `LeNetConfig::modern(10)`, to supply activation, pooling, padding and image size"
    )]
    UnknownConfig,
    /// The tensors are not those of a LeNet, or not of one that takes images of the preset's size.
    #[error("these tensors do not form a LeNet: {reason}")]
    Shapes {
        /// What was expected and what was found.
        reason: String,
    },
    /// The configuration in the file describes an impossible network.
    #[error("invalid network configuration in the file")]
    Config(#[from] ConfigError),
    /// The file holds the weights of another network.
    #[error("these are the weights of another network:{}", list(differences))]
    Mismatch {
        /// Every tensor that differs, in the order of the network's parameters.
        differences: Vec<TensorDifference>,
    },
    /// The file's network has the same shapes, but computes something else.
    #[error("these are the weights of another network: expected {what} {expected}, found {found}")]
    Function {
        /// The setting that differs: `activation`, `pooling` or `padding`.
        what: &'static str,
        /// The setting of the network to load into.
        expected: String,
        /// The setting in the file.
        found: String,
    },
    /// A parameter could not be read from its device.
    #[error("cannot read the parameter {name}")]
    Device {
        /// Key of the tensor.
        name: String,
        /// The device's error.
        source: ReadBackError,
    },
}

/// Number of differences listed in a message; the error itself has all.
const LISTED: usize = 50;

fn list(differences: &[TensorDifference]) -> String {
    let shown = differences.iter().take(LISTED);
    let mut lines: String = shown
        .map(|difference| format!("\n  {difference}"))
        .collect();
    if let Some(more @ 1..) = differences.len().checked_sub(LISTED) {
        lines.push_str(&format!("\n  and {more} more"));
    }
    lines
}
