use burn::module::{Module, Param};
use burn::tensor::module::{avg_pool2d, conv2d, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions};
use burn::tensor::{Tensor, activation};

use crate::{Activation, Pooling};

/// Convolution (stride 1), bias, activation and 2×2 pooling (stride 2) in one operation.
///
/// This is the one way in which the network convolves. On Flex in 32-bit floats it is one pass of
/// `lenet-kernels`; elsewhere it is composed of burn's operations, which every backend has.
///
/// # Shapes
///
/// - `input`: `[batch, in_channels, height, width]`
/// - `weight`: `[out_channels, in_channels, kernel_size, kernel_size]`
/// - `bias`: `[out_channels]`
/// - result: `[batch, out_channels, h / 2, w / 2]`, where `h = height + 2·padding − kernel_size + 1`
///   and `w` likewise
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use lenet_core::{Activation, Pooling, conv_block};
///
/// let device = Device::flex();
/// let output = conv_block(
///     Tensor::ones([1, 1, 4, 4], &device),
///     Tensor::ones([1, 1, 3, 3], &device),
///     Tensor::zeros([1], &device),
///     1,
///     Activation::Relu,
///     Pooling::Max,
/// );
/// assert_eq!(output.into_data().try_to_vec::<f32>().ok(), Some(vec![9.0; 4]));
/// ```
///
/// # Panics
///
/// As burn's operations do, if the shapes do not fit; [`LeNetConfig`](crate::LeNetConfig) refuses
/// such networks.
pub fn conv_block(
    input: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    padding: usize,
    activation: Activation,
    pooling: Pooling,
) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if let Some(output) =
        crate::fused::conv_block(&input, &weight, &bias, padding, activation, pooling)
    {
        return output;
    }
    pool(
        activate(convolve(input, weight, bias, padding), activation),
        pooling,
    )
}

pub(crate) fn convolve(
    input: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    padding: usize,
) -> Tensor<4> {
    let options = ConvOptions::new([1, 1], [padding, padding], [1, 1], 1);
    conv2d(input, weight, Some(bias), options)
}

pub(crate) fn activate<const D: usize>(input: Tensor<D>, function: Activation) -> Tensor<D> {
    match function {
        Activation::Sigmoid => activation::sigmoid(input),
        Activation::Relu => activation::relu(input),
        Activation::Tanh => activation::tanh(input),
    }
}

pub(crate) fn pool(input: Tensor<4>, pooling: Pooling) -> Tensor<4> {
    match pooling {
        Pooling::Average => avg_pool2d(input, AvgPoolOptions::new([2, 2])),
        Pooling::Max => max_pool2d(input, MaxPoolOptions::new([2, 2])),
    }
}

/// The parameters of one [`conv_block`].
#[derive(Module, Debug)]
pub struct ConvBlock {
    /// Kernels, `[out_channels, in_channels, kernel_size, kernel_size]`.
    pub weight: Param<Tensor<4>>,
    /// Biases, `[out_channels]`.
    pub bias: Param<Tensor<1>>,
    /// Zeros added on each side.
    #[module(skip)]
    pub padding: usize,
}

impl ConvBlock {
    /// Applies the block: `[batch, in_channels, height, width]` to
    /// `[batch, out_channels, height', width']`, see [`conv_block`].
    ///
    /// # Panics
    ///
    /// As [`conv_block`] does.
    pub fn forward(&self, input: Tensor<4>, activation: Activation, pooling: Pooling) -> Tensor<4> {
        conv_block(
            input,
            self.weight.val(),
            self.bias.val(),
            self.padding,
            activation,
            pooling,
        )
    }
}
