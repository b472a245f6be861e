use thiserror::Error;

/// Why a layer was not computed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KernelError {
    /// A convolution block that leaves nothing to compute, or is larger than this machine can address.
    #[error(
        "a {kernel_size}×{kernel_size} kernel from {in_channels} to {out_channels} channels on maps of \
         {height}×{width}, padded by {padding}, leaves nothing to pool or exceeds the address space"
    )]
    Shape {
        /// Channels of the input.
        in_channels: usize,
        /// Channels of the output.
        out_channels: usize,
        /// Height and width of the kernel.
        kernel_size: usize,
        /// Zeros on each side.
        padding: usize,
        /// Height of the input.
        height: usize,
        /// Width of the input.
        width: usize,
    },
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
