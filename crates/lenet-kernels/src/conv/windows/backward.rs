//! The gradient of the weights. Behind average pooling the same tiles the other way round: a tile now holds a few
//! taps of a block of output channels, and the windows are the inner loop:
//!
//! ```text
//! for block of output channels, input channel, part of up to 4 taps
//!   sums[4][6] = 0                                    // 24 registers: one for each tap and channel
//!   for place, vector of slots
//!     gradients[6] = load                             // the block's channels lie side by side
//!     for tap
//!       sums[tap][0..6] += gradients[0..6] · load(planes + offset)
//!   add sums to memory                                // lanes are added up once per group of samples
//! ```
//!
//! Behind max pooling only one of a window's four values has a gradient. Instead of multiplying by three zeros, the
//! argmax selects, lane by lane, the input that its value was computed from: first the column, for one row after
//! the other, then one of two neighbouring rows:
//!
//! ```text
//! for up to 3 output channels, input channel, part of up to 5 rows of taps, column x of taps
//!   sums[5][3] = 0
//!   for vector of slots
//!     for row y, channel
//!       below[channel] = argmax is right ? planes at (y + 1, x + 1) : planes at (y + 1, x)
//!       sums[y][channel] += gradient[channel] · (argmax is lower ? below : above)[channel]
//!       above[channel] = below[channel]
//! ```
//!
//! Gradients between rows of windows must be zero, since the inner loop runs across the ends of rows.

use std::ops::Range;

use pulp::Simd;

use super::Windows;
use crate::conv::geometry::Geometry;
use crate::conv::patches::GradientPlaces;
use crate::simd::{chunk, for_tile, parts};

/// A part of the weights.
#[derive(Clone, Copy)]
struct Tile {
    in_channel: usize,
    out_channel: usize,
    tap: usize,
}

impl Windows {
    /// Blocks of output channels: where the gradients of each lie, and its channels.
    pub(in crate::conv) fn gradient_blocks(
        &self,
    ) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        let len = self.vectors * 4 * self.block * self.lanes;
        let blocks = parts(self.shape.out_channels, self.block).enumerate();
        blocks.map(move |(index, channels)| (index * len..(index + 1) * len, channels))
    }

    /// Values of the gradients of all blocks.
    pub(in crate::conv) fn gradients_len(&self) -> usize {
        let blocks = self.shape.out_channels.div_ceil(self.block);
        blocks * self.vectors * 4 * self.block * self.lanes
    }

    /// Vectors from one place to the next in a block's gradients.
    pub(in crate::conv) fn place_len(&self) -> usize {
        self.block
    }

    /// Where the gradients of the values before the pooling lie.
    pub(in crate::conv) fn gradient_places(&self, geometry: &Geometry) -> GradientPlaces {
        let [rows, columns] = self.pooled;
        let place_len = self.block * self.lanes;
        let slots = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        let slots = slots.map(|(row, column)| row * self.stride + column);
        let channels = self.gradient_blocks().flat_map(|(gradients, channels)| {
            let starts = gradients.step_by(self.lanes);
            channels.zip(starts).map(|(_, start)| start)
        });
        let windows: Vec<_> = slots
            .map(|slot| slot / self.lanes * 4 * place_len + slot % self.lanes)
            .collect();
        GradientPlaces::new(geometry, &windows, channels.collect(), place_len)
    }

    /// Values of the sums of the gradients of weights and of biases, lane by lane.
    pub(in crate::conv) fn sums_len(&self) -> [usize; 2] {
        let biases = self.shape.out_channels * self.lanes;
        [
            biases * self.shape.in_channels * self.offsets[0].len(),
            biases,
        ]
    }

    /// Adds to the sums of the weights' gradient, from the gradients of one block of channels.
    #[inline(always)]
    pub(in crate::conv) fn add_weight_gradient<S: Simd>(
        &self,
        simd: S,
        image: &[f32],
        (channels, gradients): (Range<usize>, &[f32]),
        sums: &mut [f32],
    ) {
        let most_taps = if S::REGISTER_COUNT >= 32 { 4 } else { 5 };
        for in_channel in 0..self.shape.in_channels {
            for taps in parts(self.offsets[0].len(), most_taps) {
                let tile = Tile {
                    in_channel,
                    out_channel: channels.start,
                    tap: taps.start,
                };
                let operands = (image, gradients, &mut *sums);
                let shape = (channels.len(), taps.len());
                for_tile!(
                    (self.gather(simd, tile, operands)), shape,
                    many: [
                        (6 4)(6 3)(6 1)(5 4)(5 3)(5 1)(4 4)(4 3)(4 1)
                        (3 4)(3 3)(3 1)(2 4)(2 3)(2 1)(1 4)(1 3)(1 1)
                    ],
                    few: [(2 5)(2 4)(2 1)(1 5)(1 4)(1 1)]
                );
            }
        }
    }

    /// The gradients of `O` output channels at `K` taps: the sums stay in registers.
    #[inline(always)]
    fn gather<S: Simd, const O: usize, const K: usize>(
        &self,
        simd: S,
        tile: Tile,
        (image, gradients, to): (&[f32], &[f32], &mut [f32]),
    ) {
        let image = &image[tile.in_channel * self.channel_len..];
        let gradients = S::as_simd_f32s(gradients).0;
        let mut sums = [[simd.splat_f32s(0.0); O]; K];
        for (place, offsets) in self.offsets.iter().enumerate() {
            // All of one length, so that the loop over it checks no bounds.
            let mut inputs = [&gradients[..0]; K];
            for (inputs, &offset) in inputs.iter_mut().zip(chunk::<_, K>(offsets, tile.tap)) {
                *inputs = &S::as_simd_f32s(&image[offset..]).0[..self.vectors];
            }
            let mut at = place * self.block;
            for vector in 0..self.vectors {
                let gradients = chunk::<_, O>(gradients, at);
                at += 4 * self.block;
                for (sums, inputs) in sums.iter_mut().zip(&inputs) {
                    let input = inputs[vector];
                    for (sum, &gradient) in sums.iter_mut().zip(gradients) {
                        *sum = simd.mul_add_e_f32s(gradient, input, *sum);
                    }
                }
            }
        }
        let per_map = self.offsets[0].len() * S::F32_LANES;
        let per_out = self.shape.in_channels * per_map;
        let mut tap =
            tile.out_channel * per_out + tile.in_channel * per_map + tile.tap * S::F32_LANES;
        for sums in sums {
            let mut at = tap;
            for sum in sums {
                let to = &mut S::as_mut_simd_f32s(&mut to[at..]).0[0];
                *to = simd.add_f32s(*to, sum);
                at += per_out;
            }
            tap += S::F32_LANES;
        }
    }

    /// Adds to the sums of the weights' gradient, from each window's gradient and argmax, both
    /// `[out channel, slot]`.
    #[inline(always)]
    pub(in crate::conv) fn add_weight_gradient_at_argmax<S: Simd>(
        &self,
        simd: S,
        image: &[f32],
        (gradients, argmax): (&[f32], &[u32]),
        sums: &mut [f32],
    ) {
        let most_channels = if S::REGISTER_COUNT >= 32 { 3 } else { 1 };
        let k = self.shape.kernel_size;
        for channels in parts(self.shape.out_channels, most_channels) {
            for in_channel in 0..self.shape.in_channels {
                for rows in parts(k, 5) {
                    for column in 0..k {
                        let tile = Tile {
                            in_channel,
                            out_channel: channels.start,
                            tap: rows.start * k + column,
                        };
                        let columns = [column, column + 1].map(|x| &self.reach[x][rows.start..]);
                        let operands = (image, gradients, argmax, &mut *sums);
                        let shape = (channels.len(), rows.len());
                        for_tile!(
                            (self.gather_at_argmax(simd, tile, columns, operands)), shape,
                            many: [
                                (3 5)(3 4)(3 3)(3 2)(3 1)(2 5)(2 4)(2 3)(2 2)(2 1)
                                (1 5)(1 4)(1 3)(1 2)(1 1)
                            ],
                            few: [(1 5)(1 4)(1 3)(1 2)(1 1)]
                        );
                    }
                }
            }
        }
    }

    /// The gradients of `O` output channels at `K` taps of a column: the sums stay in registers.
    #[inline(always)]
    fn gather_at_argmax<S: Simd, const O: usize, const K: usize>(
        &self,
        simd: S,
        tile: Tile,
        [left, right]: [&[usize]; 2],
        (image, gradients, argmax, to): (&[f32], &[f32], &[u32], &mut [f32]),
    ) {
        let image = &image[tile.in_channel * self.channel_len..];
        let inputs = |offset: usize| &S::as_simd_f32s(&image[offset..]).0[..self.vectors];
        // All of one length, so that the loop over it checks no bounds.
        let first = [inputs(left[0]), inputs(right[0])];
        let mut rows = [first; K];
        let offsets = chunk::<_, K>(left, 1).iter().zip(chunk::<_, K>(right, 1));
        for (rows, (&left, &right)) in rows.iter_mut().zip(offsets) {
            *rows = [inputs(left), inputs(right)];
        }
        let first_vector = tile.out_channel * self.vectors;
        let gradients = &S::as_simd_f32s(gradients).0[first_vector..];
        let argmax = &S::as_simd_u32s(argmax).0[first_vector..];
        let mut maps = [(&gradients[..0], &argmax[..0]); O];
        for (channel, map) in maps.iter_mut().enumerate() {
            let vectors = channel * self.vectors..(channel + 1) * self.vectors;
            *map = (&gradients[vectors.clone()], &argmax[vectors]);
        }
        let one = simd.splat_u32s(1);
        let zero = simd.splat_f32s(0.0);
        let no_lane = simd.less_than_u32s(one, one);
        let mut sums = [[zero; O]; K];
        for vector in 0..self.vectors {
            let [left, right] = first.map(|row| row[vector]);
            let (mut is_right, mut is_lower) = ([no_lane; O], [no_lane; O]);
            let mut above = [zero; O];
            for channel in 0..O {
                let place = maps[channel].1[vector];
                is_right[channel] = simd.equal_u32s(simd.and_u32s(place, one), one);
                is_lower[channel] = simd.greater_than_u32s(place, one);
                above[channel] = simd.select_f32s(is_right[channel], right, left);
            }
            for row in 0..K {
                let [left, right] = rows[row].map(|row| row[vector]);
                for channel in 0..O {
                    let below = simd.select_f32s(is_right[channel], right, left);
                    let input = simd.select_f32s(is_lower[channel], below, above[channel]);
                    let gradient = maps[channel].0[vector];
                    sums[row][channel] = simd.mul_add_e_f32s(gradient, input, sums[row][channel]);
                    above[channel] = below;
                }
            }
        }
        let per_map = self.offsets[0].len() * S::F32_LANES;
        let per_out = self.shape.in_channels * per_map;
        let row_len = self.shape.kernel_size * S::F32_LANES;
        let mut tap =
            tile.out_channel * per_out + tile.in_channel * per_map + tile.tap * S::F32_LANES;
        for sums in sums {
            let mut at = tap;
            for sum in sums {
                let to = &mut S::as_mut_simd_f32s(&mut to[at..]).0[0];
                *to = simd.add_f32s(*to, sum);
                at += per_out;
            }
            tap += row_len;
        }
    }
}
