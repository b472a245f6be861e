//! The layers on Flex: one pass of `lenet-kernels` each, with its own backward.

use std::sync::Arc;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, DispatchDevice, Flex, backend_extension};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use lenet_kernels::{
    BackwardArguments, ConvBlockKernel, CrossEntropyKernel, DenseBackwardArguments, DenseKernel,
    KernelError, Saved, Shape,
};

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
    if !is_covered(
        &input.device(),
        [input.dtype(), weight.dtype(), bias.dtype()],
    ) {
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
    let pooling = match pooling {
        Pooling::Average => lenet_kernels::Pooling::Average,
        Pooling::Max => lenet_kernels::Pooling::Max,
    };
    let kernel = ConvBlockKernel::new(shape, kernel_activation(activation), pooling).ok()?;
    Some(Tensor::from_dispatch(
        <Dispatch as FusedBackend>::conv_block(
            input.clone().into_dispatch(),
            weight.clone().into_dispatch(),
            bias.clone().into_dispatch(),
            kernel,
        ),
    ))
}

/// The layer, if the tensors lie on Flex in 32-bit floats and fit together.
pub(crate) fn dense(
    input: &Tensor<2>,
    weight: &Tensor<2>,
    bias: &Tensor<1>,
    activation: Option<Activation>,
) -> Option<Tensor<2>> {
    let ([_, features], [inputs, outputs]) = (input.dims(), weight.dims());
    let covered = is_covered(
        &input.device(),
        [input.dtype(), weight.dtype(), bias.dtype()],
    );
    if !covered || features != inputs || bias.dims() != [outputs] {
        return None;
    }
    let kernel = DenseKernel::new(inputs, outputs, activation.map(kernel_activation));
    Some(Tensor::from_dispatch(<Dispatch as FusedBackend>::dense(
        input.clone().into_dispatch(),
        weight.clone().into_dispatch(),
        bias.clone().into_dispatch(),
        kernel,
    )))
}

/// The mean cross-entropy, if the logits lie on Flex in 32-bit floats, and every one of them has a label.
pub(crate) fn cross_entropy(logits: &Tensor<2>, labels: &Tensor<1, Int>) -> Option<Tensor<1>> {
    let [batch, classes] = logits.dims();
    if !is_flex(&logits.device()) || logits.dtype() != DType::F32 || batch == 0 {
        return None;
    }
    let labels = labels
        .to_data()
        .iter::<i64>()
        .map(usize::try_from)
        .collect::<Result<_, _>>();
    let labels: Vec<usize> = labels
        .ok()
        .filter(|labels: &Vec<_>| labels.len() == batch)?;
    let kernel = CrossEntropyKernel::new(classes, labels).ok()?;
    let logits = logits.clone().into_dispatch();
    let loss = <Dispatch as FusedBackend>::cross_entropy(logits, kernel);
    Some(Tensor::from_dispatch(loss))
}

fn is_covered(device: &Device, floats: [DType; 3]) -> bool {
    is_flex(device) && floats == [DType::F32; 3]
}

/// Whether the layers run in `lenet-kernels` on this device.
pub(crate) fn is_flex(device: &Device) -> bool {
    let device = device.clone().without_autodiff();
    matches!(device.as_dispatch(), DispatchDevice::Flex(_))
}

fn kernel_activation(activation: Activation) -> lenet_kernels::Activation {
    match activation {
        Activation::Sigmoid => lenet_kernels::Activation::Sigmoid,
        Activation::Relu => lenet_kernels::Activation::Relu,
        Activation::Tanh => lenet_kernels::Activation::Tanh,
    }
}

/// Flex extended by the layers.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait FusedBackend: Backend {
    /// See [`conv_block`](crate::conv_block).
    fn conv_block(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        kernel: ConvBlockKernel,
    ) -> FloatTensor<Self>;

    /// See [`dense`](crate::dense).
    fn dense(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        kernel: DenseKernel,
    ) -> FloatTensor<Self>;

    /// See [`cross_entropy`](crate::cross_entropy).
    fn cross_entropy(logits: FloatTensor<Self>, kernel: CrossEntropyKernel) -> FloatTensor<Self>;
}

type FlexTensor = FloatTensor<Flex>;

impl FusedBackend for Flex {
    fn conv_block(
        input: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        kernel: ConvBlockKernel,
    ) -> FlexTensor {
        conv_block_inference(
            &input.to_contiguous(),
            &weight.to_contiguous(),
            bias,
            &kernel,
        )
    }

    fn dense(
        input: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        kernel: DenseKernel,
    ) -> FlexTensor {
        dense_forward(
            &input.to_contiguous(),
            &weight.to_contiguous(),
            bias,
            &kernel,
        )
    }

    fn cross_entropy(logits: FlexTensor, kernel: CrossEntropyKernel) -> FlexTensor {
        let (loss, _) = fits(kernel.forward(logits.to_contiguous().storage()));
        tensor(vec![loss], [1])
    }
}

impl<C: CheckpointStrategy> FusedBackend for Autodiff<Flex, C> {
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
        let bias = bias.into_primitive();
        match ConvBlockBackward
            .prepare::<C>(nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prepared) => {
                let (output, saved) = conv_block_forward(&input, &weight, bias, &kernel);
                let state = ConvBlockState {
                    input,
                    weight,
                    output: output.clone(),
                    saved: Arc::new(saved),
                    kernel,
                };
                prepared.finish(state, output)
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(conv_block_inference(&input, &weight, bias, &kernel))
            }
        }
    }

    fn dense(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        kernel: DenseKernel,
    ) -> FloatTensor<Self> {
        let nodes = [input.node(), weight.node(), bias.node()];
        let (input, weight) = (
            input.primitive().to_contiguous(),
            weight.primitive().to_contiguous(),
        );
        let output = dense_forward(&input, &weight, bias.into_primitive(), &kernel);
        match DenseBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let state = DenseState {
                    input,
                    weight,
                    output: output.clone(),
                    kernel,
                };
                prepared.finish(state, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn cross_entropy(logits: FloatTensor<Self>, kernel: CrossEntropyKernel) -> FloatTensor<Self> {
        let node = logits.node();
        let logits = logits.into_primitive().to_contiguous();
        let (loss, gradient) = fits(kernel.forward(logits.storage()));
        let loss = tensor(vec![loss], [1]);
        let prepared = CrossEntropyBackward.prepare::<C>([node]);
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let shape = logits.layout().shape().clone();
                prepared.finish(tensor(gradient, shape), loss)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(loss),
        }
    }
}

#[derive(Debug)]
struct CrossEntropyBackward;

impl Backward<Flex, 1> for CrossEntropyBackward {
    /// The gradient of the logits where that of the loss is 1.
    type State = FlexTensor;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let loss_gradient = gradients.consume::<Flex>(&ops.node);
        let [Some(parent)] = ops.parents else { return };
        let values: &[f32] = ops.state.storage();
        let factor = loss_gradient.to_contiguous().storage().first().copied();
        let factor: f32 = factor.unwrap_or_default();
        let values = values.iter().map(|value| value * factor).collect();
        let gradient = tensor(values, ops.state.layout().shape().clone());
        gradients.register::<Flex>(parent.id, gradient);
    }
}

#[derive(Debug)]
struct ConvBlockBackward;

/// What the forward pass leaves for the backward pass.
#[derive(Clone, Debug)]
struct ConvBlockState {
    input: FlexTensor,
    weight: FlexTensor,
    output: FlexTensor,
    saved: Arc<Saved>,
    kernel: ConvBlockKernel,
}

impl Backward<Flex, 3> for ConvBlockBackward {
    type State = ConvBlockState;

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let ConvBlockState {
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
            input_gradient: ops.parents[0].is_some(),
        }));
        let nodes = ops.parents.map(|parent| parent.map(|node| node.id));
        register(gradients, nodes, found, &input, &weight);
    }
}

#[derive(Debug)]
struct DenseBackward;

/// What the forward pass of a dense layer leaves for the backward pass.
#[derive(Clone, Debug)]
struct DenseState {
    input: FlexTensor,
    weight: FlexTensor,
    output: FlexTensor,
    kernel: DenseKernel,
}

impl Backward<Flex, 3> for DenseBackward {
    type State = DenseState;

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let DenseState {
            input,
            weight,
            output,
            kernel,
        } = ops.state;
        let output_gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let [batch, _] = input.layout().shape().dims::<2>();
        let found = fits(kernel.backward(DenseBackwardArguments {
            batch,
            input: input.storage(),
            weight: weight.storage(),
            output: output.storage(),
            output_gradient: output_gradient.storage(),
            input_gradient: ops.parents[0].is_some(),
        }));
        let nodes = ops.parents.map(|parent| parent.map(|node| node.id));
        register(gradients, nodes, found, &input, &weight);
    }
}

fn dense_forward(
    input: &FlexTensor,
    weight: &FlexTensor,
    bias: FlexTensor,
    kernel: &DenseKernel,
) -> FlexTensor {
    let [batch, _] = input.layout().shape().dims::<2>();
    let [_, outputs] = weight.layout().shape().dims::<2>();
    let bias = bias.to_contiguous();
    let output = kernel.forward(batch, input.storage(), weight.storage(), bias.storage());
    tensor(fits(output), [batch, outputs])
}

fn conv_block_forward(
    input: &FlexTensor,
    weight: &FlexTensor,
    bias: FlexTensor,
    kernel: &ConvBlockKernel,
) -> (FlexTensor, Saved) {
    let [batch, ..] = input.layout().shape().dims::<4>();
    let bias = bias.to_contiguous();
    let (output, saved) =
        fits(kernel.forward(batch, input.storage(), weight.storage(), bias.storage()));
    (maps(output, input, weight, kernel), saved)
}

fn conv_block_inference(
    input: &FlexTensor,
    weight: &FlexTensor,
    bias: FlexTensor,
    kernel: &ConvBlockKernel,
) -> FlexTensor {
    let [batch, ..] = input.layout().shape().dims::<4>();
    let bias = bias.to_contiguous();
    let output = fits(kernel.infer(batch, input.storage(), weight.storage(), bias.storage()));
    maps(output, input, weight, kernel)
}

fn maps(
    values: Vec<f32>,
    input: &FlexTensor,
    weight: &FlexTensor,
    kernel: &ConvBlockKernel,
) -> FlexTensor {
    let [batch, ..] = input.layout().shape().dims::<4>();
    let [out_channels, ..] = weight.layout().shape().dims::<4>();
    let [height, width] = kernel.output_size();
    tensor(values, [batch, out_channels, height, width])
}

fn tensor(values: Vec<f32>, shape: impl Into<burn::tensor::Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// Hands the gradients of input, weight and bias to those that want them.
fn register(
    gradients: &mut Gradients,
    [input_node, weight_node, bias_node]: [Option<NodeId>; 3],
    found: lenet_kernels::Gradients,
    input: &FlexTensor,
    weight: &FlexTensor,
) {
    if let Some(id) = input_node {
        let gradient = tensor(found.input, input.layout().shape().clone());
        gradients.register::<Flex>(id, gradient);
    }
    if let Some(id) = weight_node {
        let gradient = tensor(found.weight, weight.layout().shape().clone());
        gradients.register::<Flex>(id, gradient);
    }
    if let Some(id) = bias_node {
        let shape = [found.bias.len()];
        gradients.register::<Flex>(id, tensor(found.bias, shape));
    }
}

/// Tensors carry their shapes, and the kernel was made for those.
fn fits<T>(result: Result<T, KernelError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => unreachable!("{error}"),
    }
}
