//! The convolution block: convolution, bias, activation, 2×2 pooling.

mod convolve;
mod division;
mod forward;
mod input_gradient;
mod partials;
mod reduction;
mod weight_gradient;

use lenet_kernels::{Activation, Pooling, Shape};

use self::division::{Division, shared_len};
use self::forward::conv_forward;
use self::input_gradient::conv_input_gradient;
pub(crate) use self::partials::{PartialSums, partials_len, sum_partials};
use self::reduction::Reduction;
use self::weight_gradient::conv_weight_gradient;
use crate::launch::{SHARED, UNITS, cubes_of};
use crate::{Buffer, GpuError, Parameters};

/// A convolution block of several networks side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ConvBlock {
    in_channels: usize,
    out_channels: usize,
    height: usize,
    width: usize,
    kernel_size: usize,
    padding: usize,
    /// Rows and columns of windows.
    pooled: [usize; 2],
    activation: Activation,
    pooling: Pooling,
}

impl ConvBlock {
    pub(crate) fn new(
        shape: Shape,
        activation: Activation,
        pooling: Pooling,
    ) -> Result<Self, GpuError> {
        let pooled = |size: usize| {
            let padded = size.checked_add(shape.padding.checked_mul(2)?)?;
            let windows = padded.checked_add(1)?.checked_sub(shape.kernel_size)? / 2;
            (windows > 0).then_some(windows)
        };
        let sizes = [shape.in_channels, shape.out_channels, shape.kernel_size];
        let pooled = pooled(shape.height).zip(pooled(shape.width));
        let Some((rows, columns)) = pooled.filter(|_| !sizes.contains(&0)) else {
            return Err(GpuError::Shape(shape));
        };
        let block = Self {
            in_channels: shape.in_channels,
            out_channels: shape.out_channels,
            height: shape.height,
            width: shape.width,
            kernel_size: shape.kernel_size,
            padding: shape.padding,
            pooled: [rows, columns],
            activation,
            pooling,
        };
        // One image, or many, differ in the channels of a unit only.
        let fits = block.forward_division(1, SHARED).is_some()
            && block.input_gradient_division(1, SHARED).is_some()
            && Reduction::new(&block).is_some();
        if !fits {
            let map = division::map_len(1, columns, shape.kernel_size);
            let (what, found, limit) = if columns > UNITS {
                ("windows of a row", columns, UNITS)
            } else {
                ("values that a row of windows reads", map, SHARED)
            };
            let (found, limit) = (found as u64, limit as u64);
            return Err(GpuError::TooLarge { what, found, limit });
        }
        Ok(block)
    }

    /// Height and width of the output.
    pub(crate) fn output_size(&self) -> [usize; 2] {
        self.pooled
    }

    /// Values of one sample's input.
    pub(crate) fn input_len(&self) -> usize {
        self.in_channels * self.height * self.width
    }

    /// Values of one sample's output.
    pub(crate) fn output_len(&self) -> usize {
        self.out_channels * self.windows()
    }

    pub(crate) fn weight_len(&self) -> usize {
        self.out_channels * self.fan_in()
    }

    pub(crate) fn bias_len(&self) -> usize {
        self.out_channels
    }

    fn fan_in(&self) -> usize {
        self.in_channels * self.kernel_size * self.kernel_size
    }

    /// Windows of one map.
    fn windows(&self) -> usize {
        self.pooled[0] * self.pooled[1]
    }

    /// What the backward pass needs of each window: the position of the maximum or, behind average pooling, four
    /// activations.
    fn saved_per_window(&self) -> usize {
        match self.pooling {
            Pooling::Max => 1,
            Pooling::Average => 4,
        }
    }

    /// Values of one sample that [`forward`](Self::forward) saves for the backward pass.
    pub(crate) fn saved_len(&self) -> usize {
        self.output_len() * self.saved_per_window()
    }

    fn forward_division(&self, images: usize, shared: usize) -> Option<Division> {
        let channels = [self.in_channels, self.out_channels];
        Division::new(images, channels, self.pooled, self.kernel_size, shared)
    }

    fn input_gradient_division(&self, images: usize, shared: usize) -> Option<Division> {
        let channels = [self.out_channels, self.in_channels];
        let blocks = [self.height.div_ceil(2), self.width.div_ceil(2)];
        Division::new(images, channels, blocks, self.kernel_size, shared)
    }

    /// Writes the output, and what the backward pass needs if there is a buffer for it.
    pub(crate) fn forward(
        &self,
        [networks, images]: [usize; 2],
        input: &Buffer,
        parameters: &Parameters,
        output: &Buffer,
        saved: Option<&Buffer>,
    ) {
        let client = input.client();
        let division = self.forward_division(networks * images, shared_len(client));
        let division = checked(division);
        let images_at_once = division.images_at_once([networks, images]);
        let cubes = networks * images.div_ceil(images_at_once) * division.cubes();
        let (count, dim) = cubes_of(client, cubes, division.units());
        conv_forward::launch(
            client,
            count,
            dim,
            input.arg(),
            parameters.weight.arg(),
            parameters.bias.arg(),
            output.arg(),
            saved.map(Buffer::arg).into(),
            networks,
            images,
            images_at_once,
            *self,
            parameters.stride,
            division,
        );
    }

    /// Writes the gradients of the parameters, in chunks of the images that [`sum_partials`] adds up, and, if there is a
    /// buffer for it, that of the input.
    pub(crate) fn backward(
        &self,
        [networks, images]: [usize; 2],
        pass: ConvPass<'_>,
        sums: PartialSums,
        input_gradient: Option<&Buffer>,
    ) {
        let client = pass.input.client();
        let reduction = checked(Reduction::new(self));
        let (chunks, images_of_chunk) = partials::chunks(images);
        let units = reduction.units();
        let (count, dim) = cubes_of(client, networks * chunks * reduction.cubes(), units);
        conv_weight_gradient::launch(
            client,
            count,
            dim,
            pass.input.arg(),
            pass.output.arg(),
            pass.saved.arg(),
            pass.output_gradient.arg(),
            pass.partials.arg(),
            images,
            networks,
            chunks,
            images_of_chunk,
            *self,
            reduction,
            sums,
        );
        let Some(input_gradient) = input_gradient else {
            return;
        };
        let division = self.input_gradient_division(networks * images, shared_len(client));
        let division = checked(division);
        let images_at_once = division.images_at_once([networks, images]);
        let cubes = networks * images.div_ceil(images_at_once) * division.cubes();
        let (count, dim) = cubes_of(client, cubes, division.units());
        conv_input_gradient::launch(
            client,
            count,
            dim,
            pass.parameters.weight.arg(),
            pass.output.arg(),
            pass.saved.arg(),
            pass.output_gradient.arg(),
            input_gradient.arg(),
            networks,
            images,
            images_at_once,
            *self,
            pass.parameters.stride,
            division,
        );
    }
}

/// What [`ConvBlock::new`] has found to fit.
fn checked<T>(division: Option<T>) -> T {
    division.unwrap_or_else(|| unreachable!("a block is only made if a row of its windows fits"))
}

/// What the backward pass of a block reads.
#[derive(Clone, Copy)]
pub(crate) struct ConvPass<'a> {
    pub(crate) input: &'a Buffer,
    pub(crate) parameters: &'a Parameters,
    pub(crate) output: &'a Buffer,
    pub(crate) saved: &'a Buffer,
    pub(crate) output_gradient: &'a Buffer,
    /// Room for [`partials_len`] values.
    pub(crate) partials: &'a Buffer,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks of many sizes, most of them unlike any LeNet.
    fn blocks() -> Vec<ConvBlock> {
        let mut blocks = Vec::new();
        for kernel_size in [1, 2, 3, 5, 7, 8, 11, 13, 16, 20] {
            for size in [4, 9, 28, 33, 64, 200, 500, 700] {
                for [in_channels, out_channels] in [[1, 1], [1, 6], [3, 7], [20, 20], [64, 200]] {
                    for (padding, pooling) in [
                        (0, Pooling::Max),
                        (kernel_size / 2, Pooling::Average),
                        (kernel_size, Pooling::Max),
                    ] {
                        let shape = Shape {
                            in_channels,
                            out_channels,
                            height: size,
                            width: size,
                            kernel_size,
                            padding,
                        };
                        blocks.extend(ConvBlock::new(shape, Activation::Relu, pooling));
                    }
                }
            }
        }
        blocks
    }

    #[test]
    fn every_gpu_has_the_shared_memory_and_the_units_of_a_cube() {
        let blocks = blocks();
        assert!(blocks.len() > 500, "{} blocks", blocks.len());
        for block in blocks {
            let reduction = checked(Reduction::new(&block));
            let values = reduction.shared_len() + reduction.gradients_len();
            assert!(
                values <= SHARED && reduction.shares > 0,
                "{block:?}: {reduction:?}"
            );
            assert!(reduction.units() <= UNITS, "{block:?}: {reduction:?}");
            for images in [1, 100, 10_000] {
                for division in [
                    block.forward_division(images, SHARED),
                    block.input_gradient_division(images, SHARED),
                ] {
                    let division = checked(division);
                    let weights = division::VECTOR * division.weights_len();
                    let values = division.maps_len() + weights;
                    assert!(values <= SHARED, "{block:?}: {division:?}");
                    assert!(division.units() <= UNITS, "{block:?}: {division:?}");
                }
            }
        }
    }

    #[test]
    fn images_that_are_too_wide_for_a_gpu_are_refused() {
        let shape = |width| Shape {
            in_channels: 1,
            out_channels: 1,
            height: 8,
            width,
            kernel_size: 3,
            padding: 1,
        };
        let block = |width| ConvBlock::new(shape(width), Activation::Relu, Pooling::Max);
        assert!(block(512).is_ok());
        let expected = GpuError::TooLarge {
            what: "windows of a row",
            found: 300,
            limit: 256,
        };
        assert_eq!(block(600), Err(expected));
    }
}
