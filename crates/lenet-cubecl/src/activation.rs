//! The activations and their derivatives.

use cubecl::prelude::*;
use lenet_kernels::Activation;

/// The activation of a value. Maxima and exponentials of some drivers lose NaN, which shows that a network diverged.
#[cube]
pub(crate) fn activate(value: f32, #[comptime] activation: Activation) -> f32 {
    match comptime!(activation) {
        Activation::Relu => select(value < 0.0, 0.0f32, value),
        Activation::Sigmoid => select(value.is_nan(), value, 1.0 / (1.0 + (-value).exp())),
        // Some drivers return NaN for the hyperbolic tangent of large values.
        Activation::Tanh => {
            let tanh = 1.0 - 2.0 / (1.0 + (2.0 * value).exp());
            select(value.is_nan(), value, tanh)
        }
    }
}

/// The derivative of the activation that returned `output`.
#[cube]
pub(crate) fn derivative(output: f32, #[comptime] activation: Activation) -> f32 {
    match comptime!(activation) {
        Activation::Relu => select(output > 0.0, 1.0f32, 0.0f32),
        Activation::Sigmoid => output * (1.0 - output),
        Activation::Tanh => 1.0 - output * output,
    }
}
