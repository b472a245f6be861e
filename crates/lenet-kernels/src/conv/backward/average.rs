//! The pass behind average pooling, where every value has a gradient: first these, then what they gather.

use std::ops::Range;

use pulp::Simd;

use super::{Group, Results, load_row};
use crate::conv::channels::Channels;
use crate::conv::layout::Layout;
use crate::conv::plan::{BackwardTables, Tables};
use crate::conv::windows::Windows;
use crate::simd::{Aligned, LANES, sum};

/// The buffers of a pass behind average pooling.
pub(super) struct AverageScratch {
    image: Aligned,
    /// Gradients of the output in the order of the layout: a sample's by channels, a map's by windows.
    pooled: Aligned,
    /// Gradients of the values before the pooling, in the order of the layout.
    gradients: Aligned,
    weight_sums: Aligned,
    bias_sums: Aligned,
    in_gradient: Aligned,
}

impl AverageScratch {
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
            pooled: Aligned::zeros(pooled),
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
    pub(super) fn average<S: Simd>(
        self,
        simd: S,
        scratch: &mut AverageScratch,
        results: Results<'_>,
    ) {
        let Tables {
            geometry, layout, ..
        } = self.tables;
        let AverageScratch {
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
        let samples = self.samples.input.chunks_exact(geometry.input_len());
        for (sample, input) in samples.enumerate() {
            match layout {
                Layout::Windows(windows) => {
                    windows.split(input, image);
                    // The gradients of a block are read many times, while a cache holds them.
                    for (block, channels) in windows.gradient_blocks() {
                        let gradients = &mut gradients[block];
                        let maps = (sample, channels.clone());
                        let buffers = (&mut *gradients, &mut **pooled);
                        self.window_gradients(simd, windows, maps, buffers, bias_sums);
                        let from = (channels, &*gradients);
                        windows.add_weight_gradient(simd, image, from, weight_sums);
                    }
                }
                Layout::Channels(channels) => {
                    channels.pad(input, image);
                    let buffers = (&mut **gradients, &mut **pooled);
                    self.channel_gradients(simd, channels, sample, buffers, bias_sums);
                    channels.add_weight_gradient(simd, image, gradients, weight_sums);
                }
            }
            if !input_gradient.is_empty() {
                let BackwardTables { patches, places } = self.tables.backward();
                in_gradient.fill(0.0);
                let gradients = (&**gradients, places);
                patches.add_dense_input_gradient(simd, self.samples.packed, gradients, in_gradient);
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
        let maps = &self.samples.output_gradient[sample * geometry.output_len()..]
            [..geometry.output_len()];
        for (channel, map) in maps.chunks_exact(geometry.map_len()).enumerate() {
            let to = pooled[channel..].iter_mut().step_by(width);
            for (to, &gradient) in to.zip(map) {
                *to = gradient;
            }
        }
        let values =
            &self.samples.activations[sample * layout.values_len()..][..layout.values_len()];
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
        (gradients, pooled): (&mut [f32], &mut [f32]),
        bias_sums: &mut [f32],
    ) {
        let Tables {
            geometry,
            activation,
            ..
        } = self.tables;
        let place_len = layout.place_len();
        let gradients = S::as_mut_simd_f32s(gradients).0;
        let biases = &mut S::as_mut_simd_f32s(bias_sums).0[channels.clone()];
        for ((first, channel), bias) in channels.enumerate().zip(biases) {
            let map = sample * geometry.shape.out_channels + channel;
            let output_gradient = &self.samples.output_gradient[map * geometry.map_len()..];
            for (window, slot, count) in layout.row_vectors() {
                let gradient = load_row(simd, &output_gradient[window..], count);
                S::as_mut_simd_f32s(&mut pooled[slot..]).0[0] = gradient;
            }
            let values = S::as_simd_f32s(pooled).0;
            let to = gradients.chunks_exact_mut(4 * place_len);
            let map_len = layout.vectors() * 4 * S::F32_LANES;
            let activations = &self.samples.activations[map * map_len..][..map_len];
            let (activations, _) = S::as_simd_f32s(activations).0.as_chunks::<4>();
            let mut total = *bias;
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
            *bias = total;
        }
    }
}
