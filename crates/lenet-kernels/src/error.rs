//! What callers can get wrong. Internal mistakes panic instead.

use thiserror::Error;

use crate::Shape;

/// Why a layer was not computed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KernelError {
    /// A convolution block that leaves nothing to compute, or is larger than this machine can address.
    #[error(
        "a {k}×{k} kernel from {} to {} channels on maps of {}×{}, padded by {}, leaves nothing to pool or exceeds \
         the address space",
        .0.in_channels, .0.out_channels, .0.height, .0.width, .0.padding, k = .0.kernel_size
    )]
    Shape(Shape),
    /// A batch whose results exceed the address space.
    #[error("the results of a batch of {batch} exceed the address space")]
    Batch {
        /// Number of samples.
        batch: usize,
    },
    /// A slice of the wrong length.
    #[error("{what} has {found} values, expected {expected}")]
    Length {
        /// Name of the slice.
        what: &'static str,
        /// Number of values that the shapes require.
        expected: usize,
        /// Number of values in the slice.
        found: usize,
    },
    /// Values that the forward pass of a plan with another layout saved.
    #[error(
        "another plan saved these values, in another layout; expected those of this plan's forward pass"
    )]
    Saved,
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
    /// A label that is not a class.
    #[error("invalid label {label}: expected a class from 0 to below {classes}")]
    Label {
        /// The label.
        label: usize,
        /// Number of classes.
        classes: usize,
    },
}

/// Checks the length of a slice; `expected` is `None` if the product of its dimensions overflowed.
pub(crate) fn check_len<T>(
    what: &'static str,
    expected: Option<usize>,
    found: &[T],
) -> Result<(), KernelError> {
    if expected == Some(found.len()) {
        return Ok(());
    }
    Err(KernelError::Length {
        what,
        expected: expected.unwrap_or(usize::MAX),
        found: found.len(),
    })
}
