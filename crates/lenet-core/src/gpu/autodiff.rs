//! The layers as operations of burn's autodiff.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, TensorMetadata};
use burn::tensor::Shape;
use burn_cubecl::Cube;
use lenet_cubecl::{GpuConvBlock, GpuDense};

use super::{GpuBackend, GpuGradients};

type GpuTensor = FloatTensor<Cube>;

impl<C: CheckpointStrategy> GpuBackend for Autodiff<Cube, C> {
    fn gpu_conv_block(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        block: GpuConvBlock,
    ) -> FloatTensor<Self> {
        let tensors = [input, weight, bias];
        let nodes = tensors.each_ref().map(<FloatTensor<Self>>::node);
        let [input, weight, bias] = tensors.map(<FloatTensor<Self>>::into_primitive);
        match ConvBlockOp.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let (output, saved) =
                    Cube::gpu_conv_block_saving(input.clone(), weight.clone(), bias, block);
                let layer = (block, saved);
                let state = State::new(input, weight, &output, layer);
                prepared.finish(state, output)
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(Cube::gpu_conv_block(input, weight, bias, block))
            }
        }
    }

    fn gpu_dense(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        layer: GpuDense,
    ) -> FloatTensor<Self> {
        let tensors = [input, weight, bias];
        let nodes = tensors.each_ref().map(<FloatTensor<Self>>::node);
        let [input, weight, bias] = tensors.map(<FloatTensor<Self>>::into_primitive);
        let output = Cube::gpu_dense(input.clone(), weight.clone(), bias, layer);
        match DenseOp.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let state = State::new(input, weight, &output, layer);
                prepared.finish(state, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn gpu_cross_entropy(logits: FloatTensor<Self>, labels: IntTensor<Self>) -> FloatTensor<Self> {
        let node = logits.node();
        let logits = logits.into_primitive();
        match CrossEntropyOp
            .prepare::<C>([node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prepared) => {
                let (loss, gradient) = Cube::gpu_cross_entropy_with_gradient(logits, labels);
                prepared.finish(gradient, loss)
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(Cube::gpu_cross_entropy(logits, labels))
            }
        }
    }
}

/// What the forward pass of a layer keeps for the backward pass.
#[derive(Clone, Debug)]
struct State<L> {
    input: GpuTensor,
    weight: GpuTensor,
    output: GpuTensor,
    layer: L,
}

impl<L> State<L> {
    fn new(input: GpuTensor, weight: GpuTensor, output: &GpuTensor, layer: L) -> Self {
        Self {
            input,
            weight,
            output: output.clone(),
            layer,
        }
    }
}

/// Registers the gradients of those operands that require them.
fn register(
    parents: [Option<NodeId>; 3],
    (input, weight, bias): (GpuTensor, GpuTensor, GpuTensor),
    gradients: &mut Gradients,
) {
    for (parent, gradient) in parents.into_iter().zip([input, weight, bias]) {
        if let Some(id) = parent {
            gradients.register::<Cube>(id, gradient);
        }
    }
}

#[derive(Debug)]
struct ConvBlockOp;

impl Backward<Cube, 3> for ConvBlockOp {
    type State = State<(GpuConvBlock, GpuTensor)>;

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let output_gradient = gradients.consume::<Cube>(&ops.node);
        let State {
            input,
            weight,
            output,
            layer: (block, saved),
        } = ops.state;
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        let wants_input = parents[0].is_some();
        let found = Cube::gpu_conv_block_backward(
            input,
            weight,
            output,
            saved,
            output_gradient,
            block,
            wants_input,
        );
        register(parents, found, gradients);
    }
}

#[derive(Debug)]
struct DenseOp;

impl Backward<Cube, 3> for DenseOp {
    type State = State<GpuDense>;

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let output_gradient = gradients.consume::<Cube>(&ops.node);
        let State {
            input,
            weight,
            output,
            layer,
        } = ops.state;
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        let wants_input = parents[0].is_some();
        let found =
            Cube::gpu_dense_backward(input, weight, output, output_gradient, layer, wants_input);
        register(parents, found, gradients);
    }
}

#[derive(Debug)]
struct CrossEntropyOp;

impl Backward<Cube, 1> for CrossEntropyOp {
    /// The gradient of the logits if that of the loss is 1.
    type State = GpuTensor;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let loss_gradient = gradients.consume::<Cube>(&ops.node);
        if let [Some(parent)] = ops.parents {
            let factor = Cube::float_reshape(loss_gradient, Shape::new([1, 1]));
            let factor = Cube::float_expand(factor, ops.state.shape());
            let gradient = Cube::float_mul(ops.state, factor);
            gradients.register::<Cube>(parent.id, gradient);
        }
    }
}
