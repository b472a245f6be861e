#![doc = include_str!("../README.md")]
//!
//! # Map of the source
//!
//! | room | what it holds |
//! |---|---|
//! | `conv/` | the convolution block: its plan, the two layouts of its vectors, the patches of its gradients |
//! | `dense/` | the dense layer: panels of a matrix and the product that reads them |
//! | `simd/` | SIMD levels, aligned memory, results that several threads write |
//! | `network.rs` | a training step of a whole network, in two passes over the threads |
//! | `activation.rs`, `cross_entropy.rs`, `error.rs`, `shape.rs`, `spare.rs` | what fits in one file |

mod activation;
mod conv;
mod cross_entropy;
mod dense;
mod error;
mod network;
mod shape;
mod simd;
mod spare;

pub use activation::Activation;
pub use conv::{ConvBackward, ConvPlan, Pooling, Saved};
pub use cross_entropy::CrossEntropy;
pub use dense::{DenseBackward, DensePlan};
pub use error::KernelError;
pub use network::NetworkPlan;
pub use shape::Shape;
pub use simd::SimdLevel;

/// The parameters of a layer.
#[derive(Clone, Copy, Debug)]
pub struct Parameters<'a> {
    /// Weights: `[out_channels, in_channels, kernel_size, kernel_size]` of a convolution block,
    /// `[inputs, outputs]` of a dense layer.
    pub weight: &'a [f32],
    /// Biases, one for each output channel or output.
    pub bias: &'a [f32],
}

/// The gradients that a layer's backward pass computes, each in the shape of its values.
#[derive(Clone, Debug, Default)]
pub struct Gradients {
    /// Gradient of the input; empty unless it was requested.
    pub input: Vec<f32>,
    /// Gradient of the weights.
    pub weight: Vec<f32>,
    /// Gradient of the biases.
    pub bias: Vec<f32>,
}
