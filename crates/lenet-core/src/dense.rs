use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::module::linear;

use crate::Activation;
use crate::conv_block::activate;

/// A dense layer and its activation, if it has one: `activation(input · weight + bias)`.
///
/// On Flex in 32-bit floats it is one pass of `lenet-kernels`; on a GPU in 32-bit floats, one launch of
/// `lenet-cubecl`. Otherwise it is composed of burn's operations.
///
/// # Shapes
///
/// - `input`: `[batch, inputs]`
/// - `weight`: `[inputs, outputs]`
/// - `bias`: `[outputs]`
/// - result: `[batch, outputs]`
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use lenet_core::{Activation, dense};
///
/// let device = Device::flex();
/// let output = dense(
///     Tensor::from_floats([[1.0, -1.0]], &device),
///     Tensor::from_floats([[1.0, 2.0], [3.0, 0.5]], &device),
///     Tensor::zeros([2], &device),
///     Some(Activation::Relu),
/// );
/// assert_eq!(output.into_data().try_to_vec::<f32>().ok(), Some(vec![0.0, 1.5]));
/// ```
///
/// # Panics
///
/// If the shapes do not match, with the message of burn's `linear`. [`LeNetConfig`](crate::LeNetConfig) makes
/// layers whose shapes match.
pub fn dense(
    input: Tensor<2>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    activation: Option<Activation>,
) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if let Some(output) = crate::fused::dense(&input, &weight, &bias, activation) {
        return output;
    }
    #[cfg(feature = "gpu")]
    if let Some(output) = crate::gpu::dense(&input, &weight, &bias, activation) {
        return output;
    }
    let output = linear(input, weight, Some(bias));
    match activation {
        Some(activation) => activate(output, activation),
        None => output,
    }
}

/// The parameters of one [`dense`] layer.
#[derive(Module, Debug)]
pub struct Dense {
    /// Weights, `[inputs, outputs]`: the transpose of those in PyTorch's `Linear`.
    pub weight: Param<Tensor<2>>,
    /// Biases, `[outputs]`.
    pub bias: Param<Tensor<1>>,
}

impl Dense {
    /// Applies the layer: `[batch, inputs]` becomes `[batch, outputs]`, see [`dense`].
    ///
    /// # Panics
    ///
    /// See [`dense`].
    pub fn forward(&self, input: Tensor<2>, activation: Option<Activation>) -> Tensor<2> {
        dense(input, self.weight.val(), self.bias.val(), activation)
    }
}
