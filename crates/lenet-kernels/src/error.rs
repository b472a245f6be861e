use thiserror::Error;

/// Why a kernel did not run.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KernelError {
    /// A kernel size, padding or image size that leaves nothing to compute, or too much.
    #[error(
        "a {kernel_size}×{kernel_size} kernel on {height}×{width} padded by {padding} leaves nothing to pool, or more \
         than this machine can address"
    )]
    Shape {
        /// Height and width of the kernel.
        kernel_size: usize,
        /// Zeros on each side.
        padding: usize,
        /// Height of the input.
        height: usize,
        /// Width of the input.
        width: usize,
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
}
