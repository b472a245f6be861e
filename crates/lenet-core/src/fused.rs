//! The convolution block on Flex: one pass of `lenet-kernels`, with its own backward.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, DispatchDevice, Flex, backend_extension};
use burn::tensor::{DType, Tensor, TensorData};
use lenet_kernels::{BackwardArguments, ConvBlockKernel, KernelError, Saved, Shape};

use crate::{Activation, Pooling};

/// The block, if the tensors lie on Flex in 32-bit floats and the kernels cover it.
pub(crate) fn conv_block(
    input: &Tensor<4>,
    weight: &Tensor<4>,
    bias: &Tensor<1>,
    padding: usize,
    activation: Activation,
    pooling: Pooling,
) -> Option<Tensor<4>> {
    let device = input.device().without_autodiff();
    let floats = [input.dtype(), weight.dtype(), bias.dtype()];
    if !matches!(device.as_dispatch(), DispatchDevice::Flex(_)) || floats != [DType::F32; 3] {
        return None;
    }
    let [_, in_channels, height, width] = input.dims();
    let [out_channels, kernel_channels, kernel_size, kernel_width] = weight.dims();
    if kernel_channels != in_channels
        || kernel_width != kernel_size
        || bias.dims() != [out_channels]
    {
        return None;
    }
    let shape = Shape {
        in_channels,
        out_channels,
        height,
        width,
        kernel_size,
        padding,
    };
    let activation = match activation {
        Activation::Sigmoid => lenet_kernels::Activation::Sigmoid,
        Activation::Relu => lenet_kernels::Activation::Relu,
        Activation::Tanh => lenet_kernels::Activation::Tanh,
    };
    let pooling = match pooling {
        Pooling::Average => lenet_kernels::Pooling::Average,
        Pooling::Max => lenet_kernels::Pooling::Max,
    };
    let kernel = ConvBlockKernel::new(shape, activation, pooling).ok()?;
    Some(Tensor::from_dispatch(
        <Dispatch as ConvBlockBackend>::conv_block(
            input.clone().into_dispatch(),
            weight.clone().into_dispatch(),
            bias.clone().into_dispatch(),
            kernel,
        ),
    ))
}

/// Flex extended by the block.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait ConvBlockBackend: Backend {
    /// See [`conv_block`](crate::conv_block).
    fn conv_block(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        kernel: ConvBlockKernel,
    ) -> FloatTensor<Self>;
}

type FlexTensor = FloatTensor<Flex>;

impl ConvBlockBackend for Flex {
    fn conv_block(
        input: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        kernel: ConvBlockKernel,
    ) -> FlexTensor {
        let (output, _) = forward(
            &input.to_contiguous(),
            &weight.to_contiguous(),
            bias,
            &kernel,
        );
        output
    }
}

impl<C: CheckpointStrategy> ConvBlockBackend for Autodiff<Flex, C> {
    fn conv_block(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        kernel: ConvBlockKernel,
    ) -> FloatTensor<Self> {
        let nodes = [input.node(), weight.node(), bias.node()];
        let (input, weight) = (
            input.primitive().to_contiguous(),
            weight.primitive().to_contiguous(),
        );
        let (output, saved) = forward(&input, &weight, bias.primitive().clone(), &kernel);
        match ConvBlockBackward
            .prepare::<C>(nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prepared) => {
                let state = ForwardState {
                    input,
                    weight,
                    output: output.clone(),
                    saved: Arc::new(saved),
                    kernel,
                };
                prepared.finish(state, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}

#[derive(Debug)]
struct ConvBlockBackward;

/// What the forward pass leaves for the backward pass.
#[derive(Clone, Debug)]
struct ForwardState {
    input: FlexTensor,
    weight: FlexTensor,
    output: FlexTensor,
    saved: Arc<Saved>,
    kernel: ConvBlockKernel,
}

impl Backward<Flex, 3> for ConvBlockBackward {
    type State = ForwardState;

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let [input_node, weight_node, bias_node] = ops.parents;
        let ForwardState {
            input,
            weight,
            output,
            saved,
            kernel,
        } = ops.state;
        let output_gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let [batch, ..] = input.layout().shape().dims::<4>();
        let found = fits(kernel.backward(BackwardArguments {
            batch,
            input: input.storage(),
            weight: weight.storage(),
            output: output.storage(),
            saved: &saved,
            output_gradient: output_gradient.storage(),
            input_gradient: input_node.is_some(),
        }));
        if let Some(node) = input_node {
            let shape = input.layout().shape().dims::<4>();
            gradients.register::<Flex>(node.id, tensor(found.input, shape));
        }
        if let Some(node) = weight_node {
            let shape = weight.layout().shape().dims::<4>();
            gradients.register::<Flex>(node.id, tensor(found.weight, shape));
        }
        if let Some(node) = bias_node {
            let shape = [found.bias.len()];
            gradients.register::<Flex>(node.id, tensor(found.bias, shape));
        }
    }
}

fn forward(
    input: &FlexTensor,
    weight: &FlexTensor,
    bias: FlexTensor,
    kernel: &ConvBlockKernel,
) -> (FlexTensor, Saved) {
    let [batch, ..] = input.layout().shape().dims::<4>();
    let [out_channels, ..] = weight.layout().shape().dims::<4>();
    let [height, width] = kernel.output_size();
    let bias = bias.to_contiguous();
    let (output, saved) =
        fits(kernel.forward(batch, input.storage(), weight.storage(), bias.storage()));
    (tensor(output, [batch, out_channels, height, width]), saved)
}

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// Tensors carry their shapes, and the kernel was made for those.
fn fits<T>(result: Result<T, KernelError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => unreachable!("{error}"),
    }
}
