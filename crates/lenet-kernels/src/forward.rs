use pulp::{Simd, WithSimd};

use crate::channels::Channels;
use crate::geometry::LANES;
use crate::kernel::ConvBlockKernel;
use crate::layout::{Layout, Packed};
use crate::pooling::{Pooling, average, largest};
use crate::windows::Windows;
use crate::{Activation, aligned::Aligned};

/// What a thread needs for a sample; the border of `image` stays zero.
pub(crate) struct ForwardScratch {
    image: Aligned,
    rows: Vec<f32>,
    values: Aligned,
    pooled: Aligned,
    winners: Vec<u32>,
}

impl ForwardScratch {
    pub(crate) fn new(block: &ConvBlockKernel) -> Self {
        let values = block.layout.values_len();
        Self {
            image: Aligned::zeros(block.layout.image_len(&block.geometry)),
            rows: vec![0.0; block.layout.rows_len()],
            values: Aligned::zeros(values),
            pooled: Aligned::zeros(values / 4),
            winners: vec![0; values / 4],
        }
    }
}

/// The forward pass of one group of samples.
pub(crate) struct Forward<'a> {
    pub(crate) block: &'a ConvBlockKernel,
    pub(crate) packed: &'a Packed,
    pub(crate) scratch: &'a mut ForwardScratch,
    pub(crate) input: &'a [f32],
    pub(crate) output: &'a mut [f32],
    pub(crate) winners: &'a mut [u8],
    pub(crate) activations: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let ConvBlockKernel {
            geometry,
            layout,
            activation,
            pooling,
            ..
        } = self.block;
        let ForwardScratch {
            image,
            rows,
            values,
            pooled,
            winners: found,
        } = self.scratch;
        let map = geometry.pooled.iter().product();
        let out_channels = geometry.shape.out_channels;
        let samples = self.input.chunks_exact(geometry.input_len());
        for (sample, input) in samples.enumerate() {
            match layout {
                Layout::Windows(windows) => {
                    windows.split(input, image, rows);
                    windows.convolve(simd, image, &self.packed.weight, &self.packed.bias, values);
                }
                Layout::Channels(channels) => {
                    geometry.pad(input, image);
                    channels.convolve(simd, image, &self.packed.weight, &self.packed.bias, values);
                }
            }
            // The largest of a window stays the largest under ReLU, which then has less to do.
            let after = *pooling == Pooling::Max && *activation == Activation::Relu;
            if !after {
                activation.apply(values);
            }
            let start = sample * geometry.output_len();
            let output = self.output.get_mut(start..).unwrap_or_default();
            match (pooling, layout) {
                (Pooling::Max, Layout::Windows(layout)) => {
                    let winners = self.winners.get_mut(start..).unwrap_or_default();
                    max_windows(simd, layout, map, values, output, winners);
                }
                (Pooling::Max, Layout::Channels(layout)) => {
                    let winners = self.winners.get_mut(start..).unwrap_or_default();
                    // Inference wants no winners.
                    let mut winners = winners.chunks_exact_mut(map);
                    let maps = output.chunks_exact_mut(map).take(out_channels);
                    let maps = maps.map(|output| (output, winners.next().unwrap_or_default()));
                    max_channels(simd, layout, values, (pooled, found), maps);
                }
                (Pooling::Average, Layout::Windows(layout)) => {
                    let kept = self.activations.get_mut(4 * start..);
                    let kept = kept.unwrap_or_default();
                    average_windows(simd, layout, map, values, output, kept);
                }
                (Pooling::Average, Layout::Channels(layout)) => {
                    let maps = output.chunks_exact_mut(map).take(out_channels);
                    average_channels(simd, layout, values, pooled, maps);
                    let mut kept = self.activations.chunks_exact_mut(values.len());
                    if let Some(kept) = kept.nth(sample) {
                        kept.copy_from_slice(values);
                    }
                }
            }
            if after {
                let output = output.get_mut(..geometry.output_len());
                activation.apply(output.unwrap_or_default());
            }
        }
    }
}

/// Every `width`-th value from the `first`.
#[inline(always)]
fn transpose<T: Copy, U>(
    from: &[T],
    first: usize,
    width: usize,
    to: &mut [U],
    convert: impl Fn(T) -> U,
) {
    let from = from.get(first..).unwrap_or_default();
    for (to, &from) in to.iter_mut().zip(from.iter().step_by(width)) {
        *to = convert(from);
    }
}

/// Max pooling of one sample. Maps are written in order, whole vectors as long as there is room: what
/// reaches beyond a map's end is overwritten by the next.
#[inline(always)]
fn max_windows<S: Simd>(
    simd: S,
    layout: &Windows,
    map: usize,
    values: &[f32],
    output: &mut [f32],
    winners: &mut [u8],
) {
    let lanes = S::F32_LANES;
    for (channel, groups) in values
        .chunks_exact(layout.vectors() * 4 * lanes)
        .enumerate()
    {
        let (groups, _) = S::as_simd_f32s(groups).0.as_chunks::<4>();
        for (vector, &group) in groups.iter().enumerate() {
            let (best, winner) = largest(simd, group);
            let start = channel * map + vector * lanes;
            let to = output.get_mut(start..).unwrap_or_default();
            match S::as_mut_simd_f32s(to).0.first_mut() {
                Some(to) => *to = best,
                None => simd.partial_store_f32s(to, best),
            }
            let mut place = [0_u32; LANES];
            if let Some(place) = S::as_mut_simd_u32s(&mut place).0.first_mut() {
                *place = winner;
            }
            let mut bytes = [0; LANES];
            for (byte, place) in bytes.iter_mut().zip(place) {
                *byte = place as u8;
            }
            let to = winners.get_mut(start..).unwrap_or_default();
            match to.first_chunk_mut::<LANES>() {
                Some(to) => *to = bytes,
                None => to.iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte),
            }
        }
    }
}

/// Max pooling of one sample, by way of two buffers.
#[inline(always)]
fn max_channels<'a, S: Simd>(
    simd: S,
    layout: &Channels,
    values: &[f32],
    (pooled, winners): (&mut [f32], &mut [u32]),
    maps: impl Iterator<Item = (&'a mut [f32], &'a mut [u8])>,
) {
    let (groups, _) = S::as_simd_f32s(values).0.as_chunks::<4>();
    let to = S::as_mut_simd_f32s(pooled).0.iter_mut();
    let to = to.zip(S::as_mut_simd_u32s(winners).0);
    for (&group, (best, winner)) in groups.iter().zip(to) {
        (*best, *winner) = largest(simd, group);
    }
    let width = layout.vectors() * S::F32_LANES;
    for (channel, (output, places)) in maps.enumerate() {
        transpose(pooled, channel, width, output, |value| value);
        transpose(winners, channel, width, places, |winner| winner as u8);
    }
}

/// Average pooling of one sample, which keeps what it averages: `[channel, place, window]`.
#[inline(always)]
fn average_windows<S: Simd>(
    simd: S,
    layout: &Windows,
    map: usize,
    values: &[f32],
    output: &mut [f32],
    kept: &mut [f32],
) {
    let lanes = S::F32_LANES;
    for (channel, groups) in values
        .chunks_exact(layout.vectors() * 4 * lanes)
        .enumerate()
    {
        let (groups, _) = S::as_simd_f32s(groups).0.as_chunks::<4>();
        for (vector, &group) in groups.iter().enumerate() {
            let first = vector * lanes;
            let count = lanes.min(map - first);
            let start = channel * map + first;
            store(simd, output, start..start + count, average(simd, group));
            for (place, value) in group.into_iter().enumerate() {
                let start = (channel * 4 + place) * map + first;
                store(simd, kept, start..start + count, value);
            }
        }
    }
}

/// Average pooling of one sample, by way of a buffer.
#[inline(always)]
fn average_channels<'a, S: Simd>(
    simd: S,
    layout: &Channels,
    values: &[f32],
    pooled: &mut [f32],
    maps: impl Iterator<Item = &'a mut [f32]>,
) {
    let (groups, _) = S::as_simd_f32s(values).0.as_chunks::<4>();
    let to = S::as_mut_simd_f32s(pooled).0.iter_mut();
    for (&group, to) in groups.iter().zip(to) {
        *to = average(simd, group);
    }
    let width = layout.vectors() * S::F32_LANES;
    for (channel, output) in maps.enumerate() {
        transpose(pooled, channel, width, output, |value| value);
    }
}

/// Writes the first values of a vector.
#[inline(always)]
fn store<S: Simd>(simd: S, to: &mut [f32], range: std::ops::Range<usize>, value: S::f32s) {
    let to = to.get_mut(range).unwrap_or_default();
    match S::as_mut_simd_f32s(to).0.first_mut() {
        Some(to) => *to = value,
        None => simd.partial_store_f32s(to, value),
    }
}
