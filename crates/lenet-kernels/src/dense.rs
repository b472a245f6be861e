use std::borrow::Cow;

use pulp::WithSimd;
use rayon::prelude::*;

use crate::kernel::{Gradients, length};
use crate::product::{Left, Panels, Product};
use crate::unfilled::{Part, Unfilled};
use crate::{Activation, KernelError, Level};

/// Rows of a product to a task.
const ROWS: usize = 32;

/// Multiplications from which on waking other threads pays.
const LARGE: usize = 1 << 19;

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
        let right = Panels::new(weight, self.outputs);
        Ok(self.product(batch, Left::Rows(input), &right, Some(bias)))
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
        let gradient = match self.activation {
            None => Cow::Borrowed(output_gradient),
            Some(activation) => {
                let mut scaled = vec![0.0; output.len()];
                self.level.run(Scale {
                    activation,
                    gradients: output_gradient,
                    values: output,
                    scaled: &mut scaled,
                });
                Cow::Owned(scaled)
            }
        };
        let weight_gradient = || {
            let mut bias = vec![0.0; self.outputs];
            for row in gradient.chunks_exact(self.outputs.max(1)) {
                bias.iter_mut()
                    .zip(row)
                    .for_each(|(total, &gradient)| *total += gradient);
            }
            let right = Panels::new(&gradient, self.outputs);
            let left = Left::Transposed(input, self.inputs);
            (self.product(self.inputs, left, &right, None), bias)
        };
        let input_gradient = || match input_gradient {
            true => {
                let right = Panels::transposed(weight, self.inputs, self.outputs);
                self.product(batch, Left::Rows(&gradient), &right, None)
            }
            false => Vec::new(),
        };
        let ((weight, bias), input) = match self.is_large(batch) {
            true => rayon::join(weight_gradient, input_gradient),
            false => (weight_gradient(), input_gradient()),
        };
        Ok(Gradients {
            input,
            weight,
            bias,
        })
    }

    /// Whether the work is enough for several threads.
    fn is_large(&self, batch: usize) -> bool {
        let multiplications = batch.saturating_mul(self.inputs);
        multiplications.saturating_mul(self.outputs) >= LARGE
    }

    fn check(&self, batch: usize, input: &[f32], weight: &[f32]) -> Result<(), KernelError> {
        length("input", batch.checked_mul(self.inputs), input)?;
        length("weight", self.inputs.checked_mul(self.outputs), weight)?;
        match batch.checked_mul(self.outputs) {
            Some(_) => Ok(()),
            None => Err(KernelError::Batch { batch }),
        }
    }

    /// `rows` rows of a product; each is computed by one task, so the order of its sums is fixed. With a
    /// bias it is the output of the layer, which has an activation too.
    fn product(
        &self,
        rows: usize,
        left: Left<'_>,
        right: &Panels<'_>,
        bias: Option<&[f32]>,
    ) -> Vec<f32> {
        let columns = right.columns();
        let len = (ROWS * columns).max(1);
        let mut output = Unfilled::new(rows * columns);
        let run = |(task, output): (usize, Part<'_, f32>)| {
            self.level.run(Product {
                left,
                right,
                bias,
                activation: bias.and(self.activation),
                first_row: task * ROWS,
                output: output.zeroed(),
            });
        };
        let parts = output.parts(len, rows.div_ceil(ROWS));
        if rows.saturating_mul(columns).saturating_mul(right.rows()) < LARGE {
            parts.into_iter().enumerate().for_each(run);
        } else {
            parts.into_par_iter().enumerate().for_each(run);
        }
        output.finish()
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
