//! The shape of a convolution block, as callers describe it.

/// The shapes of one convolution block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Height of the input.
    pub height: usize,
    /// Width of the input.
    pub width: usize,
    /// Height and width of the kernel.
    pub kernel_size: usize,
    /// Zeros added on each side.
    pub padding: usize,
}
