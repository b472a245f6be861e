#![doc = include_str!("../README.md")]

mod activation;
mod aligned;
mod backward;
mod channels;
mod cross_entropy;
mod dense;
mod epilogue;
mod error;
mod forward;
mod geometry;
mod kernel;
mod layout;
mod level;
mod patches;
mod pooling;
mod product;
mod unfilled;
mod windows;

pub use activation::Activation;
pub use cross_entropy::CrossEntropyKernel;
pub use dense::{DenseBackwardArguments, DenseKernel};
pub use error::KernelError;
pub use geometry::Shape;
pub use kernel::{BackwardArguments, ConvBlockKernel, Gradients, Saved};
pub use level::Level;
pub use pooling::Pooling;
