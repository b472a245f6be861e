#![doc = include_str!("../README.md")]
#![allow(
    clippy::indexing_slicing,
    reason = "kernels index the buffers of a GPU, with bounds checks there; on the host, lists have an entry for each \
              layer or network, so an index out of bounds is a bug that must panic"
)]

mod activation;
mod buffer;
mod conv;
mod cross_entropy;
mod dense;
mod ensemble;
mod error;
mod images;
mod launch;
mod layers;
mod network;
mod predictions;
mod recording;
mod schedule;
mod sgd;
mod step;

use buffer::Buffer;
pub use ensemble::Ensemble;
pub use error::GpuError;
pub use images::{DeviceImages, Place};
pub use layers::{GpuConvBlock, GpuDense, LayerGradients, LayerPass, Operands, cross_entropy};
pub use network::Layers;
use network::Parameters;
pub use predictions::{Predictions, predict};
pub use step::Step;
