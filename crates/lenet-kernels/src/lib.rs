#![doc = include_str!("../README.md")]

mod activation;
mod backward;
mod correlate;
mod error;
mod forward;
mod geometry;
mod kernel;
mod level;
mod pooling;

pub use activation::Activation;
pub use error::KernelError;
pub use geometry::Shape;
pub use kernel::{BackwardArguments, ConvBlockKernel, Gradients, Saved};
pub use level::Level;
pub use pooling::Pooling;
