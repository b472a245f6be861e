//! A whole network on Flex: its logits, or its loss and all gradients, which are computed together. Each layer then
//! adds a node to burn's graph that holds those of its parameters.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, BackendTensor, Dispatch, DispatchTensor, DispatchTensorKind, Flex};
use burn::module::Param;
use burn::tensor::{DType, Int, Tensor, TensorData};
use lenet_kernels::{ConvPlan, DensePlan, NetworkPlan, Parameters, Shape};

use super::operands::tensor;
use super::{FlexTensor, FusedBackend, host_labels, is_flex};
use crate::LeNet;

/// The logits of a batch, if nothing is tracked, everything is on Flex in 32-bit floats and all shapes match.
pub(crate) fn logits(lenet: &LeNet, images: &Tensor<4>) -> Option<Tensor<2>> {
    let device = images.device();
    if !is_flex(&device) || images.dtype() != DType::F32 || images.is_tracked() {
        return None;
    }
    let [batch, channels, height, width] = images.dims();
    let layers = layers(lenet, false)?;
    // A device with autodiff is another one.
    if lenet.dense.last()?.bias.val().device() != device {
        return None;
    }
    let plan = plan(lenet, [channels, height, width])?;
    let images = primitive(images.clone().into_dispatch().kind)?;
    let parameters: Vec<_> = layers.iter().map(Layer::parameters).collect();
    let logits = plan.infer(batch, images.storage(), &parameters).ok()?;
    let [_, classes] = lenet.dense.last()?.weight.val().dims();
    let logits = TensorData::new(logits, [batch, classes]);
    Some(Tensor::from_data(logits, &device))
}

/// The mean cross-entropy of a batch, if all parameters are tracked, everything is on Flex in 32-bit floats and all
/// shapes match.
pub(crate) fn loss(
    lenet: &LeNet,
    images: &Tensor<4>,
    labels: &Tensor<1, Int>,
) -> Option<Tensor<1>> {
    if !is_flex(&images.device()) || images.dtype() != DType::F32 || images.is_tracked() {
        return None;
    }
    let [batch, channels, height, width] = images.dims();
    let labels = host_labels(labels, batch)?;
    let layers = layers(lenet, true)?;
    let plan = plan(lenet, [channels, height, width])?;
    let images = primitive(images.clone().into_dispatch().kind)?;
    let parameters: Vec<_> = layers.iter().map(Layer::parameters).collect();
    // It refuses labels that are not classes, and parameters of other shapes than those that the plan was made for.
    let found = plan.gradients(images.storage(), &labels, &parameters);
    let (loss, gradients) = found.ok()?;
    let device = lenet.dense.first()?.bias.val().device();
    let loss = Tensor::<1>::from_floats([loss], &device);
    let attached = layers
        .iter()
        .zip(gradients)
        .fold(loss, |loss, (layer, found)| {
            let gradients = LayerGradients {
                weight: tensor(found.weight, layer.weight.layout().shape().clone()),
                bias: tensor(found.bias, layer.bias.layout().shape().clone()),
            };
            let [weight, bias] = layer.tracked.clone();
            let loss = loss.into_dispatch();
            let loss = <Dispatch as FusedBackend>::with_gradients(loss, weight, bias, gradients);
            Tensor::from_dispatch(loss)
        });
    Some(attached)
}

/// The parameters of a layer.
struct Layer {
    weight: FlexTensor,
    bias: FlexTensor,
    /// The same two as burn's graph knows them.
    tracked: [DispatchTensor; 2],
}

impl Layer {
    /// If both are tracked, or both are not.
    fn new<const D: usize>(
        weight: &Param<Tensor<D>>,
        bias: &Param<Tensor<1>>,
        tracked: bool,
    ) -> Option<Self> {
        let (weight, bias) = (weight.val(), bias.val());
        let floats = [weight.dtype(), bias.dtype()] == [DType::F32; 2];
        if [weight.is_tracked(), bias.is_tracked()] != [tracked; 2] || !floats {
            return None;
        }
        let tracked = [weight.into_dispatch(), bias.into_dispatch()];
        let [weight, bias] = tracked.clone().map(|tensor| primitive(tensor.kind));
        Some(Self {
            weight: weight?,
            bias: bias?,
            tracked,
        })
    }

    fn parameters(&self) -> Parameters<'_> {
        Parameters {
            weight: self.weight.storage(),
            bias: self.bias.storage(),
        }
    }
}

fn layers(lenet: &LeNet, tracked: bool) -> Option<Vec<Layer>> {
    let conv = lenet.conv.iter();
    let conv = conv.map(|block| Layer::new(&block.weight, &block.bias, tracked));
    let dense = lenet.dense.iter();
    let dense = dense.map(|dense| Layer::new(&dense.weight, &dense.bias, tracked));
    conv.chain(dense).collect()
}

/// The values of a tensor on Flex, contiguous.
fn primitive(kind: DispatchTensorKind) -> Option<FlexTensor> {
    match kind {
        DispatchTensorKind::Autodiff(kind) => primitive(*kind),
        DispatchTensorKind::Flex(BackendTensor::Float(tensor)) => Some(tensor.to_contiguous()),
        DispatchTensorKind::Flex(BackendTensor::Autodiff(tensor)) => {
            Some(tensor.into_primitive().to_contiguous())
        }
        _ => None,
    }
}

/// The plan that the network keeps, if it was made for these shapes.
fn plan(lenet: &LeNet, image: [usize; 3]) -> Option<Arc<NetworkPlan>> {
    let shapes = shapes(lenet, image)?;
    match lenet.plan.get() {
        Some((planned, plan)) if *planned == shapes => Some(Arc::clone(plan)),
        _ => {
            let plan = Arc::new(new_plan(lenet, &shapes)?);
            lenet.plan.get_or_init(|| (shapes, Arc::clone(&plan)));
            Some(plan)
        }
    }
}

/// The shapes of a network for images of one size.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shapes {
    blocks: Vec<Shape>,
    /// Inputs and outputs of each dense layer.
    dense: Vec<[usize; 2]>,
}

fn shapes(lenet: &LeNet, [channels, height, width]: [usize; 3]) -> Option<Shapes> {
    let (mut in_channels, mut size) = (channels, [height, width]);
    let mut blocks = Vec::with_capacity(lenet.conv.len());
    for block in &lenet.conv {
        let [out_channels, channels, kernel_size, kernel_width] = block.weight.val().dims();
        if channels != in_channels || kernel_width != kernel_size {
            return None;
        }
        let [height, width] = size;
        blocks.push(Shape {
            in_channels,
            out_channels,
            height,
            width,
            kernel_size,
            padding: block.padding,
        });
        let pooled = |size: usize| {
            let padded = size.checked_add(block.padding.checked_mul(2)?)?;
            Some((padded.checked_add(1)?.checked_sub(kernel_size)?) / 2)
        };
        (in_channels, size) = (out_channels, [pooled(height)?, pooled(width)?]);
    }
    let dense = lenet.dense.iter();
    Some(Shapes {
        blocks,
        dense: dense.map(|dense| dense.weight.val().dims()).collect(),
    })
}

fn new_plan(lenet: &LeNet, shapes: &Shapes) -> Option<NetworkPlan> {
    let (activation, pooling) = (lenet.config().activation, lenet.config().pooling);
    let blocks = shapes.blocks.iter();
    let blocks = blocks.map(|&shape| ConvPlan::new(shape, activation, pooling).ok());
    let dense = shapes.dense.iter().enumerate().map(|(index, &shape)| {
        let is_hidden = index + 1 < shapes.dense.len();
        DensePlan::new(shape, is_hidden.then_some(activation))
    });
    NetworkPlan::new(blocks.collect::<Option<_>>()?, dense.collect()).ok()
}

/// The gradients of a layer's parameters if that of the loss is 1.
#[derive(Clone, Debug)]
pub(crate) struct LayerGradients {
    weight: FlexTensor,
    bias: FlexTensor,
}

/// Adds a node that hands the gradients to the parameters.
pub(super) fn attach<C: CheckpointStrategy>(
    tensors: [FloatTensor<Autodiff<Flex, C>>; 3],
    gradients: LayerGradients,
) -> FloatTensor<Autodiff<Flex, C>> {
    let nodes = tensors
        .each_ref()
        .map(<FloatTensor<Autodiff<Flex, C>>>::node);
    let [loss, ..] = tensors.map(<FloatTensor<Autodiff<Flex, C>>>::into_primitive);
    match LayerOp.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(gradients, loss),
        OpsKind::UnTracked(prepared) => prepared.finish(loss),
    }
}

#[derive(Debug)]
struct LayerOp;

impl Backward<Flex, 3> for LayerOp {
    type State = LayerGradients;

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let loss_gradient = gradients.consume::<Flex>(&ops.node);
        let contiguous = loss_gradient.to_contiguous();
        let &[factor] = contiguous.storage::<f32>() else {
            unreachable!("the loss is a single value");
        };
        let LayerGradients { weight, bias } = ops.state;
        let [loss_node, weight_node, bias_node] = ops.parents;
        if let Some(node) = loss_node {
            gradients.register::<Flex>(node.id, loss_gradient);
        }
        for (node, gradient) in [(weight_node, weight), (bias_node, bias)] {
            if let Some(node) = node {
                gradients.register::<Flex>(node.id, scaled(gradient, factor));
            }
        }
    }
}

/// The tensor times `factor`, which is 1 unless the loss is a part of another one.
#[expect(clippy::float_cmp, reason = "1 is exact")]
fn scaled(values: FlexTensor, factor: f32) -> FlexTensor {
    if factor == 1.0 {
        return values;
    }
    let shape = values.layout().shape().clone();
    let values: &[f32] = values.storage();
    tensor(values.iter().map(|value| value * factor).collect(), shape)
}
