//! The exercises of *Dive into Deep Learning*, section 7.6. Each is one file that declares what is compared, with which
//! recipe and how many seeds.
//!
//! To add an exercise, add a file with an [`Exercise`], a line to [`ALL`], and an example that runs it.

mod lenet;
mod q1_modern;
mod q2_best;
mod q2_channels;
mod q2_conv_layers;
mod q2_fc_layers;
mod q2_kernel;
mod q2_learning_rate;
mod q2_training;
mod q3_mnist;
mod q4_activations;
pub(crate) mod q5_unfamiliar;

use crate::Exercise;

pub use lenet::LENET;
pub use q1_modern::Q1_MODERN;
pub use q2_best::Q2_BEST;
pub use q2_channels::Q2_CHANNELS;
pub use q2_conv_layers::Q2_CONV_LAYERS;
pub use q2_fc_layers::Q2_FC_LAYERS;
pub use q2_kernel::Q2_KERNEL;
pub use q2_learning_rate::Q2_LEARNING_RATE;
pub use q2_training::Q2_TRAINING;
pub use q3_mnist::Q3_MNIST;
pub use q4_activations::Q4_ACTIVATIONS;
pub use q5_unfamiliar::Q5_UNFAMILIAR;

/// Every exercise, in the order of the report.
pub const ALL: [&Exercise; 12] = [
    &LENET,
    &Q1_MODERN,
    &Q2_KERNEL,
    &Q2_CHANNELS,
    &Q2_CONV_LAYERS,
    &Q2_FC_LAYERS,
    &Q2_LEARNING_RATE,
    &Q2_TRAINING,
    &Q2_BEST,
    &Q3_MNIST,
    &Q4_ACTIVATIONS,
    &Q5_UNFAMILIAR,
];
