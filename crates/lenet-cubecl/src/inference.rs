//! Single layers of one network, for programs whose tensors are on the device already.

use cubecl::client::Client;
use cubecl::server::Handle;
use lenet_kernels::{Activation, Pooling, Shape};

use crate::conv::ConvBlock;
use crate::dense::DenseLayer;
use crate::{Buffer, GpuError, Parameters};

/// The tensors of a layer, each 32-bit floats and contiguous.
struct Operands {
    input: Buffer,
    parameters: Parameters,
}

impl Operands {
    fn new(
        client: &Client,
        [input, weight, bias]: [Handle; 3],
        [input_len, weight_len, bias_len]: [usize; 3],
    ) -> Result<Self, GpuError> {
        let buffer = |what, handle, len| Buffer::from_handle(client, what, handle, len);
        Ok(Self {
            input: buffer("the input", input, input_len)?,
            parameters: Parameters {
                weight: buffer("the weights", weight, weight_len)?,
                bias: buffer("the biases", bias, bias_len)?,
                stride: 0,
            },
        })
    }
}

/// The forward pass of a convolution block: convolution, bias, activation and 2×2 pooling in one launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InferConvBlock {
    block: ConvBlock,
}

impl InferConvBlock {
    /// A block of this shape.
    ///
    /// # Errors
    ///
    /// [`GpuError::Shape`] if it leaves nothing to pool.
    pub fn new(shape: Shape, activation: Activation, pooling: Pooling) -> Result<Self, GpuError> {
        let block = ConvBlock::new(shape, activation, pooling)?;
        Ok(Self { block })
    }

    /// Height and width of the output.
    pub fn output_size(&self) -> [usize; 2] {
        self.block.output_size()
    }

    /// The output `[images, out_channels, height, width]` of an input `[images, in_channels, height, width]`, weights
    /// `[out_channels, in_channels, kernel_size, kernel_size]` and biases `[out_channels]`: 32-bit floats, contiguous.
    ///
    /// # Errors
    ///
    /// [`GpuError::Length`] if a tensor has fewer values.
    pub fn run(
        &self,
        client: &Client,
        images: usize,
        tensors: [Handle; 3],
    ) -> Result<Handle, GpuError> {
        let block = &self.block;
        let lens = [
            images * block.input_len(),
            block.weight_len(),
            block.bias_len(),
        ];
        let operands = Operands::new(client, tensors, lens)?;
        let output = Buffer::empty(client, images * block.output_len());
        if images > 0 {
            let sizes = [1, images];
            block.forward(sizes, &operands.input, &operands.parameters, &output, None);
        }
        Ok(output.into_handle())
    }
}

/// The forward pass of a dense layer: product, bias and activation in one launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InferDense {
    layer: DenseLayer,
}

impl InferDense {
    /// A layer of these inputs and outputs; `None` returns what the activation would be applied to, such as logits.
    pub fn new([inputs, outputs]: [usize; 2], activation: Option<Activation>) -> Self {
        Self {
            layer: DenseLayer {
                inputs,
                outputs,
                activation,
            },
        }
    }

    /// The output `[images, outputs]` of an input `[images, inputs]`, weights `[inputs, outputs]` and biases
    /// `[outputs]`: 32-bit floats, contiguous.
    ///
    /// # Errors
    ///
    /// [`GpuError::Length`] if a tensor has fewer values.
    pub fn run(
        &self,
        client: &Client,
        images: usize,
        tensors: [Handle; 3],
    ) -> Result<Handle, GpuError> {
        let layer = &self.layer;
        let lens = [images * layer.inputs, layer.weight_len(), layer.outputs];
        let operands = Operands::new(client, tensors, lens)?;
        let output = Buffer::empty(client, images * layer.outputs);
        if images > 0 {
            layer.forward([1, images], &operands.input, &operands.parameters, &output);
        }
        Ok(output.into_handle())
    }
}
