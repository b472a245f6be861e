//! The layers on GPUs without gradients: each is one launch of `lenet-cubecl`. What is not covered here (gradients, other
//! float types, shapes that do not match) is composed of burn's operations in the modules of the layers.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, DispatchDevice, TensorMetadata, backend_extension};
use burn::tensor::{DType, Device, Shape, Tensor};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeBackend, cubecl};
use lenet_cubecl::{GpuError, InferConvBlock, InferDense};
use lenet_kernels::{Activation, Pooling};

/// The block, if the tensors are on a GPU in 32-bit floats without gradients, and their shapes match.
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
    let block = InferConvBlock::new(shape, activation, pooling).ok()?;
    let [input, weight, bias] = [
        input.clone().into_dispatch(),
        weight.clone().into_dispatch(),
        bias.clone().into_dispatch(),
    ];
    let output = <Dispatch as GpuBackend>::infer_conv_block(input, weight, bias, block);
    Some(Tensor::from_dispatch(output))
}

/// The layer, if the tensors are on a GPU in 32-bit floats without gradients, and their shapes match.
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
    let layer = InferDense::new([inputs, outputs], activation);
    let [input, weight, bias] = [
        input.clone().into_dispatch(),
        weight.clone().into_dispatch(),
        bias.clone().into_dispatch(),
    ];
    let output = <Dispatch as GpuBackend>::infer_dense(input, weight, bias, layer);
    Some(Tensor::from_dispatch(output))
}

/// Whether all tensors are on the same GPU, and without gradients.
fn are_covered(devices: [Device; 3], floats: [DType; 3]) -> bool {
    let [first, others @ ..] = &devices;
    matches!(first.as_dispatch(), DispatchDevice::Cube(_))
        && others.iter().all(|device| device == first)
        && floats == [DType::F32; 3]
}

/// CubeCL's backend extended with the layers.
#[backend_extension(Cube, Fusion)]
pub(crate) trait GpuBackend: Backend {
    /// See [`conv_block`](crate::conv_block).
    #[fusion(dtype = input, shape = conv_block_shape(input, weight, block))]
    fn infer_conv_block(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        block: InferConvBlock,
    ) -> FloatTensor<Self>;

    /// See [`dense`](crate::dense).
    #[fusion(dtype = input, shape = dense_shape(input, weight))]
    fn infer_dense(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        layer: InferDense,
    ) -> FloatTensor<Self>;
}

fn conv_block_shape(input: &Shape, weight: &Shape, block: &InferConvBlock) -> Shape {
    let ([images, ..], [channels, ..]) = (input.dims::<4>(), weight.dims::<4>());
    let [height, width] = block.output_size();
    Shape::new([images, channels, height, width])
}

fn dense_shape(input: &Shape, weight: &Shape) -> Shape {
    let ([images, _], [_, outputs]) = (input.dims::<2>(), weight.dims::<2>());
    Shape::new([images, outputs])
}

impl GpuBackend for CubeBackend {
    fn infer_conv_block(
        input: CubeTensor,
        weight: CubeTensor,
        bias: CubeTensor,
        block: InferConvBlock,
    ) -> CubeTensor {
        let shape = conv_block_shape(&input.shape(), &weight.shape(), &block);
        infer([input, weight, bias], shape, |client, images, handles| {
            block.run(client, images, handles)
        })
    }

    fn infer_dense(
        input: CubeTensor,
        weight: CubeTensor,
        bias: CubeTensor,
        layer: InferDense,
    ) -> CubeTensor {
        let shape = dense_shape(&input.shape(), &weight.shape());
        infer([input, weight, bias], shape, |client, images, handles| {
            layer.run(client, images, handles)
        })
    }
}

/// The output of a layer, whose first dimension is the batch.
fn infer(
    tensors: [CubeTensor; 3],
    shape: Shape,
    run: impl FnOnce(
        &cubecl::client::Client,
        usize,
        [cubecl::server::Handle; 3],
    ) -> Result<cubecl::server::Handle, GpuError>,
) -> CubeTensor {
    let tensors = tensors.map(into_contiguous);
    let [
        CubeTensor {
            client,
            device,
            dtype,
            ..
        },
        ..,
    ] = tensors.clone();
    let images = shape.first().copied().unwrap_or(0);
    let output = match run(&client, images, tensors.map(|tensor| tensor.handle)) {
        Ok(output) => output,
        Err(error) => unreachable!("tensors whose shapes were checked: {error}"),
    };
    CubeTensor::new_contiguous(client, device, shape, output, dtype)
}
