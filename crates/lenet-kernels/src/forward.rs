use pulp::{Simd, WithSimd};

use crate::aligned::Aligned;
use crate::epilogue::Largest;
use crate::geometry::LANES;
use crate::kernel::ConvBlockKernel;
use crate::layout::{Layout, Packed};
use crate::pooling::{Pooling, average};
use crate::unfilled::Part;
use crate::windows::Windows;

/// What a thread needs for a sample; the border of `image` stays zero.
pub(crate) struct ForwardScratch {
    image: Aligned,
    values: Aligned,
    pooled: Aligned,
    winners: Vec<u32>,
}

impl ForwardScratch {
    pub(crate) fn new(block: &ConvBlockKernel) -> Self {
        let values = block.layout.values_len();
        Self {
            image: Aligned::zeros(block.layout.image_len(&block.geometry)),
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
    pub(crate) output: Part<'a, f32>,
    pub(crate) winners: Part<'a, u8>,
    pub(crate) activations: Part<'a, f32>,
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let ConvBlockKernel {
            geometry,
            layout,
            activation,
            pooling,
            ..
        } = self.block;
        let ForwardScratch {
            image,
            values,
            pooled,
            winners: found,
        } = self.scratch;
        let map = geometry.pooled.iter().product();
        for input in self.input.chunks_exact(geometry.input_len()) {
            let buffers = (input, &mut **image, &mut **values);
            match pooling {
                Pooling::Max => {
                    let mut epilogue = Largest::<S> {
                        activation: *activation,
                        pooled: S::as_mut_simd_f32s(pooled).0,
                        winners: S::as_mut_simd_u32s(found).0,
                    };
                    layout.convolve_into(simd, geometry, self.packed, buffers, &mut epilogue);
                }
                Pooling::Average => {
                    layout.convolve(simd, geometry, self.packed, buffers);
                    activation.apply(values);
                    let (groups, _) = S::as_simd_f32s(values).0.as_chunks();
                    let to = S::as_mut_simd_f32s(pooled).0.iter_mut();
                    for (&group, to) in groups.iter().zip(to) {
                        *to = average(simd, group);
                    }
                    // Inference keeps nothing.
                    self.activations.cut(values.len()).copy_from(values);
                }
            }
            let output = self.output.cut(geometry.output_len()).zeroed();
            let winners = self.winners.cut(geometry.output_len()).zeroed();
            let pooled = (&**pooled, &**found);
            match layout {
                Layout::Windows(layout) => copy_rows(simd, layout, map, pooled, (output, winners)),
                Layout::Channels(layout) => {
                    let width = layout.vectors() * S::F32_LANES;
                    transpose_all(width, map, pooled, (output, winners));
                }
            }
        }
    }
}

/// Pooled values and their winners of one sample as maps, from channels side by side.
#[inline(always)]
fn transpose_all(
    width: usize,
    map: usize,
    (pooled, found): (&[f32], &[u32]),
    (output, winners): (&mut [f32], &mut [u8]),
) {
    // Inference and averages want no winners.
    let mut winners = winners.chunks_exact_mut(map);
    for (channel, output) in output.chunks_exact_mut(map).enumerate() {
        transpose(pooled, channel, width, output, |value| value);
        if let Some(winners) = winners.next() {
            transpose(found, channel, width, winners, |winner| winner as u8);
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

/// Pooled values and their winners of one sample as maps, from rows with gaps between them. They are
/// written in order, whole vectors as long as there is room: what reaches beyond the end of one row is
/// overwritten by the next.
#[inline(always)]
fn copy_rows<S: Simd>(
    simd: S,
    layout: &Windows,
    map: usize,
    (pooled, found): (&[f32], &[u32]),
    (output, winners): (&mut [f32], &mut [u8]),
) {
    let len = layout.vectors() * S::F32_LANES;
    for (channel, (pooled, found)) in pooled.chunks(len).zip(found.chunks(len)).enumerate() {
        for (start, slot, _) in layout.row_vectors() {
            let start = channel * map + start;
            let from = pooled.get(slot..).unwrap_or_default();
            let to = output.get_mut(start..).unwrap_or_default();
            if let Some(&value) = S::as_simd_f32s(from).0.first() {
                match S::as_mut_simd_f32s(to).0.first_mut() {
                    Some(to) => *to = value,
                    None => simd.partial_store_f32s(to, value),
                }
            }
            let from = found.get(slot..).unwrap_or_default();
            let to = winners.get_mut(start..).unwrap_or_default();
            // The same loop twice: of a known length it is one instruction.
            match (to.first_chunk_mut::<LANES>(), from.first_chunk::<LANES>()) {
                (Some(to), Some(from)) => {
                    let mut bytes = [0; LANES];
                    for (byte, &place) in bytes.iter_mut().zip(from) {
                        *byte = place as u8;
                    }
                    *to = bytes;
                }
                _ => {
                    for (to, &from) in to.iter_mut().zip(from) {
                        *to = from as u8;
                    }
                }
            }
        }
    }
}
