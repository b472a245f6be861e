use thiserror::Error;

/// Why a kernel did not run.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KernelError {
    /// A shape that leaves nothing to compute, or more than this machine can address.
    #[error(
        "a {kernel_size}×{kernel_size} kernel from {in_channels} to {out_channels} channels of {height}×{width} padded \
         by {padding} leaves nothing to pool, or more than this machine can address"
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
    /// More values than this machine can address.
    #[error("a batch of {batch} is more than this machine can address")]
    Batch {
        /// Number of samples.
        batch: usize,
    },
    /// A slice of the wrong length.
    #[error("{what} has {found} values, expected {expected}")]
    Length {
        /// The slice.
        what: &'static str,
        /// Values by the shape.
        expected: usize,
        /// Values that are there.
        found: usize,
    },
    /// A label of no class.
    #[error("there is no class {label}: there are {classes}, from 0")]
    Label {
        /// The label.
        label: usize,
        /// Number of classes.
        classes: usize,
    },
}
