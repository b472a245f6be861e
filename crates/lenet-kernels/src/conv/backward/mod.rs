//! The backward pass, one of three:
//!
//! | pass | where |
//! |---|---|
//! | `average` | average pooling: every value before the pooling has a gradient |
//! | `max_windows` | max pooling, windows side by side, no gradient of the input: the first layer |
//! | `max_patches` | max pooling otherwise: a patch of the input for each nonzero gradient |

mod average;
mod max_patches;
mod max_windows;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use self::average::AverageScratch;
use self::max_patches::MaxPatchesScratch;
use self::max_windows::MaxWindowsScratch;
use super::layout::Layout;
use super::plan::{ConvPlan, GROUP, Saved, Tables};
use super::pooling::Pooling;
use super::windows::Windows;
use crate::error::check_len;
use crate::simd::{Aligned, LANES, Part, Unfilled};
use crate::{Gradients, KernelError};

/// The arguments of [`ConvPlan::backward`].
#[derive(Clone, Copy, Debug)]
pub struct ConvBackward<'a> {
    /// Number of samples.
    pub batch: usize,
    /// The input of the forward pass, `[batch, in_channels, height, width]`.
    pub input: &'a [f32],
    /// The weights of the forward pass, `[out_channels, in_channels, kernel_size, kernel_size]`.
    pub weight: &'a [f32],
    /// The output of the forward pass, `[batch, out_channels, height', width']`.
    pub output: &'a [f32],
    /// What the forward pass of this plan, or of a clone, saved.
    pub saved: &'a Saved,
    /// Gradient of the output, in the shape of `output`.
    pub output_gradient: &'a [f32],
    /// Whether to compute the gradient of the input, which the first layer does not need.
    pub input_gradient: bool,
}

impl ConvPlan {
    /// Computes the gradients of input, weights and biases.
    ///
    /// # Errors
    ///
    /// [`KernelError::Length`] if a slice has another length than the shapes require; [`KernelError::Saved`] if a plan
    /// with another layout saved the values.
    pub fn backward(&self, arguments: ConvBackward<'_>) -> Result<Gradients, KernelError> {
        let ConvBackward {
            batch,
            input,
            weight,
            output,
            saved,
            output_gradient,
            input_gradient,
        } = arguments;
        let tables = &*self.tables;
        let geometry = &tables.geometry;
        let [argmax_len, activations_len] = tables.saved_len();
        let of_batch = |len: usize| batch.checked_mul(len);
        check_len("input", of_batch(geometry.input_len()), input)?;
        check_len("weight", Some(geometry.weight_len()), weight)?;
        check_len("output", of_batch(geometry.output_len()), output)?;
        check_len("output gradient", Some(output.len()), output_gradient)?;
        if saved
            .order
            .is_some_and(|order| order != tables.layout.saved_order())
        {
            return Err(KernelError::Saved);
        }
        check_len("argmax", of_batch(argmax_len), &saved.argmax)?;
        check_len("activations", of_batch(activations_len), &saved.activations)?;

        let packed = self.pack_backward(weight, input_gradient);
        let input_len = if input_gradient {
            geometry.input_len()
        } else {
            0
        };
        let groups = batch.div_ceil(GROUP);
        let partial_len = self.partial_len(input_gradient);
        let mut partial = Aligned::zeros(groups * partial_len);
        let mut gradient = Unfilled::new(batch * input_len);
        partial
            .par_chunks_mut(partial_len)
            .zip(input.par_chunks(GROUP * geometry.input_len()))
            .zip(output.par_chunks(GROUP * geometry.output_len()))
            .zip(output_gradient.par_chunks(GROUP * geometry.output_len()))
            .zip(gradient.parts(GROUP * input_len, groups))
            .enumerate()
            .for_each_init(
                || BackwardScratch::new(self, input_gradient),
                |scratch, (group, ((((partial, input), output), output_gradient), gradient))| {
                    let first = group * GROUP;
                    let group = BackwardGroup {
                        packed: &packed,
                        input,
                        output,
                        output_gradient,
                        argmax: &saved.argmax[first * argmax_len..],
                        activations: &saved.activations[first * activations_len..],
                    };
                    self.backward_group(group, scratch, partial, gradient);
                },
            );
        let (weight, bias) = self.total(&partial, input_gradient);
        Ok(Gradients {
            input: gradient.finish(),
            weight,
            bias,
        })
    }

    /// The weights as the gradient of the input reads them; nothing if that is not wanted.
    pub(crate) fn pack_backward(&self, weight: &[f32], input_gradient: bool) -> Aligned {
        if input_gradient {
            self.tables.backward().patches.pack(weight)
        } else {
            Aligned::zeros(0)
        }
    }

    /// Values of the gradients of weights and biases of one group, filled up to whole vectors.
    pub(crate) fn partial_len(&self, input_gradient: bool) -> usize {
        let out_channels = self.tables.geometry.shape.out_channels;
        (self.weight_sums_len(input_gradient) + out_channels).next_multiple_of(LANES)
    }

    fn weight_sums_len(&self, input_gradient: bool) -> usize {
        match Way::of(&self.tables, input_gradient) {
            Way::MaxPatches => self.tables.backward().patches.gradient_len(),
            Way::Average | Way::MaxWindows => self.tables.geometry.weight_len(),
        }
    }

    /// The backward pass of one group; `partial` is zero, and receives its gradients of weights and biases.
    pub(crate) fn backward_group(
        &self,
        group: BackwardGroup<'_>,
        scratch: &mut BackwardScratch,
        partial: &mut [f32],
        input: Part<'_, f32>,
    ) {
        let tables = &*self.tables;
        let weight_len = self.weight_sums_len(!input.is_empty());
        let out_channels = tables.geometry.shape.out_channels;
        let results = Results {
            weight_and_bias: partial[..weight_len + out_channels].split_at_mut(weight_len),
            input,
        };
        tables.level.run(Pass {
            group: Group {
                tables,
                samples: group,
            },
            scratch,
            results,
        });
    }

    /// The gradients of weights and biases, added up group by group.
    pub(crate) fn total(&self, partial: &[f32], input_gradient: bool) -> (Vec<f32>, Vec<f32>) {
        let partial_len = self.partial_len(input_gradient);
        let weight_len = self.weight_sums_len(input_gradient);
        let mut total = vec![0.0; partial_len];
        for partial in partial.chunks_exact(partial_len) {
            let pairs = total.iter_mut().zip(partial);
            pairs.for_each(|(total, part)| *total += part);
        }
        total.truncate(weight_len + self.tables.geometry.shape.out_channels);
        let bias = total.split_off(weight_len);
        let weight = match Way::of(&self.tables, input_gradient) {
            Way::MaxPatches => self.tables.backward().patches.unpack(&total),
            Way::Average | Way::MaxWindows => total,
        };
        (weight, bias)
    }
}

/// The passes.
#[derive(Clone, Copy)]
enum Way {
    Average,
    MaxWindows,
    MaxPatches,
}

impl Way {
    fn of(tables: &Tables, input_gradient: bool) -> Self {
        match (tables.pooling, &tables.layout) {
            (Pooling::Average, _) => Self::Average,
            (Pooling::Max, Layout::Windows(_)) if !input_gradient => Self::MaxWindows,
            (Pooling::Max, _) => Self::MaxPatches,
        }
    }
}

/// The buffers of a thread; the borders of images stay zero.
pub(crate) struct BackwardScratch(Buffers);

enum Buffers {
    Average(AverageScratch),
    MaxWindows(MaxWindowsScratch),
    MaxPatches(MaxPatchesScratch),
}

impl BackwardScratch {
    pub(crate) fn new(plan: &ConvPlan, input_gradient: bool) -> Self {
        let tables = &*plan.tables;
        Self(match Way::of(tables, input_gradient) {
            Way::Average => Buffers::Average(AverageScratch::new(tables, input_gradient)),
            Way::MaxWindows => Buffers::MaxWindows(MaxWindowsScratch::new(windows(tables))),
            Way::MaxPatches => Buffers::MaxPatches(MaxPatchesScratch::new(tables, input_gradient)),
        })
    }
}

/// The layout, where it is known to be that of windows.
fn windows(tables: &Tables) -> &Windows {
    match &tables.layout {
        Layout::Windows(windows) => windows,
        Layout::Channels(_) => unreachable!("the layout is that of channels"),
    }
}

/// The samples of a group, each slice from the first of them on.
pub(crate) struct BackwardGroup<'a> {
    /// Weights as [`ConvPlan::pack_backward`] packs them.
    pub(crate) packed: &'a [f32],
    pub(crate) input: &'a [f32],
    pub(crate) output: &'a [f32],
    pub(crate) output_gradient: &'a [f32],
    pub(crate) argmax: &'a [u8],
    pub(crate) activations: &'a [f32],
}

/// What a pass over a group of samples reads.
struct Group<'a> {
    tables: &'a Tables,
    samples: BackwardGroup<'a>,
}

/// What a pass over a group of samples computes.
struct Results<'a> {
    /// Gradients of weights, packed if the pass is by patches, and of biases.
    weight_and_bias: (&'a mut [f32], &'a mut [f32]),
    /// Gradient of the input; empty if it is not wanted.
    input: Part<'a, f32>,
}

/// The backward pass of one group.
struct Pass<'a> {
    group: Group<'a>,
    scratch: &'a mut BackwardScratch,
    results: Results<'a>,
}

impl WithSimd for Pass<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { group, results, .. } = self;
        match &mut self.scratch.0 {
            Buffers::Average(scratch) => group.average(simd, scratch, results),
            Buffers::MaxWindows(scratch) => group.max_windows(simd, scratch, results),
            Buffers::MaxPatches(scratch) => group.max_patches(simd, scratch, results),
        }
    }
}

/// Up to a vector of a row of windows: the first `count` values, then zeros.
#[inline(always)]
fn load_row<S: Simd>(simd: S, values: &[f32], count: usize) -> S::f32s {
    let vector = match S::as_simd_f32s(values).0.first() {
        Some(&vector) => vector,
        None => simd.partial_load_f32s(&values[..count]),
    };
    // What lies beyond the last window of a row belongs to another row.
    let lane = S::as_simd_u32s(&LANE).0[0];
    let inside = simd.less_than_u32s(lane, simd.splat_u32s(count as u32));
    simd.select_f32s(inside, vector, simd.splat_f32s(0.0))
}

/// The numbers of the lanes.
const LANE: [u32; LANES] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
