//! The dense layer with its activation. `product.rs` holds the matrix product; here is what multiplies what:
//!
//! ```text
//! output          = activation(input · weight + bias)
//! gradient        = output gradient · activation'(output)
//! weight gradient = inputᵀ · gradient
//! input gradient  = gradient · weightᵀ
//! ```

#![expect(
    clippy::indexing_slicing,
    reason = "lengths are checked at the entrance, so an index out of bounds is a bug that must panic"
)]

mod product;

use std::borrow::Cow;

use pulp::WithSimd;
use rayon::prelude::*;

pub(crate) use self::product::Panels;
use self::product::{Left, Product};
use crate::error::check_len;
use crate::simd::{Part, Unfilled};
use crate::{Activation, Gradients, KernelError, Parameters, SimdLevel};

/// Rows of a product in a task.
pub(crate) const ROWS: usize = 32;

/// Multiplications from which on it pays to wake other threads.
const LARGE: usize = 1 << 19;

/// A dense layer with its activation, if it has one: `output = activation(input · weight + bias)`.
///
/// ```
/// use lenet_kernels::{Activation, DensePlan, Parameters};
///
/// let plan = DensePlan::new([2, 3], Some(Activation::Relu));
/// let parameters = Parameters {
///     weight: &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], // [inputs, outputs]
///     bias: &[0.0, 0.0, 4.0],
/// };
/// let output = plan.forward(1, &[1.0, -1.0], parameters)?;
/// assert_eq!(output, [0.0, 0.0, 1.0]);
/// # Ok::<(), lenet_kernels::KernelError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct DensePlan {
    inputs: usize,
    outputs: usize,
    activation: Option<Activation>,
    level: SimdLevel,
}

/// The arguments of [`DensePlan::backward`].
#[derive(Clone, Copy, Debug)]
pub struct DenseBackward<'a> {
    /// Number of samples.
    pub batch: usize,
    /// The input of the forward pass, `[batch, inputs]`.
    pub input: &'a [f32],
    /// The weights of the forward pass, `[inputs, outputs]`.
    pub weight: &'a [f32],
    /// The output of the forward pass, `[batch, outputs]`.
    pub output: &'a [f32],
    /// Gradient of the output, `[batch, outputs]`.
    pub output_gradient: &'a [f32],
    /// Whether to compute the gradient of the input.
    pub input_gradient: bool,
}

impl DensePlan {
    /// A plan for a weight matrix `[inputs, outputs]`.
    pub fn new([inputs, outputs]: [usize; 2], activation: Option<Activation>) -> Self {
        Self {
            inputs,
            outputs,
            activation,
            level: SimdLevel::best(),
        }
    }

    /// Uses this SIMD level instead of the fastest one.
    #[must_use]
    pub fn with_level(mut self, level: SimdLevel) -> Self {
        self.level = level;
        self
    }

    /// Computes `[batch, outputs]` from `input` `[batch, inputs]`.
    ///
    /// # Errors
    ///
    /// [`KernelError::Length`] if a slice has another length than the shapes require; [`KernelError::Batch`]
    /// if the output exceeds the address space.
    pub fn forward(
        &self,
        batch: usize,
        input: &[f32],
        parameters: Parameters<'_>,
    ) -> Result<Vec<f32>, KernelError> {
        let Parameters { weight, bias } = parameters;
        self.check_input(batch, input, weight)?;
        check_len("bias", Some(self.outputs), bias)?;
        let right = Panels::new(weight, self.outputs);
        Ok(self.product(batch, Left::Rows(input), &right, Some(bias)))
    }

    /// Computes the gradients of input, weights and biases.
    ///
    /// # Errors
    ///
    /// [`KernelError::Length`] if a slice has another length than the shapes require.
    pub fn backward(&self, arguments: DenseBackward<'_>) -> Result<Gradients, KernelError> {
        let DenseBackward {
            batch,
            input,
            weight,
            output,
            output_gradient,
            input_gradient,
        } = arguments;
        self.check_input(batch, input, weight)?;
        check_len("output", batch.checked_mul(self.outputs), output)?;
        check_len("output gradient", Some(output.len()), output_gradient)?;

        let gradient = match self.activation {
            None => Cow::Borrowed(output_gradient),
            Some(_) => {
                let mut gradient = output_gradient.to_vec();
                self.before_activation(output, &mut gradient);
                Cow::Owned(gradient)
            }
        };
        let weight_gradient = || {
            let right = Panels::new(&gradient, self.outputs);
            let left = Left::Transposed(input, self.inputs);
            let weight = self.product(self.inputs, left, &right, None);
            (weight, self.bias_gradient(&gradient))
        };
        let input_gradient = || {
            if input_gradient {
                let right = self.transposed(weight);
                self.product(batch, Left::Rows(&gradient), &right, None)
            } else {
                Vec::new()
            }
        };
        let ((weight, bias), input) = if self.is_large(batch) {
            rayon::join(weight_gradient, input_gradient)
        } else {
            (weight_gradient(), input_gradient())
        };
        Ok(Gradients {
            input,
            weight,
            bias,
        })
    }

    /// The number of inputs.
    pub(crate) fn inputs(&self) -> usize {
        self.inputs
    }

    /// The number of outputs.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// The SIMD level.
    pub(crate) fn level(&self) -> SimdLevel {
        self.level
    }

    /// The weights as the gradient of the input reads them.
    pub(crate) fn transposed<'a>(&self, weight: &[f32]) -> Panels<'a> {
        Panels::transposed(weight, self.inputs, self.outputs)
    }

    /// The outputs of some samples.
    pub(crate) fn forward_group(
        &self,
        input: &[f32],
        (weight, bias): (&Panels<'_>, &[f32]),
        output: &mut [f32],
    ) {
        self.level.run(Product {
            left: Left::Rows(input),
            right: weight,
            bias: Some(bias),
            activation: self.activation,
            first_row: 0,
            output,
        });
    }

    /// Turns the gradient of outputs into the gradient before the activation.
    pub(crate) fn before_activation(&self, output: &[f32], gradient: &mut [f32]) {
        if let Some(activation) = self.activation {
            self.level.run(Scale {
                activation,
                values: output,
                gradients: gradient,
            });
        }
    }

    /// The gradient of some samples' inputs from those before the activation.
    pub(crate) fn input_gradient_group(
        &self,
        gradient: &[f32],
        transposed: &Panels<'_>,
        input_gradient: &mut [f32],
    ) {
        self.level.run(Product {
            left: Left::Rows(gradient),
            right: transposed,
            bias: None,
            activation: None,
            first_row: 0,
            output: input_gradient,
        });
    }

    /// The gradient of the weights of some inputs, from `first` on.
    pub(crate) fn weight_gradient_rows(
        &self,
        input: &[f32],
        gradient: &Panels<'_>,
        first: usize,
        weight_gradient: &mut [f32],
    ) {
        self.level.run(Product {
            left: Left::Transposed(input, self.inputs),
            right: gradient,
            bias: None,
            activation: None,
            first_row: first,
            output: weight_gradient,
        });
    }

    /// The gradient of the biases from those before the activation.
    pub(crate) fn bias_gradient(&self, gradient: &[f32]) -> Vec<f32> {
        let mut bias = vec![0.0; self.outputs];
        for row in gradient.chunks_exact(self.outputs.max(1)) {
            let pairs = bias.iter_mut().zip(row);
            pairs.for_each(|(total, &gradient)| *total += gradient);
        }
        bias
    }

    /// Whether there is enough work for several threads.
    fn is_large(&self, batch: usize) -> bool {
        let multiplications = batch.saturating_mul(self.inputs);
        multiplications.saturating_mul(self.outputs) >= LARGE
    }

    /// Checks the lengths of weights and biases.
    pub(crate) fn check(&self, parameters: Parameters<'_>) -> Result<(), KernelError> {
        let len = self.inputs.checked_mul(self.outputs);
        check_len("weight", len, parameters.weight)?;
        check_len("bias", Some(self.outputs), parameters.bias)
    }

    fn check_input(&self, batch: usize, input: &[f32], weight: &[f32]) -> Result<(), KernelError> {
        check_len("input", batch.checked_mul(self.inputs), input)?;
        check_len("weight", self.inputs.checked_mul(self.outputs), weight)?;
        let output = batch.checked_mul(self.outputs);
        output.map(|_| ()).ok_or(KernelError::Batch { batch })
    }

    /// A product of `rows` rows. One task computes a row, so the order of its sums is fixed. With a bias it is
    /// the output of the layer, which the activation follows.
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

/// [`Activation::scale`] in place, compiled for the SIMD level.
struct Scale<'a> {
    activation: Activation,
    values: &'a [f32],
    gradients: &'a mut [f32],
}

impl WithSimd for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) {
        self.activation.scale_in_place(self.gradients, self.values);
    }
}
