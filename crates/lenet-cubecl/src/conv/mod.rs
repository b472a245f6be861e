//! The convolution block: convolution, bias, activation, 2×2 pooling.

mod forward;
mod input_gradient;
mod weight_gradient;

use cubecl::prelude::*;
use lenet_kernels::{Activation, Pooling, Shape};

use self::forward::conv_forward;
use self::input_gradient::conv_input_gradient;
use self::weight_gradient::{Reduction, conv_sum_partials, conv_weight_gradient};
use crate::launch::{UNITS, at_once, per_value};
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
        Ok(Self {
            in_channels: shape.in_channels,
            out_channels: shape.out_channels,
            height: shape.height,
            width: shape.width,
            kernel_size: shape.kernel_size,
            padding: shape.padding,
            pooled: [rows, columns],
            activation,
            pooling,
        })
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

    /// Values of shared memory of a cube.
    pub(crate) fn shared_len(&self) -> usize {
        UNITS * self.kernel_size
    }

    /// Values of the sums between the two launches for the gradients of the parameters.
    pub(crate) fn partials_len(&self, [networks, images]: [usize; 2]) -> usize {
        Reduction::new(self, images).chunks * networks * self.out_channels * (self.fan_in() + 1)
    }

    /// Writes the output, and what the backward pass needs if there is a buffer for it.
    pub(crate) fn forward(
        &self,
        [_, images]: [usize; 2],
        input: &Buffer,
        parameters: &Parameters,
        output: &Buffer,
        saved: Option<&Buffer>,
    ) {
        let client = input.client();
        let channels = at_once(output.len(), |n| self.out_channels.is_multiple_of(n));
        let (count, dim) = per_value(client, output.len() / channels);
        conv_forward::launch(
            client,
            count,
            dim,
            input.arg(),
            parameters.weight.arg(),
            parameters.bias.arg(),
            output.arg(),
            saved.map(Buffer::arg).into(),
            images,
            *self,
            parameters.stride,
            channels,
        );
    }

    /// Writes the gradients of the parameters and, if there is a buffer for it, that of the input.
    pub(crate) fn backward(
        &self,
        [networks, images]: [usize; 2],
        pass: ConvPass<'_>,
        gradients: &Parameters,
        input_gradient: Option<&Buffer>,
    ) {
        let client = pass.input.client();
        let reduction = Reduction::new(self, images);
        conv_weight_gradient::launch(
            client,
            CubeCount::Static(
                reduction.chunks as u32,
                reduction.tiles as u32,
                (networks * self.out_channels) as u32,
            ),
            CubeDim::new_1d(UNITS as u32),
            pass.input.arg(),
            pass.output.arg(),
            pass.saved.arg(),
            pass.output_gradient.arg(),
            pass.partials.arg(),
            images,
            reduction.images,
            *self,
            reduction.lanes,
        );
        let (count, dim) = per_value(client, networks * self.out_channels * (self.fan_in() + 1));
        conv_sum_partials::launch(
            client,
            count,
            dim,
            pass.partials.arg(),
            gradients.weight.arg(),
            gradients.bias.arg(),
            reduction.chunks,
            networks,
            *self,
            gradients.stride,
        );
        let Some(input_gradient) = input_gradient else {
            return;
        };
        let channels = at_once(input_gradient.len(), |n| self.in_channels.is_multiple_of(n));
        let (count, dim) = per_value(client, input_gradient.len() / channels);
        conv_input_gradient::launch(
            client,
            count,
            dim,
            pass.parameters.weight.arg(),
            pass.output.arg(),
            pass.saved.arg(),
            pass.output_gradient.arg(),
            input_gradient.arg(),
            images,
            *self,
            pass.parameters.stride,
            channels,
        );
    }
}

/// What the backward pass of a block reads.
#[derive(Clone, Copy)]
pub(crate) struct ConvPass<'a> {
    pub(crate) input: &'a Buffer,
    pub(crate) parameters: &'a Parameters,
    pub(crate) output: &'a Buffer,
    pub(crate) saved: &'a Buffer,
    pub(crate) output_gradient: &'a Buffer,
    /// Room for [`partials_len`](ConvBlock::partials_len) values.
    pub(crate) partials: &'a Buffer,
}
