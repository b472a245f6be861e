//! The forward pass: a convolution by the plan's layout, then the pooled values back into maps.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::epilogue::MaxPool;
use super::layout::{Buffers, Layout, Packed};
use super::plan::{ConvPlan, GROUP, Saved, Tables};
use super::pooling::{Pooling, average};
use super::windows::Windows;
use crate::error::check_len;
use crate::simd::{Aligned, Part, Unfilled, chunk, chunk_mut, fours, load, transpose};
use crate::{KernelError, Parameters};

impl ConvPlan {
    /// Computes `[batch, out_channels, height', width']` from `input` `[batch, in_channels, height, width]`,
    /// and saves what [`backward`](Self::backward) needs.
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
    ) -> Result<(Vec<f32>, Saved), KernelError> {
        self.run(batch, input, parameters, self.tables.saved_len())
    }

    /// Computes the same output as [`forward`](Self::forward) and saves nothing.
    ///
    /// # Errors
    ///
    /// The errors of [`forward`](Self::forward).
    pub fn infer(
        &self,
        batch: usize,
        input: &[f32],
        parameters: Parameters<'_>,
    ) -> Result<Vec<f32>, KernelError> {
        let (output, _) = self.run(batch, input, parameters, [0, 0])?;
        Ok(output)
    }

    fn run(
        &self,
        batch: usize,
        input: &[f32],
        parameters: Parameters<'_>,
        [argmax_len, activations_len]: [usize; 2],
    ) -> Result<(Vec<f32>, Saved), KernelError> {
        let tables = &*self.tables;
        let geometry = &tables.geometry;
        check_len("input", batch.checked_mul(geometry.input_len()), input)?;
        self.check(parameters)?;

        let packed = self.pack(parameters);
        let room = |len: usize| batch.checked_mul(len).ok_or(KernelError::Batch { batch });
        let mut output = Unfilled::new(room(geometry.output_len())?);
        let mut argmax = Unfilled::new(room(argmax_len)?);
        let mut activations = Unfilled::new(room(activations_len)?);
        let groups = batch.div_ceil(GROUP);
        let outputs = output.parts(GROUP * geometry.output_len(), groups);
        let saved = (argmax.parts(GROUP * argmax_len, groups).into_iter())
            .zip(activations.parts(GROUP * activations_len, groups));
        let groups: Vec<_> = input
            .chunks(GROUP * geometry.input_len())
            .zip(outputs)
            .zip(saved)
            .map(|((input, output), (argmax, activations))| ForwardGroup {
                packed: &packed,
                input,
                output,
                argmax,
                activations,
            })
            .collect();
        let scratch = || ForwardScratch::new(self);
        let run = |scratch: &mut ForwardScratch, group| self.forward_group(group, scratch);
        if groups.len() == 1 {
            // A few images are done before another thread would wake up.
            groups
                .into_iter()
                .for_each(|group| run(&mut scratch(), group));
        } else {
            groups.into_par_iter().for_each_init(scratch, run);
        }
        let saved = Saved {
            order: Some(tables.layout.saved_order()),
            argmax: argmax.finish(),
            activations: activations.finish(),
        };
        Ok((output.finish(), saved))
    }

    /// The forward pass of one group.
    pub(crate) fn forward_group(&self, group: ForwardGroup<'_>, scratch: &mut ForwardScratch) {
        let tables = &*self.tables;
        tables.level.run(Pass {
            tables,
            group,
            scratch,
        });
    }
}

/// The buffers of a thread; the border of `image` stays zero.
pub(crate) struct ForwardScratch {
    image: Aligned,
    values: Aligned,
    /// Pooled values in the order of the layout, and their argmax.
    pooled: Aligned,
    argmax: Aligned<u32>,
}

impl ForwardScratch {
    pub(crate) fn new(plan: &ConvPlan) -> Self {
        let tables = &plan.tables;
        let values = tables.layout.values_len();
        Self {
            image: Aligned::zeros(tables.layout.image_len()),
            values: Aligned::zeros(values),
            pooled: Aligned::zeros(values / 4),
            argmax: Aligned::zeros(values / 4),
        }
    }
}

/// A group of samples, and where its results go.
pub(crate) struct ForwardGroup<'a> {
    pub(crate) packed: &'a Packed,
    pub(crate) input: &'a [f32],
    pub(crate) output: Part<'a, f32>,
    /// Empty in inference and for average pooling.
    pub(crate) argmax: Part<'a, u8>,
    /// Empty in inference and for max pooling.
    pub(crate) activations: Part<'a, f32>,
}

/// The forward pass of one group.
struct Pass<'a> {
    tables: &'a Tables,
    group: ForwardGroup<'a>,
    scratch: &'a mut ForwardScratch,
}

impl WithSimd for Pass<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let ForwardGroup {
            packed,
            input,
            mut output,
            mut argmax,
            mut activations,
        } = self.group;
        let tables = self.tables;
        let Tables {
            geometry, layout, ..
        } = tables;
        let ForwardScratch {
            image,
            values,
            pooled,
            argmax: places,
        } = self.scratch;
        let (saves_argmax, saves_activations) = (!argmax.is_empty(), !activations.is_empty());
        for input in input.chunks_exact(geometry.input_len()) {
            let buffers = Buffers {
                input,
                image,
                values,
            };
            match tables.pooling {
                Pooling::Max => {
                    let mut epilogue = MaxPool::<S> {
                        activation: tables.activation,
                        pooled: S::as_mut_simd_f32s(pooled).0,
                        argmax: S::as_mut_simd_u32s(places).0,
                    };
                    layout.convolve_into(simd, packed, buffers, &mut epilogue);
                }
                Pooling::Average => {
                    layout.convolve(simd, packed, buffers);
                    tables.activation.apply(simd, values);
                    let (groups, _) = S::as_simd_f32s(values).0.as_chunks();
                    let to = S::as_mut_simd_f32s(pooled).0.iter_mut();
                    for (&group, to) in groups.iter().zip(to) {
                        *to = average(simd, group);
                    }
                    if saves_activations {
                        activations.cut(values.len()).copy_from(values);
                    }
                }
            }
            if saves_argmax {
                let to = argmax.cut(places.len()).zeroed();
                for (to, &place) in to.iter_mut().zip(&**places) {
                    *to = place as u8;
                }
            }
            let maps = Maps {
                map_len: geometry.map_len(),
                pooled,
                output: output.cut(geometry.output_len()).zeroed(),
            };
            match layout {
                Layout::Windows(windows) => maps.copy_rows(simd, windows),
                Layout::Channels(channels) => maps.transpose(channels.vectors() * S::F32_LANES),
            }
        }
    }
}

/// The results of one sample, on their way from the order of the layout into maps.
struct Maps<'a> {
    map_len: usize,
    pooled: &'a [f32],
    output: &'a mut [f32],
}

impl Maps<'_> {
    /// From channels side by side, `width` of them.
    #[inline(always)]
    fn transpose(self, width: usize) {
        let map_len = self.map_len;
        let channels = self.output.len() / map_len;
        // Four windows of four channels at a time; the last four of either may overlap the ones before them.
        if channels >= 4 && map_len >= 4 {
            for channel in fours(channels) {
                let output = &mut self.output[channel * map_len..];
                let pooled = &self.pooled[channel..];
                for window in fours(map_len) {
                    let at = window * width;
                    let [a, b, c, d] = transpose([
                        chunk(pooled, at),
                        chunk(pooled, at + width),
                        chunk(pooled, at + 2 * width),
                        chunk(pooled, at + 3 * width),
                    ]);
                    *chunk_mut(output, window + 3 * map_len) = d;
                    *chunk_mut(output, window + 2 * map_len) = c;
                    *chunk_mut(output, window + map_len) = b;
                    *chunk_mut(output, window) = a;
                }
            }
        } else {
            for (channel, output) in self.output.chunks_exact_mut(map_len).enumerate() {
                let from = self.pooled[channel..].iter().step_by(width);
                output
                    .iter_mut()
                    .zip(from)
                    .for_each(|(to, &value)| *to = value);
            }
        }
    }

    /// From rows with gaps between them. Rows are written in order, in whole vectors as long as there is room:
    /// what reaches beyond the end of one row is overwritten by the next.
    #[inline(always)]
    fn copy_rows<S: Simd>(self, simd: S, windows: &Windows) {
        let len = windows.vectors() * S::F32_LANES;
        for (channel, pooled) in self.pooled.chunks(len).enumerate() {
            for (window, slot, _) in windows.row_vectors() {
                let start = channel * self.map_len + window;
                let value = load::<S>(pooled, slot);
                let to = &mut self.output[start..];
                match S::as_mut_simd_f32s(to).0.first_mut() {
                    Some(to) => *to = value,
                    None => simd.partial_store_f32s(to, value),
                }
            }
        }
    }
}
