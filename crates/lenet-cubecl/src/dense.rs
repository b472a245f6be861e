//! The dense layer with its activation: three products of matrices. A unit computes a few rows of one column, so what
//! they have in common is read once; the rest is left to the caches, which hold the matrices of a layer of LeNet.

use cubecl::prelude::*;
use lenet_kernels::Activation;

use crate::activation::{activate, derivative};
use crate::launch::per_value;
use crate::{Buffer, Parameters};

/// Rows of a unit.
const ROWS: usize = 4;

/// A dense layer of several networks side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DenseLayer {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) activation: Option<Activation>,
}

impl DenseLayer {
    pub(crate) fn weight_len(&self) -> usize {
        self.inputs * self.outputs
    }

    pub(crate) fn forward(
        &self,
        [networks, images]: [usize; 2],
        input: &Buffer,
        parameters: &Parameters,
        output: &Buffer,
    ) {
        let client = input.client();
        let (count, dim) = per_value(client, units(networks, images, self.outputs));
        dense_forward::launch(
            client,
            count,
            dim,
            input.arg(),
            parameters.weight.arg(),
            parameters.bias.arg(),
            output.arg(),
            images,
            *self,
            parameters.stride,
        );
    }

    /// Writes the gradients of the parameters and, if there is a buffer for it, that of the input.
    pub(crate) fn backward(
        &self,
        [networks, images]: [usize; 2],
        pass: DensePass<'_>,
        gradients: &Parameters,
        input_gradient: Option<&Buffer>,
    ) {
        let client = pass.input.client();
        let (count, dim) = per_value(client, units(networks, self.inputs + 1, self.outputs));
        dense_weight_gradient::launch(
            client,
            count,
            dim,
            pass.input.arg(),
            pass.output.arg(),
            pass.output_gradient.arg(),
            gradients.weight.arg(),
            gradients.bias.arg(),
            images,
            networks,
            *self,
            gradients.stride,
        );
        let Some(input_gradient) = input_gradient else {
            return;
        };
        let (count, dim) = per_value(client, units(networks, images, self.inputs));
        dense_input_gradient::launch(
            client,
            count,
            dim,
            pass.parameters.weight.arg(),
            pass.output.arg(),
            pass.output_gradient.arg(),
            input_gradient.arg(),
            images,
            *self,
            pass.parameters.stride,
        );
    }
}

/// What the backward pass of a layer reads.
#[derive(Clone, Copy)]
pub(crate) struct DensePass<'a> {
    pub(crate) input: &'a Buffer,
    pub(crate) parameters: &'a Parameters,
    pub(crate) output: &'a Buffer,
    pub(crate) output_gradient: &'a Buffer,
}

/// Units for results of so many rows and columns.
fn units(networks: usize, rows: usize, columns: usize) -> usize {
    networks * rows.div_ceil(ROWS) * columns
}

/// `[images, outputs]` = activation(input · weight + bias).
#[cube(launch)]
fn dense_forward(
    input: &[f32],
    weight: &[f32],
    bias: &[f32],
    output: &mut [f32],
    images: usize,
    #[comptime] layer: DenseLayer,
    #[comptime] stride: usize,
) {
    let (inputs, outputs) = comptime!((layer.inputs, layer.outputs));
    let groups = images.div_ceil(ROWS);
    let column = ABSOLUTE_POS % outputs;
    let first = ABSOLUTE_POS / outputs % groups * ROWS;
    let network = ABSOLUTE_POS / outputs / groups;
    if network * images * outputs >= output.len() {
        terminate!();
    }

    let start = (network * images + first) * inputs;
    let mut sums = Array::<f32>::new(ROWS);
    #[unroll]
    for row in 0..ROWS {
        sums[row] = bias[network * stride + column];
    }
    for k in 0..inputs {
        let tap = weight[network * stride + k * outputs + column];
        #[unroll]
        for row in 0..ROWS {
            // Rows behind the last repeat it.
            let row_start = start + min(row, images - 1 - first) * inputs;
            sums[row] += input[row_start + k] * tap;
        }
    }
    #[unroll]
    for row in 0..ROWS {
        if first + row < images {
            let index = (network * images + first + row) * outputs + column;
            output[index] = activated(sums[row], layer);
        }
    }
}

/// `[inputs, outputs]` = inputᵀ · gradient, with a last row for the bias, whose input is 1.
#[cube(launch)]
fn dense_weight_gradient(
    input: &[f32],
    output: &[f32],
    output_gradient: &[f32],
    weight_gradient: &mut [f32],
    bias_gradient: &mut [f32],
    images: usize,
    networks: usize,
    #[comptime] layer: DenseLayer,
    #[comptime] stride: usize,
) {
    let (inputs, outputs) = comptime!((layer.inputs, layer.outputs));
    let groups = comptime!((inputs + 1).div_ceil(ROWS));
    let column = ABSOLUTE_POS % outputs;
    let first = ABSOLUTE_POS / outputs % groups * ROWS;
    let network = ABSOLUTE_POS / comptime!(outputs * groups);
    if network >= networks {
        terminate!();
    }

    let mut sums = Array::<f32>::new(ROWS);
    #[unroll]
    for row in 0..ROWS {
        sums[row] = 0.0;
    }
    for image in network * images..(network + 1) * images {
        let gradient = before_activation(output, output_gradient, image * outputs + column, layer);
        #[unroll]
        for row in 0..ROWS {
            let value = input[image * inputs + min(first + row, comptime!(inputs - 1))];
            sums[row] += select(first + row == inputs, 1.0, value) * gradient;
        }
    }
    #[unroll]
    for row in 0..ROWS {
        if first + row < inputs {
            weight_gradient[network * stride + (first + row) * outputs + column] = sums[row];
        } else if first + row == inputs {
            bias_gradient[network * stride + column] = sums[row];
        }
    }
}

/// `[images, inputs]` = gradient · weightᵀ.
#[cube(launch)]
fn dense_input_gradient(
    weight: &[f32],
    output: &[f32],
    output_gradient: &[f32],
    input_gradient: &mut [f32],
    images: usize,
    #[comptime] layer: DenseLayer,
    #[comptime] stride: usize,
) {
    let (inputs, outputs) = comptime!((layer.inputs, layer.outputs));
    let groups = images.div_ceil(ROWS);
    let column = ABSOLUTE_POS % inputs;
    let first = ABSOLUTE_POS / inputs % groups * ROWS;
    let network = ABSOLUTE_POS / inputs / groups;
    if network * images * inputs >= input_gradient.len() {
        terminate!();
    }

    let start = (network * images + first) * outputs;
    let mut sums = Array::<f32>::new(ROWS);
    #[unroll]
    for row in 0..ROWS {
        sums[row] = 0.0;
    }
    for k in 0..outputs {
        let tap = weight[network * stride + column * outputs + k];
        #[unroll]
        for row in 0..ROWS {
            let row_start = start + min(row, images - 1 - first) * outputs;
            sums[row] += before_activation(output, output_gradient, row_start + k, layer) * tap;
        }
    }
    #[unroll]
    for row in 0..ROWS {
        if first + row < images {
            input_gradient[(network * images + first + row) * inputs + column] = sums[row];
        }
    }
}

#[cube]
fn activated(value: f32, #[comptime] layer: DenseLayer) -> f32 {
    match comptime!(layer.activation) {
        Some(activation) => activate(value, activation),
        None => value,
    }
}

/// The gradient of what the activation was applied to.
#[cube]
fn before_activation(
    output: &[f32],
    output_gradient: &[f32],
    index: usize,
    #[comptime] layer: DenseLayer,
) -> f32 {
    match comptime!(layer.activation) {
        Some(activation) => output_gradient[index] * derivative(output[index], activation),
        None => output_gradient[index],
    }
}
