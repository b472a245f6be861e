use std::sync::OnceLock;

use burn::module::{Content, Module, ModuleDisplay, Param};
use burn::tensor::module::{avg_pool2d, conv2d, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions};
use burn::tensor::{Tensor, activation};
use lenet_kernels::ConvPlan;

use crate::{Activation, Pooling};

/// Convolution (stride 1), bias, activation and 2×2 pooling (stride 2) in one operation.
///
/// On Flex in 32-bit floats it is one pass of `lenet-kernels`, planned again at every call;
/// [`ConvBlock`] keeps the plan. On a GPU in 32-bit floats it is one launch of `lenet-cubecl`.
/// Otherwise it is composed of burn's operations.
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
/// If the shapes do not match, with the message of burn's operation. [`LeNetConfig`](crate::LeNetConfig)
/// rejects networks whose shapes do not match.
pub fn conv_block(
    input: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    padding: usize,
    activation: Activation,
    pooling: Pooling,
) -> Tensor<4> {
    let plan = OnceLock::new();
    planned(input, weight, bias, padding, activation, pooling, &plan)
}

/// [`conv_block`] with a plan for the kernels, which the first call makes.
fn planned(
    input: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    padding: usize,
    activation: Activation,
    pooling: Pooling,
    #[cfg_attr(
        not(feature = "flex"),
        expect(unused_variables, reason = "only Flex has kernels")
    )]
    plan: &OnceLock<ConvPlan>,
) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if let Some(output) =
        crate::fused::conv_block(&input, &weight, &bias, padding, activation, pooling, plan)
    {
        return output;
    }
    #[cfg(feature = "gpu")]
    if let Some(output) =
        crate::gpu::conv_block(&input, &weight, &bias, padding, activation, pooling)
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
#[module(custom_display)]
pub struct ConvBlock {
    /// Kernels, `[out_channels, in_channels, kernel_size, kernel_size]`.
    pub weight: Param<Tensor<4>>,
    /// Biases, `[out_channels]`.
    pub bias: Param<Tensor<1>>,
    /// Zeros added on each side.
    #[module(skip)]
    pub padding: usize,
    /// The plan of the first call that the kernels computed.
    #[module(skip)]
    plan: OnceLock<ConvPlan>,
}

impl ConvBlock {
    /// A block of weights `[out_channels, in_channels, kernel_size, kernel_size]` and biases `[out_channels]`.
    pub fn new(weight: Param<Tensor<4>>, bias: Param<Tensor<1>>, padding: usize) -> Self {
        Self {
            weight,
            bias,
            padding,
            plan: OnceLock::new(),
        }
    }

    /// Applies the block: `[batch, in_channels, height, width]` becomes
    /// `[batch, out_channels, height', width']`, see [`conv_block`]. The kernels' plan for the first input size,
    /// activation and pooling is kept.
    ///
    /// # Panics
    ///
    /// See [`conv_block`].
    pub fn forward(&self, input: Tensor<4>, activation: Activation, pooling: Pooling) -> Tensor<4> {
        planned(
            input,
            self.weight.val(),
            self.bias.val(),
            self.padding,
            activation,
            pooling,
            &self.plan,
        )
    }
}

/// The parameters and the padding, without the plan.
impl ModuleDisplay for ConvBlock {
    fn custom_content(&self, content: Content) -> Option<Content> {
        content
            .add("weight", &self.weight)
            .add("bias", &self.bias)
            .add_debug_attribute("padding", &self.padding)
            .optional()
    }
}
