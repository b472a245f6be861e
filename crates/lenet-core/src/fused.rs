//! The layers on Flex: each is one pass of `lenet-kernels`, forward and backward, registered as an operation of
//! burn's autodiff. What is not covered here (other backends, other float types, shapes that do not match) is
//! composed of burn's operations in the modules of the layers.

mod network;
mod operands;

use std::sync::{Arc, OnceLock};

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, DispatchDevice, Flex, backend_extension};
use burn::tensor::{DType, Device, Int, Tensor};
use lenet_kernels::{ConvBackward, ConvPlan, CrossEntropy, DenseBackward, DensePlan, Saved, Shape};

pub(crate) use self::network::{LayerGradients, Shapes, logits, loss};
use self::operands::{Operands, checked, tensor};
use crate::{Activation, Pooling};

/// The block, if the tensors are on Flex in 32-bit floats and their shapes match. The plan is kept in `cache`,
/// and made for this call alone if the cache holds another.
pub(crate) fn conv_block(
    input: &Tensor<4>,
    weight: &Tensor<4>,
    bias: &Tensor<1>,
    padding: usize,
    activation: Activation,
    pooling: Pooling,
    cache: &OnceLock<ConvPlan>,
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
    let is_same = |plan: &&ConvPlan| {
        plan.shape() == shape && plan.activation() == activation && plan.pooling() == pooling
    };
    let plan = match cache.get().filter(is_same) {
        Some(plan) => plan.clone(),
        None => {
            let plan = ConvPlan::new(shape, activation, pooling).ok()?;
            cache.get_or_init(|| plan.clone());
            plan
        }
    };
    Some(Tensor::from_dispatch(
        <Dispatch as FusedBackend>::conv_block(
            input.clone().into_dispatch(),
            weight.clone().into_dispatch(),
            bias.clone().into_dispatch(),
            plan,
        ),
    ))
}

/// The layer, if the tensors are on Flex in 32-bit floats and their shapes match.
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
    let plan = DensePlan::new([inputs, outputs], activation);
    Some(Tensor::from_dispatch(<Dispatch as FusedBackend>::dense(
        input.clone().into_dispatch(),
        weight.clone().into_dispatch(),
        bias.clone().into_dispatch(),
        plan,
    )))
}

/// The mean cross-entropy, if the logits are on Flex in 32-bit floats and each row has a valid label.
pub(crate) fn cross_entropy(logits: &Tensor<2>, labels: &Tensor<1, Int>) -> Option<Tensor<1>> {
    let [batch, classes] = logits.dims();
    if !is_flex(&logits.device()) || logits.dtype() != DType::F32 || batch == 0 {
        return None;
    }
    let labels = host_labels(labels, batch)?;
    let loss = CrossEntropy::new(classes, labels).ok()?;
    let logits = logits.clone().into_dispatch();
    let loss = <Dispatch as FusedBackend>::cross_entropy(logits, loss);
    Some(Tensor::from_dispatch(loss))
}

/// The labels of a batch, if there are that many and none is negative.
fn host_labels(labels: &Tensor<1, Int>, batch: usize) -> Option<Vec<usize>> {
    let labels = labels.to_data();
    let labels = labels.iter::<i64>().map(usize::try_from);
    let labels = labels.collect::<Result<Vec<_>, _>>().ok()?;
    (labels.len() == batch && batch > 0).then_some(labels)
}

fn is_covered(device: &Device, floats: [DType; 3]) -> bool {
    is_flex(device) && floats == [DType::F32; 3]
}

/// Whether the layers run in `lenet-kernels` on this device.
pub(crate) fn is_flex(device: &Device) -> bool {
    let device = device.clone().without_autodiff();
    matches!(device.as_dispatch(), DispatchDevice::Flex(_))
}

/// Flex extended with the layers.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait FusedBackend: Backend {
    /// See [`conv_block`](crate::conv_block).
    fn conv_block(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        plan: ConvPlan,
    ) -> FloatTensor<Self>;

    /// See [`dense`](crate::dense).
    fn dense(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        plan: DensePlan,
    ) -> FloatTensor<Self>;

    /// See [`cross_entropy`](crate::cross_entropy).
    fn cross_entropy(logits: FloatTensor<Self>, loss: CrossEntropy) -> FloatTensor<Self>;

    /// The loss, whose backward pass hands these gradients to the parameters of a layer.
    fn with_gradients(
        loss: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        gradients: LayerGradients,
    ) -> FloatTensor<Self>;
}

type FlexTensor = FloatTensor<Flex>;

impl FusedBackend for Flex {
    fn conv_block(
        input: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        plan: ConvPlan,
    ) -> FlexTensor {
        Operands::new([input, weight, bias]).infer(&plan)
    }

    fn dense(
        input: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        plan: DensePlan,
    ) -> FlexTensor {
        Operands::new([input, weight, bias]).dense(&plan)
    }

    fn cross_entropy(logits: FlexTensor, loss: CrossEntropy) -> FlexTensor {
        let (loss, _) = checked(loss.forward(logits.to_contiguous().storage()));
        tensor(vec![loss], [1])
    }

    fn with_gradients(
        loss: FlexTensor,
        _weight: FlexTensor,
        _bias: FlexTensor,
        _gradients: LayerGradients,
    ) -> FlexTensor {
        loss
    }
}

impl<C: CheckpointStrategy> FusedBackend for Autodiff<Flex, C> {
    fn conv_block(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        plan: ConvPlan,
    ) -> FloatTensor<Self> {
        let tensors = [input, weight, bias];
        let nodes = tensors.each_ref().map(<FloatTensor<Self>>::node);
        let operands = Operands::new(tensors.map(<FloatTensor<Self>>::into_primitive));
        match ConvBlockOp.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let (output, saved) = operands.conv_block(&plan);
                let state = State {
                    operands,
                    output: output.clone(),
                    plan: (plan, Arc::new(saved)),
                };
                prepared.finish(state, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(operands.infer(&plan)),
        }
    }

    fn dense(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        plan: DensePlan,
    ) -> FloatTensor<Self> {
        let tensors = [input, weight, bias];
        let nodes = tensors.each_ref().map(<FloatTensor<Self>>::node);
        let operands = Operands::new(tensors.map(<FloatTensor<Self>>::into_primitive));
        let output = operands.dense(&plan);
        match DenseOp.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let state = State {
                    operands,
                    output: output.clone(),
                    plan,
                };
                prepared.finish(state, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn cross_entropy(logits: FloatTensor<Self>, loss: CrossEntropy) -> FloatTensor<Self> {
        let node = logits.node();
        let logits = logits.into_primitive().to_contiguous();
        let (loss, gradient) = checked(loss.forward(logits.storage()));
        let loss = tensor(vec![loss], [1]);
        let prepared = CrossEntropyOp.prepare::<C>([node]);
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let shape = logits.layout().shape().clone();
                prepared.finish(tensor(gradient, shape), loss)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(loss),
        }
    }

    fn with_gradients(
        loss: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        gradients: LayerGradients,
    ) -> FloatTensor<Self> {
        network::attach::<C>([loss, weight, bias], gradients)
    }
}

#[derive(Debug)]
struct CrossEntropyOp;

impl Backward<Flex, 1> for CrossEntropyOp {
    /// The gradient of the logits if that of the loss is 1.
    type State = FlexTensor;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let loss_gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let &[factor] = loss_gradient.storage::<f32>() else {
            unreachable!("the loss is a single value");
        };
        let values: &[f32] = ops.state.storage();
        let values = values.iter().map(|value| value * factor).collect();
        let gradient = tensor(values, ops.state.layout().shape().clone());
        if let [Some(parent)] = ops.parents {
            gradients.register::<Flex>(parent.id, gradient);
        }
    }
}

#[derive(Debug)]
struct ConvBlockOp;

impl Backward<Flex, 3> for ConvBlockOp {
    type State = State<(ConvPlan, Arc<Saved>)>;

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let output_gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let State {
            operands,
            output,
            plan: (plan, saved),
        } = ops.state;
        let found = checked(plan.backward(ConvBackward {
            batch: operands.batch(),
            input: operands.input.storage(),
            weight: operands.weight.storage(),
            output: output.storage(),
            saved: &saved,
            output_gradient: output_gradient.storage(),
            input_gradient: ops.parents[0].is_some(),
        }));
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        operands.register(parents, found, gradients);
    }
}

#[derive(Debug)]
struct DenseOp;

impl Backward<Flex, 3> for DenseOp {
    type State = State<DensePlan>;

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let output_gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let State {
            operands,
            output,
            plan,
        } = ops.state;
        let found = checked(plan.backward(DenseBackward {
            batch: operands.batch(),
            input: operands.input.storage(),
            weight: operands.weight.storage(),
            output: output.storage(),
            output_gradient: output_gradient.storage(),
            input_gradient: ops.parents[0].is_some(),
        }));
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        operands.register(parents, found, gradients);
    }
}

/// What the forward pass of a layer keeps for the backward pass.
#[derive(Clone, Debug)]
struct State<P> {
    operands: Operands,
    output: FlexTensor,
    plan: P,
}
