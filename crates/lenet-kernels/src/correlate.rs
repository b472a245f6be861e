//! The loops in which the time is spent.
//!
//! They work on planes, see `Geometry`: an offset of a kernel is an offset into the plane, so every
//! load is contiguous and nothing is gathered beforehand.

use pulp::Simd;

use crate::aligned::Aligned;

/// Output channels that are computed together, widest first. Together with [`vectors_at_once`] they
/// fill the registers with sums.
const BLOCKS: [usize; 4] = [8, 4, 2, 1];

/// Splits `channels` into blocks.
pub(crate) fn blocks(channels: usize) -> impl Iterator<Item = usize> {
    let mut left = channels;
    std::iter::from_fn(move || {
        let block = BLOCKS.into_iter().find(|&block| block <= left)?;
        left -= block;
        Some(block)
    })
}

/// Weights in the order in which [`correlate`] meets them: for each block of output channels, each
/// input channel and each offset, those of the block's channels side by side. `weight(o, c, i)` is
/// the weight from input channel `c` to output channel `o` at offset `i`.
pub(crate) fn pack(
    [out_channels, in_channels, offsets]: [usize; 3],
    weight: impl Fn(usize, usize, usize) -> f32,
) -> Aligned {
    let mut packed = Aligned::zeros(out_channels * in_channels * offsets);
    let mut places = packed.iter_mut();
    let mut first = 0;
    for block in blocks(out_channels) {
        for c in 0..in_channels {
            for i in 0..offsets {
                for (o, place) in (first..first + block).zip(&mut places) {
                    *place = weight(o, c, i);
                }
            }
        }
        first += block;
    }
    packed
}

/// The input of [`correlate`]: planes of equal length, and the offsets at which they are read.
#[derive(Clone, Copy)]
pub(crate) struct Planes<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) len: usize,
    pub(crate) offsets: &'a [usize],
}

/// `output[o][q] = bias[o] + Σ weight[o][c][i] · input[c][q + offsets[i]]` for every `q` of the
/// planes of `output`, whose length `out_plane` is a multiple of the widest vector.
#[inline(always)]
pub(crate) fn correlate<S: Simd>(
    simd: S,
    input: Planes<'_>,
    packed: &[f32],
    bias: &[f32],
    output: &mut [f32],
    out_plane: usize,
) {
    let per_channel = input.values.len() / input.len * input.offsets.len();
    let (mut packed, mut bias, mut output) = (packed, bias, output);
    for block in blocks(bias.len()) {
        let (weights, next_packed) = packed.split_at(block * per_channel);
        let (block_bias, next_bias) = bias.split_at(block);
        let (planes, next_output) = output.split_at_mut(block * out_plane);
        match block {
            8 => channels::<S, 8>(simd, input, weights, block_bias, planes, out_plane),
            4 => channels::<S, 4>(simd, input, weights, block_bias, planes, out_plane),
            2 => channels::<S, 2>(simd, input, weights, block_bias, planes, out_plane),
            _ => channels::<S, 1>(simd, input, weights, block_bias, planes, out_plane),
        }
        (packed, bias, output) = (next_packed, next_bias, next_output);
    }
}

/// [`correlate`] for one block of `O` channels.
#[inline(always)]
fn channels<S: Simd, const O: usize>(
    simd: S,
    input: Planes<'_>,
    weights: &[f32],
    bias: &[f32],
    output: &mut [f32],
    out_plane: usize,
) {
    let (weights, _) = weights.as_chunks::<O>();
    let Some(bias) = bias.first_chunk::<O>() else {
        return;
    };
    // Sums fill about two thirds of the registers.
    let most = (S::REGISTER_COUNT * 2 / 3 / O).clamp(1, 4);
    let mut left = out_plane / S::F32_LANES;
    let mut q = 0;
    while left > 0 {
        let vectors = left.min(most);
        match vectors {
            4 => tile::<S, O, 4>(simd, input, weights, bias, output, out_plane, q),
            3 => tile::<S, O, 3>(simd, input, weights, bias, output, out_plane, q),
            2 => tile::<S, O, 2>(simd, input, weights, bias, output, out_plane, q),
            _ => tile::<S, O, 1>(simd, input, weights, bias, output, out_plane, q),
        }
        q += vectors * S::F32_LANES;
        left -= vectors;
    }
}

/// `O` channels of `V` vectors from `q`: the sums stay in registers.
#[inline(always)]
fn tile<S: Simd, const O: usize, const V: usize>(
    simd: S,
    input: Planes<'_>,
    weights: &[[f32; O]],
    bias: &[f32; O],
    output: &mut [f32],
    out_plane: usize,
    q: usize,
) {
    let mut sums = bias.map(|bias| [simd.splat_f32s(bias); V]);
    let per_plane = weights.chunks_exact(input.offsets.len());
    for (plane, weights) in input.values.chunks_exact(input.len).zip(per_plane) {
        let plane = plane.get(q..).unwrap_or_default();
        for (&offset, weights) in input.offsets.iter().zip(weights) {
            let window = plane.get(offset..).unwrap_or_default();
            let Some(vectors) = S::as_simd_f32s(window).0.first_chunk::<V>() else {
                return;
            };
            for (sums, &weight) in sums.iter_mut().zip(weights) {
                let weight = simd.splat_f32s(weight);
                for (sum, &vector) in sums.iter_mut().zip(vectors) {
                    *sum = simd.mul_add_e_f32s(weight, vector, *sum);
                }
            }
        }
    }
    for (plane, sums) in output.chunks_exact_mut(out_plane).zip(sums) {
        let window = plane.get_mut(q..).unwrap_or_default();
        for (vector, sum) in S::as_mut_simd_f32s(window).0.iter_mut().zip(sums) {
            *vector = sum;
        }
    }
}

/// The sum of all values, in an order that only the instruction set decides.
#[inline(always)]
pub(crate) fn sum<S: Simd>(simd: S, values: &[f32]) -> f32 {
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

/// Offsets whose gradients are summed together; more would not fit the registers.
const OFFSETS: [usize; 5] = [5, 4, 3, 2, 1];

/// `gradient[o][c][i] += Σ gradients[s][o][q] · input[s][c][q + offsets[i]]` over the samples `s` and
/// all `q`.
///
/// `gradients` holds planes of `plane` values each, of which the first `margin` are skipped and the
/// next `len`, a multiple of the widest vector, are read.
#[derive(Clone, Copy)]
pub(crate) struct WeightGradient<'a> {
    pub(crate) input: Planes<'a>,
    pub(crate) in_channels: usize,
    pub(crate) gradients: &'a [f32],
    pub(crate) out_channels: usize,
    pub(crate) plane: usize,
    pub(crate) margin: usize,
    pub(crate) len: usize,
}

impl WeightGradient<'_> {
    #[inline(always)]
    pub(crate) fn add_to<S: Simd>(self, simd: S, gradient: &mut [f32]) {
        let offsets = self.input.offsets.len();
        let mut o = 0;
        while o < self.out_channels {
            // Four sums to each offset, five offsets: twenty registers.
            let block = match self.out_channels - o {
                4.. if S::REGISTER_COUNT >= 32 => 4,
                2.. => 2,
                _ => 1,
            };
            for c in 0..self.in_channels {
                let mut first = 0;
                while first < offsets {
                    let count = OFFSETS
                        .into_iter()
                        .find(|&n| n <= offsets - first)
                        .unwrap_or(1);
                    match (block, count) {
                        (4, 5) => self.tile::<S, 4, 5>(simd, o, c, first, gradient),
                        (4, 4) => self.tile::<S, 4, 4>(simd, o, c, first, gradient),
                        (4, 3) => self.tile::<S, 4, 3>(simd, o, c, first, gradient),
                        (4, 2) => self.tile::<S, 4, 2>(simd, o, c, first, gradient),
                        (4, _) => self.tile::<S, 4, 1>(simd, o, c, first, gradient),
                        (2, 5) => self.tile::<S, 2, 5>(simd, o, c, first, gradient),
                        (2, 4) => self.tile::<S, 2, 4>(simd, o, c, first, gradient),
                        (2, 3) => self.tile::<S, 2, 3>(simd, o, c, first, gradient),
                        (2, 2) => self.tile::<S, 2, 2>(simd, o, c, first, gradient),
                        (2, _) => self.tile::<S, 2, 1>(simd, o, c, first, gradient),
                        (_, 5) => self.tile::<S, 1, 5>(simd, o, c, first, gradient),
                        (_, 4) => self.tile::<S, 1, 4>(simd, o, c, first, gradient),
                        (_, 3) => self.tile::<S, 1, 3>(simd, o, c, first, gradient),
                        (_, 2) => self.tile::<S, 1, 2>(simd, o, c, first, gradient),
                        (_, _) => self.tile::<S, 1, 1>(simd, o, c, first, gradient),
                    }
                    first += count;
                }
            }
            o += block;
        }
    }

    /// The gradients of `O` output channels from `o`, input channel `c`, at `K` offsets from `first`:
    /// the sums stay in registers over all samples.
    #[expect(
        clippy::indexing_slicing,
        reason = "the windows and rows are cut to one length before the loop over it"
    )]
    #[inline(always)]
    fn tile<S: Simd, const O: usize, const K: usize>(
        self,
        simd: S,
        o: usize,
        c: usize,
        first: usize,
        gradient: &mut [f32],
    ) {
        let all = self.input.offsets;
        let Some(offsets) = all.get(first..).and_then(<[usize]>::first_chunk::<K>) else {
            return;
        };
        let mut sums = [[simd.splat_f32s(0.0); K]; O];
        let samples_in = self
            .input
            .values
            .chunks_exact(self.in_channels * self.input.len);
        let samples_out = self.gradients.chunks_exact(self.out_channels * self.plane);
        for (input, gradients) in samples_in.zip(samples_out) {
            let plane = input.get(c * self.input.len..).unwrap_or_default();
            let windows =
                offsets.map(|offset| S::as_simd_f32s(plane.get(offset..).unwrap_or_default()).0);
            let rows: [&[S::f32s]; O] = std::array::from_fn(|i| {
                let start = (o + i) * self.plane + self.margin;
                S::as_simd_f32s(gradients.get(start..start + self.len).unwrap_or_default()).0
            });
            let vectors = self.len / S::F32_LANES;
            let shortest = windows
                .iter()
                .map(|w| w.len())
                .chain(rows.iter().map(|r| r.len()))
                .min();
            if shortest.is_none_or(|shortest| shortest < vectors) {
                return;
            }
            let windows = windows.map(|w| &w[..vectors]);
            let rows = rows.map(|r| &r[..vectors]);
            for q in 0..vectors {
                let gradient: [S::f32s; O] = std::array::from_fn(|i| rows[i][q]);
                for (k, window) in windows.iter().enumerate() {
                    let value = window[q];
                    for (sums, gradient) in sums.iter_mut().zip(gradient) {
                        sums[k] = simd.mul_add_e_f32s(gradient, value, sums[k]);
                    }
                }
            }
        }
        for (i, sums) in sums.into_iter().enumerate() {
            let start = ((o + i) * self.in_channels + c) * all.len() + first;
            for (total, sum) in gradient
                .get_mut(start..)
                .unwrap_or_default()
                .iter_mut()
                .zip(sums)
            {
                *total += simd.reduce_sum_f32s(sum);
            }
        }
    }
}
