use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::module::linear;

/// A dense (fully connected) layer: `output = input · weight + bias`.
#[derive(Module, Debug)]
pub struct Dense {
    /// Weights, `[inputs, outputs]`; PyTorch's `Linear` keeps the transpose.
    pub weight: Param<Tensor<2>>,
    /// Biases, `[outputs]`.
    pub bias: Param<Tensor<1>>,
}

impl Dense {
    /// Applies the layer: `[batch, inputs]` to `[batch, outputs]`.
    ///
    /// # Panics
    ///
    /// As burn's `linear` does, if `input` has another number of features.
    pub fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        linear(input, self.weight.val(), Some(self.bias.val()))
    }
}
