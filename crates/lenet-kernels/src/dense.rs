use pulp::WithSimd;
use rayon::prelude::*;

use crate::kernel::{Gradients, length};
use crate::product::{Panels, Product};
use crate::{Activation, KernelError, Level};

/// Rows of a product to a task.
const ROWS: usize = 32;

/// Multiplications from which on waking other threads pays.
const LARGE: usize = 1 << 21;

/// The kernel of a dense layer with its activation: `output = activation(input · weight + bias)`.
///
/// ```
/// use lenet_kernels::{Activation, DenseKernel};
///
/// let kernel = DenseKernel::new(2, 3, Some(Activation::Relu));
/// let weight = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]; // [inputs, outputs]
/// let output = kernel.forward(1, &[1.0, -1.0], &weight, &[0.0, 0.0, 4.0])?;
/// assert_eq!(output, [0.0, 0.0, 1.0]);
/// # Ok::<(), lenet_kernels::KernelError>(())
/// ```
#[derive(Clone, Debug)]
pub struct DenseKernel {
    inputs: usize,
    outputs: usize,
    activation: Option<Activation>,
    level: Level,
}

/// What a backward pass of a [`DenseKernel`] needs.
#[derive(Clone, Copy, Debug)]
pub struct DenseBackwardArguments<'a> {
    /// Number of samples.
    pub batch: usize,
    /// As given to the forward pass.
    pub input: &'a [f32],
    /// As given to the forward pass.
    pub weight: &'a [f32],
    /// What the forward pass gave.
    pub output: &'a [f32],
    /// Gradient of the output.
    pub output_gradient: &'a [f32],
    /// Whether the gradient of the input is wanted.
    pub input_gradient: bool,
}

impl DenseKernel {
    /// A kernel for these numbers of values to a sample.
    pub fn new(inputs: usize, outputs: usize, activation: Option<Activation>) -> Self {
        Self {
            inputs,
            outputs,
            activation,
            level: Level::best(),
        }
    }

    /// Uses this instruction set in place of the best one.
    #[must_use]
    pub fn with_level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// Computes `[batch, outputs]` from `input` `[batch, inputs]`, `weight` `[inputs, outputs]` and
    /// `bias` `[outputs]`.
    ///
    /// # Errors
    ///
    /// [`KernelError::Length`] if a slice has another length; [`KernelError::Batch`] if the output would be
    /// too large.
    pub fn forward(
        &self,
        batch: usize,
        input: &[f32],
        weight: &[f32],
        bias: &[f32],
    ) -> Result<Vec<f32>, KernelError> {
        self.check(batch, input, weight)?;
        length("bias", Some(self.outputs), bias)?;
        let right = Panels::new(weight, self.outputs, batch);
        let mut output = self.product(batch, input, [self.inputs, 1], &right, Some(bias));
        if let Some(activation) = self.activation {
            self.level.run(Activate(activation, &mut output));
        }
        Ok(output)
    }

    /// Computes the gradients of input, weights and biases.
    ///
    /// # Errors
    ///
    /// [`KernelError::Length`] if a slice has another length.
    pub fn backward(
        &self,
        arguments: DenseBackwardArguments<'_>,
    ) -> Result<Gradients, KernelError> {
        let DenseBackwardArguments {
            batch,
            input,
            weight,
            output,
            output_gradient,
            input_gradient,
        } = arguments;
        self.check(batch, input, weight)?;
        length("output", batch.checked_mul(self.outputs), output)?;
        length("output gradient", Some(output.len()), output_gradient)?;

        // From here on the gradient before the activation.
        let mut gradient = output_gradient.to_vec();
        if let Some(activation) = self.activation {
            self.level.run(Scale {
                activation,
                gradients: output_gradient,
                values: output,
                scaled: &mut gradient,
            });
        }
        let mut bias = vec![0.0; self.outputs];
        for row in gradient.chunks_exact(self.outputs.max(1)) {
            bias.iter_mut()
                .zip(row)
                .for_each(|(total, &gradient)| *total += gradient);
        }
        let right = Panels::new(&gradient, self.outputs, self.inputs);
        let weight_gradient = self.product(self.inputs, input, [1, self.inputs], &right, None);
        let input = match input_gradient {
            true => {
                let right = Panels::transposed(weight, self.inputs, self.outputs);
                self.product(batch, &gradient, [self.outputs, 1], &right, None)
            }
            false => Vec::new(),
        };
        Ok(Gradients {
            input,
            weight: weight_gradient,
            bias,
        })
    }

    fn check(&self, batch: usize, input: &[f32], weight: &[f32]) -> Result<(), KernelError> {
        length("input", batch.checked_mul(self.inputs), input)?;
        length("weight", self.inputs.checked_mul(self.outputs), weight)?;
        match batch.checked_mul(self.outputs) {
            Some(_) => Ok(()),
            None => Err(KernelError::Batch { batch }),
        }
    }

    /// `rows` rows of `left · right`; each is computed by one task, so the order of its sums is fixed.
    fn product(
        &self,
        rows: usize,
        left: &[f32],
        [row_stride, column_stride]: [usize; 2],
        right: &Panels<'_>,
        bias: Option<&[f32]>,
    ) -> Vec<f32> {
        let columns = right.columns();
        let mut output = vec![0.0; rows * columns];
        let run = |(task, output): (usize, &mut [f32])| {
            self.level.run(Product {
                left,
                row_stride,
                column_stride,
                right,
                bias,
                first_row: task * ROWS,
                output,
            });
        };
        let len = (ROWS * columns).max(1);
        if rows.saturating_mul(columns).saturating_mul(right.rows()) < LARGE {
            output.chunks_mut(len).enumerate().for_each(run);
        } else {
            output.par_chunks_mut(len).enumerate().for_each(run);
        }
        output
    }
}

/// Gradients before an activation.
struct Scale<'a> {
    activation: Activation,
    gradients: &'a [f32],
    values: &'a [f32],
    scaled: &'a mut [f32],
}

impl WithSimd for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) {
        self.activation
            .scale(self.gradients, self.values, self.scaled);
    }
}

struct Activate<'a>(Activation, &'a mut [f32]);

impl WithSimd for Activate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) {
        self.0.apply(self.1);
    }
}
