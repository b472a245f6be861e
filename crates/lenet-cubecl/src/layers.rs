//! Single layers of one network, for programs whose tensors are on the device already.

use cubecl::client::Client;
use cubecl::server::Handle;
use lenet_kernels::{Activation, Pooling, Shape};

use crate::buffer::ALIGNMENT;
use crate::conv::{ConvBlock, ConvPass, PartialSums, partials_len, sum_partials};
use crate::dense::{DenseLayer, DensePass};
use crate::{Buffer, GpuError, Parameters};

/// The values of an input, weights and biases, in this order.
pub type Operands = [Handle; 3];

/// The gradients of a layer, each in the shape of its values.
#[derive(Clone, Debug)]
pub struct LayerGradients {
    /// Gradient of the input, if it was requested.
    pub input: Option<Handle>,
    /// Gradient of the weights.
    pub weight: Handle,
    /// Gradient of the biases.
    pub bias: Handle,
}

/// What the backward pass of a layer reads.
#[derive(Clone, Debug)]
pub struct LayerPass {
    /// The input of the forward pass.
    pub input: Handle,
    /// The weights.
    pub weight: Handle,
    /// What the forward pass returned.
    pub output: Handle,
    /// The gradient of the output.
    pub output_gradient: Handle,
    /// Whether the gradient of the input is wanted.
    pub wants_input_gradient: bool,
}

/// A convolution block: convolution, bias, activation and 2×2 pooling. All tensors are 32-bit floats and contiguous.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GpuConvBlock {
    block: ConvBlock,
}

impl GpuConvBlock {
    /// A block of this shape.
    ///
    /// # Errors
    ///
    /// [`GpuError::Shape`] if it leaves nothing to pool, [`GpuError::TooLarge`] if the images are too wide for the shared
    /// memory of a GPU.
    pub fn new(shape: Shape, activation: Activation, pooling: Pooling) -> Result<Self, GpuError> {
        let block = ConvBlock::new(shape, activation, pooling)?;
        Ok(Self { block })
    }

    /// Height and width of the output.
    pub fn output_size(&self) -> [usize; 2] {
        self.block.output_size()
    }

    /// Values that [`forward_saving`](Self::forward_saving) keeps of each image.
    pub fn saved_len(&self) -> usize {
        self.block.saved_len()
    }

    /// The output `[images, out_channels, height, width]` of an input `[images, in_channels, height, width]`, weights
    /// `[out_channels, in_channels, kernel_size, kernel_size]` and biases `[out_channels]`, in one launch.
    ///
    /// # Errors
    ///
    /// [`GpuError::Length`] if a tensor has fewer values.
    pub fn forward(
        &self,
        client: &Client,
        images: usize,
        operands: Operands,
    ) -> Result<Handle, GpuError> {
        let (output, _) = self.forward_with(client, images, operands, None)?;
        Ok(output)
    }

    /// The same, and what [`backward`](Self::backward) needs of it.
    ///
    /// # Errors
    ///
    /// [`GpuError::Length`] if a tensor has fewer values.
    pub fn forward_saving(
        &self,
        client: &Client,
        images: usize,
        operands: Operands,
    ) -> Result<[Handle; 2], GpuError> {
        let saved = Buffer::empty(client, images * self.block.saved_len());
        let (output, saved) = self.forward_with(client, images, operands, Some(saved))?;
        let Some(saved) = saved else {
            unreachable!("a buffer that was passed is returned")
        };
        Ok([output, saved])
    }

    fn forward_with(
        &self,
        client: &Client,
        images: usize,
        [input, weight, bias]: Operands,
        saved: Option<Buffer>,
    ) -> Result<(Handle, Option<Handle>), GpuError> {
        let block = &self.block;
        let buffer = |what, handle, len| Buffer::from_handle(client, what, handle, len);
        let input = buffer("the input", input, images * block.input_len())?;
        let parameters = Parameters {
            weight: buffer("the weights", weight, block.weight_len())?,
            bias: buffer("the biases", bias, block.bias_len())?,
            stride: 0,
        };
        let output = Buffer::empty(client, images * block.output_len());
        if images > 0 {
            block.forward([1, images], &input, &parameters, &output, saved.as_ref());
        }
        Ok((output.into_handle(), saved.map(Buffer::into_handle)))
    }

    /// The gradients, in three launches, or two without that of the input. `saved` is what
    /// [`forward_saving`](Self::forward_saving) kept.
    ///
    /// # Errors
    ///
    /// [`GpuError::Length`] if a tensor has fewer values.
    pub fn backward(
        &self,
        client: &Client,
        images: usize,
        pass: LayerPass,
        saved: Handle,
    ) -> Result<LayerGradients, GpuError> {
        let block = &self.block;
        let buffer = |what, handle, len| Buffer::from_handle(client, what, handle, len);
        let input = buffer("the input", pass.input, images * block.input_len())?;
        let output = buffer("the output", pass.output, images * block.output_len())?;
        let len = output.len();
        let output_gradient = buffer("the gradient of the output", pass.output_gradient, len)?;
        let saved = buffer(
            "what the forward pass saved",
            saved,
            images * block.saved_len(),
        )?;
        let parameters = Parameters {
            weight: buffer("the weights", pass.weight, block.weight_len())?,
            // Gradients do not depend on the biases.
            bias: Buffer::empty(client, 1),
            stride: 0,
        };
        let sums = PartialSums {
            stride: block.weight_len().next_multiple_of(ALIGNMENT) + block.bias_len(),
            weight: 0,
            bias: block.weight_len().next_multiple_of(ALIGNMENT),
        };
        let gradients = gradients_buffer(client, images, sums.stride);
        let input_gradient = pass.wants_input_gradient;
        let input_gradient = input_gradient.then(|| Buffer::empty(client, input.len()));
        let sizes = [1, images];
        let partials = Buffer::empty(client, partials_len(sizes, sums.stride).max(1));
        let pass = ConvPass {
            input: &input,
            parameters: &parameters,
            output: &output,
            saved: &saved,
            output_gradient: &output_gradient,
            partials: &partials,
        };
        if images > 0 {
            block.backward(sizes, pass, sums, input_gradient.as_ref());
            sum_partials(sizes, &partials, &gradients, [sums.stride; 2]);
        }
        Ok(LayerGradients {
            input: input_gradient.map(Buffer::into_handle),
            weight: gradients
                .part(sums.weight, block.weight_len())
                .into_handle(),
            bias: gradients.part(sums.bias, block.bias_len()).into_handle(),
        })
    }
}

/// A dense layer: product, bias and activation. All tensors are 32-bit floats and contiguous.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GpuDense {
    layer: DenseLayer,
}

impl GpuDense {
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
    /// `[outputs]`, in one launch.
    ///
    /// # Errors
    ///
    /// [`GpuError::Length`] if a tensor has fewer values.
    pub fn forward(
        &self,
        client: &Client,
        images: usize,
        [input, weight, bias]: Operands,
    ) -> Result<Handle, GpuError> {
        let layer = &self.layer;
        let buffer = |what, handle, len| Buffer::from_handle(client, what, handle, len);
        let input = buffer("the input", input, images * layer.inputs)?;
        let parameters = Parameters {
            weight: buffer("the weights", weight, layer.weight_len())?,
            bias: buffer("the biases", bias, layer.outputs)?,
            stride: 0,
        };
        let output = Buffer::empty(client, images * layer.outputs);
        if images > 0 {
            layer.forward([1, images], &input, &parameters, &output);
        }
        Ok(output.into_handle())
    }

    /// The gradients, in one launch.
    ///
    /// # Errors
    ///
    /// [`GpuError::Length`] if a tensor has fewer values.
    pub fn backward(
        &self,
        client: &Client,
        images: usize,
        pass: LayerPass,
    ) -> Result<LayerGradients, GpuError> {
        let layer = &self.layer;
        let buffer = |what, handle, len| Buffer::from_handle(client, what, handle, len);
        let input = buffer("the input", pass.input, images * layer.inputs)?;
        let output = buffer("the output", pass.output, images * layer.outputs)?;
        let len = output.len();
        let output_gradient = buffer("the gradient of the output", pass.output_gradient, len)?;
        let parameters = Parameters {
            weight: buffer("the weights", pass.weight, layer.weight_len())?,
            bias: Buffer::empty(client, 1),
            stride: 0,
        };
        let gradients = Parameters {
            weight: gradients_buffer(client, images, layer.weight_len()),
            bias: gradients_buffer(client, images, layer.outputs),
            stride: 0,
        };
        let input_gradient = pass.wants_input_gradient;
        let input_gradient = input_gradient.then(|| Buffer::empty(client, input.len()));
        let pass = DensePass {
            input: &input,
            parameters: &parameters,
            output: &output,
            output_gradient: &output_gradient,
        };
        if images > 0 {
            layer.backward([1, images], pass, &gradients, input_gradient.as_ref());
        }
        Ok(LayerGradients {
            input: input_gradient.map(Buffer::into_handle),
            weight: gradients.weight.into_handle(),
            bias: gradients.bias.into_handle(),
        })
    }
}

/// Room for the gradients of parameters, which are zero without images.
fn gradients_buffer(client: &Client, images: usize, len: usize) -> Buffer {
    if images == 0 {
        Buffer::from_floats(client, &vec![0.0; len])
    } else {
        Buffer::empty(client, len)
    }
}

/// The mean softmax cross-entropy `[1]`, in nats, of logits `[images, classes]` for labels `[images]`, and the gradient of
/// the logits, in one launch. Labels are 32-bit integers; one that is not a class makes the loss NaN.
///
/// # Errors
///
/// [`GpuError::Length`] if a tensor has fewer values.
pub fn cross_entropy(
    client: &Client,
    [images, classes]: [usize; 2],
    logits: Handle,
    labels: Handle,
) -> Result<[Handle; 2], GpuError> {
    let len = images * classes;
    let logits = Buffer::from_handle(client, "the logits", logits, len)?;
    let labels = Buffer::from_handle(client, "the labels", labels, images)?;
    let (loss, gradient) = (Buffer::empty(client, 1), Buffer::empty(client, len));
    let sizes = [1, images];
    crate::cross_entropy::cross_entropy(sizes, classes, &logits, &labels, &loss, None, &gradient);
    Ok([loss.into_handle(), gradient.into_handle()])
}
