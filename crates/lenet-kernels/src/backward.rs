use std::ops::Range;

use pulp::{Simd, WithSimd};

use crate::aligned::Aligned;
use crate::channels::Channels;
use crate::geometry::LANES;
use crate::kernel::ConvBlockKernel;
use crate::layout::Layout;
use crate::patches::{GradientPlaces, Winners};
use crate::pooling::Pooling;
use crate::unfilled::Part;
use crate::windows::Windows;

/// What a thread needs for a group of samples; borders of images are zero.
pub(crate) enum Scratch {
    /// Where every value before the pooling is looked at.
    Dense(DenseScratch),
    /// Where only the winner of each window is.
    Patches(PatchScratch),
}

pub(crate) struct DenseScratch {
    image: Aligned,
    /// Gradients of the output in the order of the layout, all of them or those of a channel, and its
    /// winners.
    pooled: (Aligned, Vec<u32>),
    /// Gradients of the values before the pooling.
    gradients: Aligned,
    weight_sums: Aligned,
    bias_sums: Aligned,
    in_gradient: Aligned,
    places: GradientPlaces,
}

pub(crate) struct PatchScratch {
    image: Aligned,
    in_gradient: Aligned,
    /// Gradients of the windows of a map before the activation.
    scaled: Vec<f32>,
    winners: Winners,
}

impl Scratch {
    /// Whether only winners are looked at. If the input's gradient is not wanted, windows side by side are
    /// looked at faster.
    pub(crate) fn is_sparse(block: &ConvBlockKernel, input_gradient: bool) -> bool {
        let by_windows = matches!(block.layout, Layout::Windows(_));
        block.pooling == Pooling::Max && (input_gradient || !by_windows)
    }

    pub(crate) fn new(block: &ConvBlockKernel, input_gradient: bool) -> Self {
        let ConvBlockKernel {
            geometry,
            layout,
            patches,
            ..
        } = block;
        let in_gradient = match input_gradient {
            true => patches.image_len(),
            false => 0,
        };
        if Self::is_sparse(block, input_gradient) {
            return Self::Patches(PatchScratch {
                image: Aligned::zeros(patches.image_len()),
                in_gradient: Aligned::zeros(in_gradient),
                scaled: vec![0.0; geometry.pooled.iter().product()],
                winners: Winners::new(patches),
            });
        }
        let (places, [weight_sums, bias_sums]) = match layout {
            Layout::Windows(windows) => (windows.gradient_places(), windows.sums_len()),
            Layout::Channels(channels) => (channels.gradient_places(), channels.sums_len()),
        };
        let (pooled, gradients) = match layout {
            Layout::Windows(windows) => (windows.vectors() * LANES, windows.gradients_len()),
            Layout::Channels(channels) => (channels.values_len() / 4, channels.values_len()),
        };
        Self::Dense(DenseScratch {
            image: Aligned::zeros(layout.image_len(geometry)),
            pooled: (Aligned::zeros(pooled), vec![0; pooled]),
            gradients: Aligned::zeros(gradients),
            weight_sums: Aligned::zeros(weight_sums),
            bias_sums: Aligned::zeros(bias_sums),
            in_gradient: Aligned::zeros(in_gradient),
            places,
        })
    }
}

/// What is known of the pooling of one group of samples.
#[derive(Clone, Copy)]
pub(crate) struct Pooled<'a> {
    pub(crate) output: &'a [f32],
    pub(crate) output_gradient: &'a [f32],
    pub(crate) winners: &'a [u8],
    pub(crate) activations: &'a [f32],
}

/// The backward pass of one group of samples.
pub(crate) struct Backward<'a> {
    pub(crate) block: &'a ConvBlockKernel,
    pub(crate) packed: &'a [f32],
    pub(crate) scratch: &'a mut Scratch,
    pub(crate) input: &'a [f32],
    pub(crate) pooled: Pooled<'a>,
    pub(crate) partial: &'a mut [f32],
    pub(crate) gradient: Part<'a, f32>,
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            block,
            packed,
            scratch,
            input,
            pooled,
            partial,
            gradient,
        } = self;
        let pass = Pass {
            block,
            packed,
            input,
            pooled,
        };
        match scratch {
            Scratch::Dense(scratch) => pass.dense(simd, scratch, partial, gradient),
            Scratch::Patches(scratch) => pass.patches(simd, scratch, partial, gradient),
        }
    }
}

/// What both ways read.
struct Pass<'a> {
    block: &'a ConvBlockKernel,
    packed: &'a [f32],
    input: &'a [f32],
    pooled: Pooled<'a>,
}

impl Pass<'_> {
    /// One look at every value before the pooling.
    #[inline(always)]
    fn dense<S: Simd>(
        self,
        simd: S,
        scratch: &mut DenseScratch,
        partial: &mut [f32],
        mut gradient: Part<'_, f32>,
    ) {
        let ConvBlockKernel {
            geometry,
            layout,
            patches,
            ..
        } = self.block;
        let DenseScratch {
            image,
            pooled,
            gradients,
            weight_sums,
            bias_sums,
            in_gradient,
            places,
        } = scratch;
        weight_sums.fill(0.0);
        bias_sums.fill(0.0);
        let input_len = geometry.input_len();
        for (sample, input) in self.input.chunks_exact(input_len).enumerate() {
            match layout {
                Layout::Windows(windows) => {
                    windows.split(input, image);
                    // A block's gradients are read many times while a cache holds them.
                    for (part, channels) in windows.gradient_blocks() {
                        let block = gradients.get_mut(part).unwrap_or_default();
                        let buffers = (&mut *block, &mut *pooled);
                        let of = (sample, channels.clone());
                        self.window_gradients(simd, windows, of, buffers, bias_sums);
                        windows.add_weight_gradient(simd, image, (channels, block), weight_sums);
                    }
                }
                Layout::Channels(channels) => {
                    geometry.pad(input, image);
                    let buffers = (&mut **gradients, &mut *pooled);
                    self.channel_gradients(simd, channels, sample, buffers, bias_sums);
                    channels.add_weight_gradient(simd, image, gradients, weight_sums);
                }
            }
            if !gradient.is_empty() {
                in_gradient.fill(0.0);
                let gradients = (&**gradients, &*places);
                patches.add_dense_input_gradient(simd, self.packed, gradients, in_gradient);
                patches.separate(in_gradient, gradient.cut(input_len).zeroed());
            }
        }
        match layout {
            Layout::Windows(_) => {
                let sums = weight_sums.chunks_exact(S::F32_LANES);
                let sums = sums.chain(bias_sums.chunks_exact(S::F32_LANES));
                for (total, sums) in partial.iter_mut().zip(sums) {
                    *total += sum(simd, sums);
                }
            }
            Layout::Channels(channels) => {
                let (weight, bias) = partial.split_at_mut(geometry.weight_len());
                let taps = geometry.weight_len() / bias.len().max(1);
                for (channel, weight) in weight.chunks_exact_mut(taps).enumerate() {
                    for (tap, total) in weight.iter_mut().enumerate() {
                        let sum = weight_sums.get(channels.sum_index(channel, tap));
                        *total += sum.copied().unwrap_or_default();
                    }
                }
                let biases = bias.iter_mut().zip(&**bias_sums);
                biases.for_each(|(total, sum)| *total += sum);
            }
        }
    }

    /// The gradients of one sample before activation and average pooling, in the order of `layout`; those
    /// of the biases are added, channel by channel.
    #[inline(always)]
    fn channel_gradients<S: Simd>(
        &self,
        simd: S,
        layout: &Channels,
        sample: usize,
        (gradients, (pooled, _)): (&mut [f32], &mut (Aligned, Vec<u32>)),
        bias_sums: &mut [f32],
    ) {
        let ConvBlockKernel {
            geometry,
            activation,
            ..
        } = self.block;
        let map: usize = geometry.pooled.iter().product();
        let width = layout.vectors() * S::F32_LANES;
        let part = sample * geometry.output_len()..(sample + 1) * geometry.output_len();
        let maps = self.pooled.output_gradient.get(part).unwrap_or_default();
        for (channel, map) in maps.chunks_exact(map).enumerate() {
            let to = pooled.get_mut(channel..).unwrap_or_default();
            for (to, &from) in to.iter_mut().step_by(width).zip(map) {
                *to = from;
            }
        }
        let kept = self.pooled.activations.get(sample * layout.values_len()..);
        let (kept, _) = S::as_simd_f32s(kept.unwrap_or_default()).0.as_chunks::<4>();
        let (groups, _) = S::as_mut_simd_f32s(gradients).0.as_chunks_mut::<4>();
        let vectors = S::as_simd_f32s(pooled).0;
        let groups = groups.iter_mut().zip(kept).zip(vectors);
        for (index, ((group, kept), &gradient)) in groups.enumerate() {
            let quarter = simd.mul_f32s(gradient, simd.splat_f32s(0.25));
            let bias = S::as_mut_simd_f32s(bias_sums).0;
            let Some(bias) = bias.get_mut(index % layout.vectors()) else {
                return;
            };
            for (to, &kept) in group.iter_mut().zip(kept) {
                *to = activation.scale_vector(simd, quarter, kept);
                *bias = simd.add_f32s(*bias, *to);
            }
        }
    }

    /// The gradients of some channels of one sample before activation and pooling, as a block of `layout`;
    /// those of the biases are added lane by lane.
    #[inline(always)]
    fn window_gradients<S: Simd>(
        &self,
        simd: S,
        layout: &Windows,
        (sample, channels): (usize, Range<usize>),
        (gradients, buffers): (&mut [f32], &mut (Aligned, Vec<u32>)),
        bias_sums: &mut [f32],
    ) {
        let ConvBlockKernel {
            geometry,
            activation,
            pooling,
            ..
        } = self.block;
        let map: usize = geometry.pooled.iter().product();
        let out_channels = geometry.shape.out_channels;
        let zero = simd.splat_f32s(0.0);
        let kept = self.pooled.activations.get(sample * layout.values_len()..);
        let (kept, _) = S::as_simd_f32s(kept.unwrap_or_default()).0.as_chunks::<4>();
        let mut kept = kept.chunks_exact(layout.vectors()).skip(channels.start);
        let place_len = layout.place_len();
        let all = S::as_mut_simd_f32s(gradients).0;
        let biases = S::as_mut_simd_f32s(bias_sums).0.get_mut(channels.clone());
        for ((first, channel), bias) in channels.enumerate().zip(biases.unwrap_or_default()) {
            self.spread_rows(
                simd,
                layout,
                (sample * out_channels + channel) * map,
                buffers,
            );
            let (pooled, winners) = &*buffers;
            let pooled = S::as_simd_f32s(pooled).0;
            let to = all.chunks_exact_mut(4 * place_len);
            let mut total = *bias;
            match pooling {
                Pooling::Max => {
                    let winners = S::as_simd_u32s(winners).0;
                    for ((to, &gradient), &winner) in to.zip(pooled).zip(winners) {
                        total = simd.add_f32s(total, gradient);
                        let mut at = first;
                        for place in 0..4 {
                            let wins = simd.equal_u32s(winner, simd.splat_u32s(place));
                            if let Some(to) = to.get_mut(at) {
                                *to = simd.select_f32s(wins, gradient, zero);
                            }
                            at += place_len;
                        }
                    }
                }
                Pooling::Average => {
                    let kept = kept.next().unwrap_or_default();
                    for ((to, &gradient), kept) in to.zip(pooled).zip(kept) {
                        let quarter = simd.mul_f32s(gradient, simd.splat_f32s(0.25));
                        let mut at = first;
                        for &kept in kept {
                            let gradient = activation.scale_vector(simd, quarter, kept);
                            total = simd.add_f32s(total, gradient);
                            if let Some(to) = to.get_mut(at) {
                                *to = gradient;
                            }
                            at += place_len;
                        }
                    }
                }
            }
            *bias = total;
        }
    }

    /// Lays the gradients of the map from `first` on, row by row, where `layout` has its windows, with
    /// zeros between them; in max pooling those before the activation, and the winners beside them.
    #[inline(always)]
    fn spread_rows<S: Simd>(
        &self,
        simd: S,
        layout: &Windows,
        first: usize,
        (gradients, winners): &mut (Aligned, Vec<u32>),
    ) {
        let ConvBlockKernel {
            activation,
            pooling,
            ..
        } = self.block;
        let (gradients, winners) = (&mut **gradients, &mut **winners);
        let zero = simd.splat_f32s(0.0);
        let Some(&lane) = S::as_simd_u32s(&LANE).0.first() else {
            return;
        };
        let output_gradient = self.pooled.output_gradient.get(first..);
        let output = self.pooled.output.get(first..);
        let places = self.pooled.winners.get(first..);
        let (output_gradient, output, places) = (
            output_gradient.unwrap_or_default(),
            output.unwrap_or_default(),
            places.unwrap_or_default(),
        );
        for (start, slot, count) in layout.row_vectors() {
            let mut gradient = load(simd, output_gradient, start, count);
            if *pooling == Pooling::Max {
                let output = load(simd, output, start, count);
                gradient = activation.scale_vector(simd, gradient, output);
                // Beyond the last window the gradient is zero, whoever wins.
                let places = places.get(start..).unwrap_or_default();
                if let Some(to) = winners.get_mut(slot..).and_then(<[u32]>::first_chunk_mut) {
                    widen(places, to);
                }
            }
            // What lies beyond the last window of a row is another row's.
            let inside = simd.less_than_u32s(lane, simd.splat_u32s(count as u32));
            let gradient = simd.select_f32s(inside, gradient, zero);
            let to = gradients.get_mut(slot..).unwrap_or_default();
            if let Some(to) = S::as_mut_simd_f32s(to).0.first_mut() {
                *to = gradient;
            }
        }
    }

    /// One pass over a patch of the input for each winner.
    #[inline(always)]
    fn patches<S: Simd>(
        self,
        simd: S,
        scratch: &mut PatchScratch,
        partial: &mut [f32],
        mut gradient: Part<'_, f32>,
    ) {
        let ConvBlockKernel {
            geometry,
            patches,
            activation,
            ..
        } = self.block;
        let PatchScratch {
            image,
            in_gradient,
            scaled,
            winners,
        } = scratch;
        let input_len = geometry.input_len();
        let (weight, bias) = partial.split_at_mut(patches.weight_len());
        let both = patches.both_at_once() && !gradient.is_empty();
        for (sample, input) in self.input.chunks_exact(input_len).enumerate() {
            patches.interleave(input, image);
            winners.clear();
            for (channel, bias) in bias.iter_mut().enumerate() {
                let map = sample * geometry.shape.out_channels + channel;
                let part = map * scaled.len()..(map + 1) * scaled.len();
                let outputs = self.pooled.output.get(part.clone()).unwrap_or_default();
                let from = self.pooled.output_gradient.get(part.clone());
                activation.scale(from.unwrap_or_default(), outputs, scaled);
                *bias += sum(simd, scaled);
                let places = self.pooled.winners.get(part).unwrap_or_default();
                let found = winners.add(patches, channel, places, scaled);
                if !both {
                    patches.add_weight_gradient(simd, (channel, found), image, weight);
                }
            }
            if !gradient.is_empty() {
                in_gradient.fill(0.0);
                if both {
                    let to = (&mut *weight, &mut **in_gradient);
                    patches.add_gradients(simd, winners, (image, self.packed), to);
                } else {
                    patches.add_input_gradient(simd, winners, self.packed, in_gradient);
                }
                patches.separate(in_gradient, gradient.cut(input_len).zeroed());
            }
        }
    }
}

/// A vector from `start`, of which the first `count` values matter.
#[inline(always)]
fn load<S: Simd>(simd: S, values: &[f32], start: usize, count: usize) -> S::f32s {
    let values = values.get(start..).unwrap_or_default();
    match S::as_simd_f32s(values).0.first() {
        Some(&vector) => vector,
        None => simd.partial_load_f32s(values.get(..count).unwrap_or_default()),
    }
}

/// The numbers of the lanes.
const LANE: [u32; LANES] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

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

/// The sum of all values, in an order that only the instruction set decides.
#[inline(always)]
fn sum<S: Simd>(simd: S, values: &[f32]) -> f32 {
    let (vectors, rest) = S::as_simd_f32s(values);
    let (fours, single) = vectors.as_chunks::<4>();
    let mut sums = [simd.splat_f32s(0.0); 4];
    for four in fours {
        for (sum, &vector) in sums.iter_mut().zip(four) {
            *sum = simd.add_f32s(*sum, vector);
        }
    }
    let [a, b, c, d] = sums;
    let mut total = simd.add_f32s(simd.add_f32s(a, b), simd.add_f32s(c, d));
    for &vector in single {
        total = simd.add_f32s(total, vector);
    }
    simd.reduce_sum_f32s(total) + rest.iter().sum::<f32>()
}
