use rayon::prelude::*;

use crate::aligned::Aligned;
use crate::backward::{Backward, Pooled, Scratch};
use crate::forward::{Forward, ForwardScratch};
use crate::geometry::{Geometry, LANES};
use crate::layout::Layout;
use crate::patches::PatchGeometry;
use crate::unfilled::{Part, Unfilled};
use crate::{Activation, KernelError, Level, Pooling, Shape};

/// Samples to a task. Weight gradients are summed within a group and then group by group, so the
/// result does not depend on which thread took which.
pub(crate) const GROUP: usize = 8;

/// The kernel of one convolution block: convolution (stride 1), bias, activation and 2×2 pooling
/// (stride 2; an odd last row or column is dropped).
///
/// See the [crate's documentation](crate) for an example of the forward pass; the backward pass
/// takes what it left:
///
/// ```
/// use lenet_kernels::{Activation, BackwardArguments, ConvBlockKernel, Pooling, Shape};
///
/// let shape = Shape {
///     in_channels: 1,
///     out_channels: 1,
///     height: 2,
///     width: 2,
///     kernel_size: 1,
///     padding: 0,
/// };
/// let kernel = ConvBlockKernel::new(shape, Activation::Relu, Pooling::Max)?;
/// let (input, weight) = ([1.0, 4.0, 2.0, 3.0], [0.5]);
/// let (output, saved) = kernel.forward(1, &input, &weight, &[0.0])?;
/// assert_eq!(output, [2.0]);
///
/// let gradients = kernel.backward(BackwardArguments {
///     batch: 1,
///     input: &input,
///     weight: &weight,
///     output: &output,
///     saved: &saved,
///     output_gradient: &[1.0],
///     input_gradient: true,
/// })?;
/// assert_eq!(gradients.input, [0.0, 0.5, 0.0, 0.0]);
/// assert_eq!((gradients.weight, gradients.bias), (vec![4.0], vec![1.0]));
/// # Ok::<(), lenet_kernels::KernelError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ConvBlockKernel {
    pub(crate) geometry: Geometry,
    pub(crate) layout: Layout,
    pub(crate) patches: PatchGeometry,
    pub(crate) activation: Activation,
    pub(crate) pooling: Pooling,
    level: Level,
}

/// Input, output, winners and activations of one group of samples.
type GroupParts<'a> = ((&'a [f32], Part<'a, f32>), (Part<'a, u8>, Part<'a, f32>));

/// What a forward pass leaves for the backward pass.
#[derive(Clone, Debug, Default)]
pub struct Saved {
    /// For max pooling: which of the four values won, one for each output.
    winners: Vec<u8>,
    /// For average pooling: the values before the pooling, as the kernel's layout has them.
    activations: Vec<f32>,
}

/// Gradients of one layer.
#[derive(Clone, Debug, Default)]
pub struct Gradients {
    /// Of the input, unless it was not asked for.
    pub input: Vec<f32>,
    /// Of the weights.
    pub weight: Vec<f32>,
    /// Of the biases.
    pub bias: Vec<f32>,
}

/// What a backward pass needs.
#[derive(Clone, Copy, Debug)]
pub struct BackwardArguments<'a> {
    /// Number of samples.
    pub batch: usize,
    /// As given to the forward pass.
    pub input: &'a [f32],
    /// As given to the forward pass.
    pub weight: &'a [f32],
    /// What the forward pass gave.
    pub output: &'a [f32],
    /// What the forward pass saved.
    pub saved: &'a Saved,
    /// Gradient of the output.
    pub output_gradient: &'a [f32],
    /// Whether the gradient of the input is wanted; the first layer needs none.
    pub input_gradient: bool,
}

impl ConvBlockKernel {
    /// A kernel for these shapes.
    ///
    /// # Errors
    ///
    /// [`KernelError::Shape`] if nothing is left after the pooling, or the shape is too large.
    pub fn new(
        shape: Shape,
        activation: Activation,
        pooling: Pooling,
    ) -> Result<Self, KernelError> {
        let geometry = Geometry::new(shape)?;
        let level = Level::best();
        Ok(Self {
            layout: Layout::new(&geometry, level.vectors()),
            patches: PatchGeometry::new(&geometry, level.vectors()),
            geometry,
            activation,
            pooling,
            level,
        })
    }

    /// Uses this instruction set in place of the best one.
    #[must_use]
    pub fn with_level(mut self, level: Level) -> Self {
        self.layout = Layout::new(&self.geometry, level.vectors());
        self.patches = PatchGeometry::new(&self.geometry, level.vectors());
        self.level = level;
        self
    }

    /// Height and width of an output map.
    pub fn output_size(&self) -> [usize; 2] {
        self.geometry.pooled
    }

    /// Values that one sample leaves for the backward pass: winners and activations.
    fn saved_len(&self) -> [usize; 2] {
        match self.pooling {
            Pooling::Max => [self.geometry.output_len(), 0],
            Pooling::Average => [0, self.layout.values_len()],
        }
    }

    /// Computes `[batch, out_channels, height', width']` from `input`
    /// `[batch, in_channels, height, width]`, `weight`
    /// `[out_channels, in_channels, kernel_size, kernel_size]` and `bias` `[out_channels]`, and saves what
    /// [`backward`](Self::backward) needs.
    ///
    /// # Errors
    ///
    /// [`KernelError::Length`] if a slice has another length; [`KernelError::Batch`] if the output would
    /// be too large.
    pub fn forward(
        &self,
        batch: usize,
        input: &[f32],
        weight: &[f32],
        bias: &[f32],
    ) -> Result<(Vec<f32>, Saved), KernelError> {
        self.output(batch, input, weight, bias, self.saved_len())
    }

    /// As [`forward`](Self::forward), and saves nothing.
    ///
    /// # Errors
    ///
    /// As [`forward`](Self::forward).
    pub fn infer(
        &self,
        batch: usize,
        input: &[f32],
        weight: &[f32],
        bias: &[f32],
    ) -> Result<Vec<f32>, KernelError> {
        let (output, _) = self.output(batch, input, weight, bias, [0, 0])?;
        Ok(output)
    }

    fn output(
        &self,
        batch: usize,
        input: &[f32],
        weight: &[f32],
        bias: &[f32],
        [winners_len, activations_len]: [usize; 2],
    ) -> Result<(Vec<f32>, Saved), KernelError> {
        let geometry = &self.geometry;
        length("input", batch.checked_mul(geometry.input_len()), input)?;
        length("weight", Some(geometry.weight_len()), weight)?;
        length("bias", Some(geometry.shape.out_channels), bias)?;

        let packed = self.layout.pack(weight, bias, self.level.vectors());
        let room = |len: usize| batch.checked_mul(len).ok_or(KernelError::Batch { batch });
        let mut output = Unfilled::new(room(geometry.output_len())?);
        let mut winners = Unfilled::new(room(winners_len)?);
        let mut activations = Unfilled::new(room(activations_len)?);
        let groups = batch.div_ceil(GROUP);
        let outputs = output.parts(GROUP * geometry.output_len(), groups);
        let winner_parts = winners.parts(GROUP * winners_len, groups);
        let activation_parts = activations.parts(GROUP * activations_len, groups);
        let parts: Vec<_> = input
            .chunks(GROUP * geometry.input_len())
            .zip(outputs)
            .zip(winner_parts.into_iter().zip(activation_parts))
            .collect();
        let run = |scratch: &mut ForwardScratch,
                   ((input, output), (winners, activations)): GroupParts<'_>| {
            self.level.run(Forward {
                block: self,
                packed: &packed,
                scratch,
                input,
                output,
                winners,
                activations,
            });
        };
        let scratch = || ForwardScratch::new(self);
        if groups == 1 {
            // One image is done before another thread has heard of it.
            parts.into_iter().for_each(|part| run(&mut scratch(), part));
        } else {
            parts.into_par_iter().for_each_init(scratch, run);
        }
        let saved = Saved {
            winners: winners.finish(),
            activations: activations.finish(),
        };
        Ok((output.finish(), saved))
    }

    /// Computes the gradients of input, weights and biases.
    ///
    /// # Errors
    ///
    /// [`KernelError::Length`] if a slice has another length.
    pub fn backward(&self, arguments: BackwardArguments<'_>) -> Result<Gradients, KernelError> {
        let BackwardArguments {
            batch,
            input,
            weight,
            output,
            saved,
            output_gradient,
            input_gradient,
        } = arguments;
        let geometry = &self.geometry;
        let out_channels = geometry.shape.out_channels;
        let [winners_len, activations_len] = self.saved_len();
        length("input", batch.checked_mul(geometry.input_len()), input)?;
        length("weight", Some(geometry.weight_len()), weight)?;
        length("output", batch.checked_mul(geometry.output_len()), output)?;
        length("output gradient", Some(output.len()), output_gradient)?;
        length("winners", batch.checked_mul(winners_len), &saved.winners)?;
        length(
            "activations",
            batch.checked_mul(activations_len),
            &saved.activations,
        )?;

        let packed = match input_gradient {
            true => self.patches.pack(weight),
            false => Aligned::zeros(0),
        };
        let groups = batch.div_ceil(GROUP);
        let is_sparse = Scratch::is_sparse(self, input_gradient);
        let weight_len = match is_sparse {
            true => self.patches.weight_len(),
            false => geometry.weight_len(),
        };
        let partial_len = (weight_len + out_channels).next_multiple_of(LANES);
        let mut partial = Aligned::zeros(groups * partial_len);
        let input_len = if input_gradient {
            geometry.input_len()
        } else {
            0
        };
        let mut gradient = Unfilled::new(batch * input_len);

        partial
            .par_chunks_mut(partial_len)
            .zip(input.par_chunks(GROUP * geometry.input_len()))
            .zip(output.par_chunks(GROUP * geometry.output_len()))
            .zip(output_gradient.par_chunks(GROUP * geometry.output_len()))
            .zip(gradient.parts(GROUP * input_len, groups))
            .enumerate()
            .for_each_init(
                || Scratch::new(self, input_gradient),
                |scratch, (group, ((((partial, input), output), output_gradient), gradient))| {
                    let (partial, _) = partial.split_at_mut(weight_len + out_channels);
                    let part = |len: usize| group * GROUP * len..;
                    self.level.run(Backward {
                        block: self,
                        packed: &packed,
                        scratch,
                        input,
                        pooled: Pooled {
                            output,
                            output_gradient,
                            winners: saved.winners.get(part(winners_len)).unwrap_or_default(),
                            activations: saved
                                .activations
                                .get(part(activations_len))
                                .unwrap_or_default(),
                        },
                        partial,
                        gradient,
                    });
                },
            );

        let mut weight_and_bias = vec![0.0; partial_len];
        for partial in partial.chunks_exact(partial_len) {
            weight_and_bias
                .iter_mut()
                .zip(partial)
                .for_each(|(total, part)| *total += part);
        }
        weight_and_bias.truncate(weight_len + out_channels);
        let bias = weight_and_bias.split_off(weight_len);
        let mut weight = weight_and_bias;
        if is_sparse {
            let packed = std::mem::replace(&mut weight, vec![0.0; geometry.weight_len()]);
            self.patches.unpack(&packed, &mut weight);
        }
        Ok(Gradients {
            input: gradient.finish(),
            weight,
            bias,
        })
    }
}

pub(crate) fn length<T>(
    what: &'static str,
    expected: Option<usize>,
    found: &[T],
) -> Result<(), KernelError> {
    match expected == Some(found.len()) {
        true => Ok(()),
        false => Err(KernelError::Length {
            what,
            expected: expected.unwrap_or(usize::MAX),
            found: found.len(),
        }),
    }
}
