//! What callers can get wrong, and devices.

use lenet_kernels::Shape;
use thiserror::Error;

/// Why nothing was computed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GpuError {
    /// A convolution block that leaves nothing to compute.
    #[error(
        "a {k}×{k} kernel from {} to {} channels on maps of {}×{}, padded by {}, leaves nothing to pool",
        .0.in_channels, .0.out_channels, .0.height, .0.width, .0.padding, k = .0.kernel_size
    )]
    Shape(Shape),
    /// A buffer of the wrong length.
    #[error("{what} has {found} values, expected {expected}")]
    Length {
        /// Name of the buffer.
        what: &'static str,
        /// Number of values that the shapes require.
        expected: usize,
        /// Number of values in the buffer.
        found: usize,
    },
    /// Layers that do not form a network.
    #[error("layer {layer} has {inputs} inputs, but the layer before it has {outputs} outputs")]
    Layers {
        /// Number of the layer, from 1.
        layer: usize,
        /// Values of one sample's input.
        inputs: usize,
        /// Values of one sample's output of the layer before it.
        outputs: usize,
    },
    /// A network or data set that is too large for the device: for a buffer, for the memory that a cube shares, or for
    /// the number of cubes.
    #[error("too large for the device: {found} where it allows {limit} {what}")]
    TooLarge {
        /// What is limited.
        what: &'static str,
        /// How much is needed.
        found: u64,
        /// How much there is.
        limit: u64,
    },
    /// The device reported an error.
    #[error("the device failed: {0}")]
    Device(String),
}
