//! The pass over every value before the pooling: first its gradient, then what the gradient gathers.

use std::ops::Range;

use pulp::Simd;

use super::{Group, Results};
use crate::conv::channels::Channels;
use crate::conv::layout::Layout;
use crate::conv::plan::{BackwardTables, Tables};
use crate::conv::pooling::Pooling;
use crate::conv::windows::Windows;
use crate::simd::{Aligned, LANES, chunk_mut, sum};

/// The buffers of a pass that visits every value before the pooling.
pub(super) struct FullScratch {
    image: Aligned,
    pooled: PooledGradient,
    /// Gradients of the values before the pooling, in the order of the layout.
    gradients: Aligned,
    weight_sums: Aligned,
    bias_sums: Aligned,
    in_gradient: Aligned,
}

/// Gradients of the output in the order of the layout: a sample's by channels, a map's by windows.
struct PooledGradient {
    values: Aligned,
    /// Where in its window each belongs; by windows only.
    argmax: Vec<u32>,
}

impl FullScratch {
    pub(super) fn new(tables: &Tables, input_gradient: bool) -> Self {
        let layout = &tables.layout;
        let (pooled, gradients) = match layout {
            Layout::Windows(windows) => (windows.vectors() * LANES, windows.gradients_len()),
            Layout::Channels(channels) => (channels.values_len() / 4, channels.values_len()),
        };
        let [weight_sums, bias_sums] = layout.sums_len();
        let in_gradient = if input_gradient {
            tables.backward().patches.image_len()
        } else {
            0
        };
        Self {
            image: Aligned::zeros(layout.image_len()),
            pooled: PooledGradient {
                values: Aligned::zeros(pooled),
                argmax: vec![0; pooled],
            },
            gradients: Aligned::zeros(gradients),
            weight_sums: Aligned::zeros(weight_sums),
            bias_sums: Aligned::zeros(bias_sums),
            in_gradient: Aligned::zeros(in_gradient),
        }
    }
}

impl Group<'_> {
    /// One pass over every value before the pooling.
    #[inline(always)]
    pub(super) fn full<S: Simd>(self, simd: S, scratch: &mut FullScratch, results: Results<'_>) {
        let Tables {
            geometry, layout, ..
        } = self.tables;
        let FullScratch {
            image,
            pooled,
            gradients,
            weight_sums,
            bias_sums,
            in_gradient,
        } = scratch;
        weight_sums.fill(0.0);
        bias_sums.fill(0.0);
        let mut input_gradient = results.input;
        let samples = self.input.chunks_exact(geometry.input_len());
        for (sample, input) in samples.enumerate() {
            match layout {
                Layout::Windows(windows) => {
                    windows.split(input, image);
                    // The gradients of a block are read many times, while a cache holds them.
                    for (block, channels) in windows.gradient_blocks() {
                        let gradients = &mut gradients[block];
                        let maps = (sample, channels.clone());
                        self.window_gradients(simd, windows, maps, gradients, pooled, bias_sums);
                        let from = (channels, &*gradients);
                        windows.add_weight_gradient(simd, image, from, weight_sums);
                    }
                }
                Layout::Channels(channels) => {
                    channels.pad(input, image);
                    let buffers = (&mut **gradients, &mut *pooled.values);
                    self.channel_gradients(simd, channels, sample, buffers, bias_sums);
                    channels.add_weight_gradient(simd, image, gradients, weight_sums);
                }
            }
            if !input_gradient.is_empty() {
                let BackwardTables { patches, places } = self.tables.backward();
                in_gradient.fill(0.0);
                let gradients = (&**gradients, places);
                patches.add_full_input_gradient(simd, self.packed, gradients, in_gradient);
                let to = input_gradient.cut(geometry.input_len());
                patches.separate(in_gradient, to.zeroed());
            }
        }
        let (weight, bias) = results.weight_and_bias;
        match layout {
            Layout::Windows(_) => {
                let sums = weight_sums.chunks_exact(S::F32_LANES);
                let sums = sums.chain(bias_sums.chunks_exact(S::F32_LANES));
                for (total, sums) in weight.iter_mut().chain(bias).zip(sums) {
                    *total += sum(simd, sums);
                }
            }
            Layout::Channels(channels) => {
                let rows = weight.chunks_exact_mut(geometry.fan_in());
                for (channel, weight) in rows.enumerate() {
                    for (tap, total) in weight.iter_mut().enumerate() {
                        *total += weight_sums[channels.sum_index(channel, tap)];
                    }
                }
                for (total, sum) in bias.iter_mut().zip(&**bias_sums) {
                    *total += sum;
                }
            }
        }
    }

    /// Gradients of one sample before activation and average pooling, in the order of `layout`; those of the
    /// biases are added, channel by channel.
    #[inline(always)]
    fn channel_gradients<S: Simd>(
        &self,
        simd: S,
        layout: &Channels,
        sample: usize,
        (gradients, pooled): (&mut [f32], &mut [f32]),
        bias_sums: &mut [f32],
    ) {
        let geometry = &self.tables.geometry;
        let width = layout.vectors() * S::F32_LANES;
        let maps = &self.output_gradient[sample * geometry.output_len()..][..geometry.output_len()];
        for (channel, map) in maps.chunks_exact(geometry.map_len()).enumerate() {
            let to = pooled[channel..].iter_mut().step_by(width);
            for (to, &gradient) in to.zip(map) {
                *to = gradient;
            }
        }
        let values = &self.activations[sample * layout.values_len()..][..layout.values_len()];
        let (values, _) = S::as_simd_f32s(values).0.as_chunks::<4>();
        let (gradients, _) = S::as_mut_simd_f32s(gradients).0.as_chunks_mut::<4>();
        let pooled = S::as_simd_f32s(pooled).0;
        let bias_sums = S::as_mut_simd_f32s(bias_sums).0;
        let windows = gradients.iter_mut().zip(values).zip(pooled);
        for (index, ((gradients, values), &pooled)) in windows.enumerate() {
            let quarter = simd.mul_f32s(pooled, simd.splat_f32s(0.25));
            let bias = &mut bias_sums[index % layout.vectors()];
            for (to, &value) in gradients.iter_mut().zip(values) {
                *to = self.tables.activation.scale_vector(simd, quarter, value);
                *bias = simd.add_f32s(*bias, *to);
            }
        }
    }

    /// Gradients of some channels of one sample before activation and pooling, as a block of `layout`; those
    /// of the biases are added lane by lane.
    #[inline(always)]
    fn window_gradients<S: Simd>(
        &self,
        simd: S,
        layout: &Windows,
        (sample, channels): (usize, Range<usize>),
        gradients: &mut [f32],
        pooled: &mut PooledGradient,
        bias_sums: &mut [f32],
    ) {
        let Tables {
            geometry,
            activation,
            pooling,
            ..
        } = self.tables;
        let zero = simd.splat_f32s(0.0);
        let place_len = layout.place_len();
        let gradients = S::as_mut_simd_f32s(gradients).0;
        let biases = &mut S::as_mut_simd_f32s(bias_sums).0[channels.clone()];
        for ((first, channel), bias) in channels.enumerate().zip(biases) {
            let map = sample * geometry.shape.out_channels + channel;
            self.place_rows(simd, layout, map * geometry.map_len(), pooled);
            let values = S::as_simd_f32s(&pooled.values).0;
            let to = gradients.chunks_exact_mut(4 * place_len);
            let mut total = *bias;
            match pooling {
                Pooling::Max => {
                    let argmax = S::as_simd_u32s(&pooled.argmax).0;
                    for ((to, &gradient), &argmax) in to.zip(values).zip(argmax) {
                        total = simd.add_f32s(total, gradient);
                        let mut at = first;
                        for place in 0..4 {
                            let is_max = simd.equal_u32s(argmax, simd.splat_u32s(place));
                            to[at] = simd.select_f32s(is_max, gradient, zero);
                            at += place_len;
                        }
                    }
                }
                Pooling::Average => {
                    let map_len = layout.vectors() * 4 * S::F32_LANES;
                    let activations = &self.activations[map * map_len..][..map_len];
                    let (activations, _) = S::as_simd_f32s(activations).0.as_chunks::<4>();
                    for ((to, &gradient), values) in to.zip(values).zip(activations) {
                        let quarter = simd.mul_f32s(gradient, simd.splat_f32s(0.25));
                        let mut at = first;
                        for &value in values {
                            let gradient = activation.scale_vector(simd, quarter, value);
                            total = simd.add_f32s(total, gradient);
                            to[at] = gradient;
                            at += place_len;
                        }
                    }
                }
            }
            *bias = total;
        }
    }

    /// Copies the gradients of the map from `first` on, row by row, to the slots of `layout`, with zeros
    /// between them; in max pooling those before the activation, with their argmax beside them.
    #[inline(always)]
    fn place_rows<S: Simd>(
        &self,
        simd: S,
        layout: &Windows,
        first: usize,
        pooled: &mut PooledGradient,
    ) {
        let zero = simd.splat_f32s(0.0);
        let lane = S::as_simd_u32s(&LANE).0[0];
        for (window, slot, count) in layout.row_vectors() {
            let start = first + window;
            let mut gradient = load_part(simd, &self.output_gradient[start..], count);
            if self.tables.pooling == Pooling::Max {
                let output = load_part(simd, &self.output[start..], count);
                let activation = self.tables.activation;
                gradient = activation.scale_vector(simd, gradient, output);
                // Beyond the last window the gradient is zero, whatever the argmax.
                widen(&self.argmax[start..], chunk_mut(&mut pooled.argmax, slot));
            }
            // What lies beyond the last window of a row belongs to another row.
            let inside = simd.less_than_u32s(lane, simd.splat_u32s(count as u32));
            let gradient = simd.select_f32s(inside, gradient, zero);
            S::as_mut_simd_f32s(&mut pooled.values[slot..]).0[0] = gradient;
        }
    }
}

/// A vector of which the first `count` values matter.
#[inline(always)]
fn load_part<S: Simd>(simd: S, values: &[f32], count: usize) -> S::f32s {
    match S::as_simd_f32s(values).0.first() {
        Some(&vector) => vector,
        None => simd.partial_load_f32s(&values[..count]),
    }
}

/// The numbers of the lanes.
const LANE: [u32; LANES] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// Copies up to a vector of places.
#[inline(always)]
fn widen(places: &[u8], to: &mut [u32; LANES]) {
    // The same loop twice: of a known length it is one instruction.
    match places.first_chunk::<LANES>() {
        Some(&places) => {
            let mut wide = [0; LANES];
            for (to, place) in wide.iter_mut().zip(places) {
                *to = place.into();
            }
            *to = wide;
        }
        None => {
            for (to, &place) in to.iter_mut().zip(places) {
                *to = place.into();
            }
        }
    }
}
