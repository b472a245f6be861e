//! The layers on GPUs: each is one launch of `lenet-cubecl` forward and two or three backward, registered as an operation
//! of burn's autodiff. What is not covered here (other float types, shapes that do not match) is composed of burn's
//! operations in the modules of the layers.

mod autodiff;

use burn::backend::fusion::custom::TensorSpec;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, DispatchDevice, TensorMetadata, backend_extension};
use burn::tensor::{DType, Device, Int, Shape, Tensor};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeBackend, cubecl};
use cubecl::client::Client;
use cubecl::server::Handle;
use lenet_cubecl::{GpuConvBlock, GpuDense, GpuError, LayerGradients, LayerPass};
use lenet_kernels::{Activation, Pooling};

/// The block, if the tensors are on a GPU in 32-bit floats, and their shapes match.
pub(crate) fn conv_block(
    input: &Tensor<4>,
    weight: &Tensor<4>,
    bias: &Tensor<1>,
    padding: usize,
    activation: Activation,
    pooling: Pooling,
) -> Option<Tensor<4>> {
    let floats = [input.dtype(), weight.dtype(), bias.dtype()];
    if !are_covered([input.device(), weight.device(), bias.device()], floats) {
        return None;
    }
    let [_, in_channels, height, width] = input.dims();
    let [out_channels, kernel_channels, kernel_size, kernel_width] = weight.dims();
    let matches = kernel_channels == in_channels && kernel_width == kernel_size;
    if !matches || bias.dims() != [out_channels] {
        return None;
    }
    let shape = lenet_kernels::Shape {
        in_channels,
        out_channels,
        height,
        width,
        kernel_size,
        padding,
    };
    let block = GpuConvBlock::new(shape, activation, pooling).ok()?;
    let [input, weight, bias] = [
        input.clone().into_dispatch(),
        weight.clone().into_dispatch(),
        bias.clone().into_dispatch(),
    ];
    let output = <Dispatch as GpuBackend>::gpu_conv_block(input, weight, bias, block);
    Some(Tensor::from_dispatch(output))
}

/// The layer, if the tensors are on a GPU in 32-bit floats, and their shapes match.
pub(crate) fn dense(
    input: &Tensor<2>,
    weight: &Tensor<2>,
    bias: &Tensor<1>,
    activation: Option<Activation>,
) -> Option<Tensor<2>> {
    let floats = [input.dtype(), weight.dtype(), bias.dtype()];
    if !are_covered([input.device(), weight.device(), bias.device()], floats) {
        return None;
    }
    let ([_, features], [inputs, outputs]) = (input.dims(), weight.dims());
    if features != inputs || bias.dims() != [outputs] {
        return None;
    }
    let layer = GpuDense::new([inputs, outputs], activation);
    let [input, weight, bias] = [
        input.clone().into_dispatch(),
        weight.clone().into_dispatch(),
        bias.clone().into_dispatch(),
    ];
    let output = <Dispatch as GpuBackend>::gpu_dense(input, weight, bias, layer);
    Some(Tensor::from_dispatch(output))
}

/// The mean cross-entropy, if the logits are on a GPU in 32-bit floats, and the labels are as many 32-bit integers.
pub(crate) fn cross_entropy(logits: &Tensor<2>, labels: &Tensor<1, Int>) -> Option<Tensor<1>> {
    let [batch, classes] = logits.dims();
    let types = [logits.dtype(), labels.dtype()];
    let matches = labels.dims() == [batch] && batch > 0 && classes > 0;
    if !is_gpu(&logits.device()) || types != [DType::F32, DType::I32] || !matches {
        return None;
    }
    let (logits, labels) = (
        logits.clone().into_dispatch(),
        labels.clone().into_dispatch(),
    );
    let loss = <Dispatch as GpuBackend>::gpu_cross_entropy(logits, labels);
    Some(Tensor::from_dispatch(loss))
}

/// Whether all tensors are on the same GPU, in 32-bit floats.
fn are_covered(devices: [Device; 3], floats: [DType; 3]) -> bool {
    let devices = devices.map(Device::without_autodiff);
    let [first, others @ ..] = &devices;
    is_gpu(first) && others.iter().all(|device| device == first) && floats == [DType::F32; 3]
}

fn is_gpu(device: &Device) -> bool {
    let device = device.clone().without_autodiff();
    matches!(device.as_dispatch(), DispatchDevice::Cube(_))
}

/// CubeCL's backend extended with the layers.
#[backend_extension(Cube, Fusion, Autodiff)]
pub(crate) trait GpuBackend: Backend {
    /// See [`conv_block`](crate::conv_block).
    #[fusion(dtype = input, shape = conv_block_shape(input, weight, block))]
    fn gpu_conv_block(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        block: GpuConvBlock,
    ) -> FloatTensor<Self>;

    /// See [`dense`](crate::dense).
    #[fusion(dtype = input, shape = dense_shape(input, weight))]
    fn gpu_dense(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        layer: GpuDense,
    ) -> FloatTensor<Self>;

    /// See [`cross_entropy`](crate::cross_entropy).
    #[fusion(meta = |logits, _labels| TensorSpec::new(Shape::new([1]), logits.dtype))]
    fn gpu_cross_entropy(logits: FloatTensor<Self>, labels: IntTensor<Self>) -> FloatTensor<Self>;
}

/// What the backward passes are made of. A gradient that is not wanted is a tensor of one value.
#[backend_extension(Cube, Fusion)]
pub(crate) trait GpuGradients: Backend {
    /// The output of the block, and what its backward pass needs.
    #[fusion(meta = saving_specs)]
    fn gpu_conv_block_saving(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        block: GpuConvBlock,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// The gradients of input, weights and biases.
    #[fusion(meta = |input, weight, _output, _saved, _gradient, _block, wants_input| {
        gradient_specs(input, weight, 0, *wants_input)
    })]
    fn gpu_conv_block_backward(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        output: FloatTensor<Self>,
        saved: FloatTensor<Self>,
        output_gradient: FloatTensor<Self>,
        block: GpuConvBlock,
        wants_input: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// The gradients of input, weights and biases.
    #[fusion(meta = |input, weight, _output, _gradient, _layer, wants_input| {
        gradient_specs(input, weight, 1, *wants_input)
    })]
    fn gpu_dense_backward(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        output: FloatTensor<Self>,
        output_gradient: FloatTensor<Self>,
        layer: GpuDense,
        wants_input: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// The loss, and the gradient of the logits if that of the loss is 1.
    #[fusion(meta = |logits, _labels| {
        (TensorSpec::new(Shape::new([1]), logits.dtype), logits.clone())
    })]
    fn gpu_cross_entropy_with_gradient(
        logits: FloatTensor<Self>,
        labels: IntTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

fn conv_block_shape(input: &Shape, weight: &Shape, block: &GpuConvBlock) -> Shape {
    let ([images, ..], [channels, ..]) = (input.dims::<4>(), weight.dims::<4>());
    let [height, width] = block.output_size();
    Shape::new([images, channels, height, width])
}

fn dense_shape(input: &Shape, weight: &Shape) -> Shape {
    let ([images, _], [_, outputs]) = (input.dims::<2>(), weight.dims::<2>());
    Shape::new([images, outputs])
}

fn saved_shape(input: &Shape, block: &GpuConvBlock) -> Shape {
    let [images, ..] = input.dims::<4>();
    Shape::new([images, block.saved_len()])
}

fn saving_specs(
    input: &TensorSpec,
    weight: &TensorSpec,
    _bias: &TensorSpec,
    block: &GpuConvBlock,
) -> (TensorSpec, TensorSpec) {
    let output = conv_block_shape(&input.shape, &weight.shape, block);
    let saved = saved_shape(&input.shape, block);
    (
        TensorSpec::new(output, input.dtype),
        TensorSpec::new(saved, input.dtype),
    )
}

/// The gradients of a layer whose outputs are this dimension of its weights.
fn gradient_specs(
    input: &TensorSpec,
    weight: &TensorSpec,
    outputs: usize,
    wants_input: bool,
) -> (TensorSpec, TensorSpec, TensorSpec) {
    let (input_shape, bias) = gradient_shapes(&input.shape, &weight.shape, outputs, wants_input);
    let spec = |shape| TensorSpec::new(shape, input.dtype);
    (spec(input_shape), weight.clone(), spec(bias))
}

/// The shapes of the gradients of input and biases.
fn gradient_shapes(
    input: &Shape,
    weight: &Shape,
    outputs: usize,
    wants_input: bool,
) -> (Shape, Shape) {
    let input = if wants_input {
        input.clone()
    } else {
        Shape::new([1])
    };
    (
        input,
        Shape::new([weight.get(outputs).copied().unwrap_or(0)]),
    )
}

impl GpuBackend for CubeBackend {
    fn gpu_conv_block(
        input: CubeTensor,
        weight: CubeTensor,
        bias: CubeTensor,
        block: GpuConvBlock,
    ) -> CubeTensor {
        let shape = conv_block_shape(&input.shape(), &weight.shape(), &block);
        let (on, operands) = On::new([input, weight, bias]);
        let output = checked(block.forward(&on.client, on.images, operands));
        on.tensor(output, shape)
    }

    fn gpu_dense(
        input: CubeTensor,
        weight: CubeTensor,
        bias: CubeTensor,
        layer: GpuDense,
    ) -> CubeTensor {
        let shape = dense_shape(&input.shape(), &weight.shape());
        let (on, operands) = On::new([input, weight, bias]);
        let output = checked(layer.forward(&on.client, on.images, operands));
        on.tensor(output, shape)
    }

    fn gpu_cross_entropy(logits: CubeTensor, labels: CubeTensor) -> CubeTensor {
        let (loss, _) = Self::gpu_cross_entropy_with_gradient(logits, labels);
        loss
    }
}

impl GpuGradients for CubeBackend {
    fn gpu_conv_block_saving(
        input: CubeTensor,
        weight: CubeTensor,
        bias: CubeTensor,
        block: GpuConvBlock,
    ) -> (CubeTensor, CubeTensor) {
        let shape = conv_block_shape(&input.shape(), &weight.shape(), &block);
        let saved_shape = saved_shape(&input.shape(), &block);
        let (on, operands) = On::new([input, weight, bias]);
        let [output, saved] = checked(block.forward_saving(&on.client, on.images, operands));
        (on.tensor(output, shape), on.tensor(saved, saved_shape))
    }

    fn gpu_conv_block_backward(
        input: CubeTensor,
        weight: CubeTensor,
        output: CubeTensor,
        saved: CubeTensor,
        output_gradient: CubeTensor,
        block: GpuConvBlock,
        wants_input: bool,
    ) -> (CubeTensor, CubeTensor, CubeTensor) {
        let shapes = Shapes::new(&input, &weight, 0, wants_input);
        let (on, [input, weight, output, saved, output_gradient]) =
            On::new([input, weight, output, saved, output_gradient]);
        let pass = LayerPass {
            input,
            weight,
            output,
            output_gradient,
            wants_input_gradient: wants_input,
        };
        let found = checked(block.backward(&on.client, on.images, pass, saved));
        on.gradients(found, shapes)
    }

    fn gpu_dense_backward(
        input: CubeTensor,
        weight: CubeTensor,
        output: CubeTensor,
        output_gradient: CubeTensor,
        layer: GpuDense,
        wants_input: bool,
    ) -> (CubeTensor, CubeTensor, CubeTensor) {
        let shapes = Shapes::new(&input, &weight, 1, wants_input);
        let (on, [input, weight, output, output_gradient]) =
            On::new([input, weight, output, output_gradient]);
        let pass = LayerPass {
            input,
            weight,
            output,
            output_gradient,
            wants_input_gradient: wants_input,
        };
        let found = checked(layer.backward(&on.client, on.images, pass));
        on.gradients(found, shapes)
    }

    fn gpu_cross_entropy_with_gradient(
        logits: CubeTensor,
        labels: CubeTensor,
    ) -> (CubeTensor, CubeTensor) {
        let shape = logits.shape();
        let sizes = shape.dims::<2>();
        let (on, [logits]) = On::new([logits]);
        let labels = into_contiguous(labels).handle;
        let found = lenet_cubecl::cross_entropy(&on.client, sizes, logits, labels);
        let [loss, gradient] = checked(found);
        (on.tensor(loss, Shape::new([1])), on.tensor(gradient, shape))
    }
}

/// Where the tensors of a layer are.
struct On {
    client: Client,
    device: burn::backend::CubeDevice,
    dtype: DType,
    /// First dimension of the first tensor.
    images: usize,
}

impl On {
    /// The place of these tensors, and their values, contiguous.
    fn new<const N: usize>(tensors: [CubeTensor; N]) -> (Self, [Handle; N]) {
        let Some(first) = tensors.first() else {
            unreachable!("a layer has tensors")
        };
        let on = Self {
            client: first.client.clone(),
            device: first.device.clone(),
            dtype: first.dtype,
            images: first.shape().first().copied().unwrap_or(0),
        };
        (on, tensors.map(|tensor| into_contiguous(tensor).handle))
    }

    fn tensor(&self, values: Handle, shape: Shape) -> CubeTensor {
        let (client, device) = (self.client.clone(), self.device.clone());
        CubeTensor::new_contiguous(client, device, shape, values, self.dtype)
    }

    fn gradients(
        &self,
        found: LayerGradients,
        shapes: Shapes,
    ) -> (CubeTensor, CubeTensor, CubeTensor) {
        let input = found
            .input
            .unwrap_or_else(|| self.client.empty(size_of::<f32>()));
        (
            self.tensor(input, shapes.input),
            self.tensor(found.weight, shapes.weight),
            self.tensor(found.bias, shapes.bias),
        )
    }
}

/// The shapes of the gradients of a layer.
struct Shapes {
    input: Shape,
    weight: Shape,
    bias: Shape,
}

impl Shapes {
    fn new(input: &CubeTensor, weight: &CubeTensor, outputs: usize, wants_input: bool) -> Self {
        let weight = weight.shape();
        let (input, bias) = gradient_shapes(&input.shape(), &weight, outputs, wants_input);
        Self {
            input,
            weight,
            bias,
        }
    }
}

/// The result of a layer whose tensors were checked before.
fn checked<T>(result: Result<T, GpuError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => unreachable!("tensors that do not match their layer: {error}"),
    }
}
