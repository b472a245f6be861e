//! The tensors of a layer on Flex, as the plans of `lenet-kernels` take them and return them.

use burn::backend::Flex;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::grads::Gradients;
use burn::tensor::TensorData;
use lenet_kernels::{ConvPlan, DensePlan, KernelError, Parameters, Saved};

use super::FlexTensor;

/// The tensors of a layer, contiguous.
#[derive(Clone, Debug)]
pub(super) struct Operands {
    pub(super) input: FlexTensor,
    pub(super) weight: FlexTensor,
    bias: FlexTensor,
}

impl Operands {
    pub(super) fn new(tensors: [FlexTensor; 3]) -> Self {
        let [input, weight, bias] = tensors.map(|tensor| tensor.to_contiguous());
        Self {
            input,
            weight,
            bias,
        }
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "the first dimension of every layer's input is the batch"
    )]
    pub(super) fn batch(&self) -> usize {
        self.input.layout().shape()[0]
    }

    fn parameters(&self) -> Parameters<'_> {
        Parameters {
            weight: self.weight.storage(),
            bias: self.bias.storage(),
        }
    }

    pub(super) fn dense(&self, plan: &DensePlan) -> FlexTensor {
        let [_, outputs] = self.weight.layout().shape().dims::<2>();
        let output = plan.forward(self.batch(), self.input.storage(), self.parameters());
        tensor(checked(output), [self.batch(), outputs])
    }

    pub(super) fn conv_block(&self, plan: &ConvPlan) -> (FlexTensor, Saved) {
        let output = plan.forward(self.batch(), self.input.storage(), self.parameters());
        let (output, saved) = checked(output);
        (self.maps(plan, output), saved)
    }

    pub(super) fn infer(&self, plan: &ConvPlan) -> FlexTensor {
        let output = plan.infer(self.batch(), self.input.storage(), self.parameters());
        self.maps(plan, checked(output))
    }

    fn maps(&self, plan: &ConvPlan, values: Vec<f32>) -> FlexTensor {
        let [height, width] = plan.output_size();
        let channels = plan.shape().out_channels;
        tensor(values, [self.batch(), channels, height, width])
    }

    /// Registers the gradients of those operands that require them.
    pub(super) fn register(
        &self,
        parents: [Option<NodeId>; 3],
        found: lenet_kernels::Gradients,
        gradients: &mut Gradients,
    ) {
        let values = [found.input, found.weight, found.bias];
        let operands = [&self.input, &self.weight, &self.bias];
        for ((parent, values), operand) in parents.into_iter().zip(values).zip(operands) {
            if let Some(id) = parent {
                let gradient = tensor(values, operand.layout().shape().clone());
                gradients.register::<Flex>(id, gradient);
            }
        }
    }
}

pub(super) fn tensor(values: Vec<f32>, shape: impl Into<burn::tensor::Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// The result of a plan, which was made for the shapes of these tensors and therefore cannot fail.
pub(super) fn checked<T>(result: Result<T, KernelError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => unreachable!("a plan that does not match its tensors: {error}"),
    }
}
