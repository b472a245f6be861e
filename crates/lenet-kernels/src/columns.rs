//! A convolution with neighbouring pooling windows side by side in a vector.
//!
//! The padded image is split into its even and its odd columns. Then the upper left values of
//! neighbouring windows need neighbouring inputs, and so do the other three: a window's four values lie
//! in four vectors at one lane, and pooling never moves a value across lanes.

use pulp::Simd;

use crate::aligned::Aligned;
use crate::geometry::{Geometry, LANES, Shape};

/// Where everything lies.
///
/// Values before the pooling are `[out channel, window row, vector, place in the window, lane]`.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    shape: Shape,
    lanes: usize,
    /// Values from one row of a half image to the next.
    pitch: usize,
    /// Values of a half image, and as many more as a vector may reach beyond its end.
    half: usize,
    /// Rows of windows.
    rows: usize,
    /// Vectors to a row of windows.
    vectors: usize,
    /// For each weight of a kernel, where a window's left and right values read their inputs.
    offsets: Vec<[usize; 2]>,
}

impl Columns {
    pub(crate) fn new(geometry: &Geometry, lanes: usize) -> Self {
        let shape = geometry.shape;
        let [rows, columns] = geometry.pooled;
        let pitch = geometry.stride.div_ceil(2).next_multiple_of(LANES);
        let half = (shape.height + 2 * shape.padding) * pitch + 2 * LANES;
        let at = |row: usize, column: usize| column % 2 * half + row * pitch + column / 2;
        let k = shape.kernel_size;
        let taps = (0..k).flat_map(|y| (0..k).map(move |x| (y, x)));
        Self {
            offsets: taps.map(|(y, x)| [at(y, x), at(y, x + 1)]).collect(),
            shape,
            lanes,
            pitch,
            half,
            rows,
            vectors: columns.div_ceil(lanes),
        }
    }

    /// Vector operations for each weight of a kernel.
    pub(crate) fn cost(&self) -> usize {
        self.shape.out_channels * self.rows * self.vectors
    }

    pub(crate) fn image_len(&self) -> usize {
        self.shape.in_channels * 2 * self.half
    }

    /// Values before the pooling, filled up to whole vectors.
    pub(crate) fn values_len(&self) -> usize {
        self.cost() * 4 * self.lanes
    }

    /// Vectors to a row of windows.
    pub(crate) fn vectors(&self) -> usize {
        self.vectors
    }

    /// Copies maps into even and odd columns; the border must be zero already.
    #[inline(always)]
    pub(crate) fn split(&self, maps: &[f32], image: &mut [f32]) {
        let Shape {
            height,
            width,
            padding,
            ..
        } = self.shape;
        let border = padding * self.pitch;
        for (map, halves) in maps
            .chunks_exact(height * width)
            .zip(image.chunks_exact_mut(2 * self.half))
        {
            let (even, odd) = halves.split_at_mut(self.half);
            // The map's first column is the padded image's column number `padding`.
            let (first, second) = match padding % 2 {
                0 => (even, odd),
                _ => (odd, even),
            };
            let first = first.get_mut(border + padding / 2..).unwrap_or_default();
            let second = second.get_mut(border + padding.div_ceil(2)..);
            let rows = first
                .chunks_mut(self.pitch)
                .zip(second.unwrap_or_default().chunks_mut(self.pitch));
            for (row, (first, second)) in map.chunks_exact(width).zip(rows) {
                let (pairs, last) = row.as_chunks::<2>();
                let mut to = first.iter_mut();
                for ((&[left, right], first), second) in pairs.iter().zip(&mut to).zip(second) {
                    (*first, *second) = (left, right);
                }
                for (&last, to) in last.iter().zip(to) {
                    *to = last;
                }
            }
        }
    }

    /// Weights in the order in which [`convolve`](Self::convolve) meets them: for each block of output
    /// channels, each input channel and each offset, those of the block's channels side by side.
    pub(crate) fn pack(&self, weight: &[f32], registers: usize) -> Aligned {
        let taps = self.shape.in_channels * self.offsets.len();
        let mut packed = Aligned::zeros(self.shape.out_channels * taps);
        let mut places = packed.iter_mut();
        let mut first = 0;
        for block in blocks(self.shape.out_channels, registers) {
            for tap in 0..taps {
                for (channel, place) in (first..first + block).zip(&mut places) {
                    *place = weight
                        .get(channel * taps + tap)
                        .copied()
                        .unwrap_or_default();
                }
            }
            first += block;
        }
        packed
    }

    /// Computes the values before the pooling.
    #[inline(always)]
    pub(crate) fn convolve<S: Simd>(
        &self,
        simd: S,
        image: &[f32],
        packed: &[f32],
        bias: &[f32],
        values: &mut [f32],
    ) {
        let taps = self.shape.in_channels * self.offsets.len();
        let map = self.rows * self.vectors * 4 * self.lanes;
        let (mut packed, mut bias, mut values) = (packed, bias, values);
        for block in blocks(bias.len(), S::REGISTER_COUNT) {
            let (weights, next_packed) = packed.split_at(block * taps);
            let (block_bias, next_bias) = bias.split_at(block);
            let (maps, next_values) = values.split_at_mut(block * map);
            match block {
                6 => self.channels::<S, 6>(simd, image, weights, block_bias, maps),
                5 => self.channels::<S, 5>(simd, image, weights, block_bias, maps),
                4 => self.channels::<S, 4>(simd, image, weights, block_bias, maps),
                3 => self.channels::<S, 3>(simd, image, weights, block_bias, maps),
                2 => self.channels::<S, 2>(simd, image, weights, block_bias, maps),
                _ => self.channels::<S, 1>(simd, image, weights, block_bias, maps),
            }
            (packed, bias, values) = (next_packed, next_bias, next_values);
        }
    }

    /// [`convolve`](Self::convolve) for one block of `O` channels.
    #[inline(always)]
    fn channels<S: Simd, const O: usize>(
        &self,
        simd: S,
        image: &[f32],
        weights: &[f32],
        bias: &[f32],
        values: &mut [f32],
    ) {
        let (weights, _) = weights.as_chunks::<O>();
        let Some(bias) = bias.first_chunk::<O>() else {
            return;
        };
        let group = 4 * S::F32_LANES;
        let map = self.rows * self.vectors * group;
        for row in 0..self.rows {
            for vector in 0..self.vectors {
                let start = 2 * row * self.pitch + vector * S::F32_LANES;
                let Some(sums) = self.tile::<S, O>(simd, image, weights, bias, start) else {
                    return;
                };
                let mut at = (row * self.vectors + vector) * group;
                for sums in sums {
                    let to = values.get_mut(at..at + group).unwrap_or_default();
                    for (to, sum) in S::as_mut_simd_f32s(to).0.iter_mut().zip(sums) {
                        *to = sum;
                    }
                    at += map;
                }
            }
        }
    }

    /// The four values of one vector of windows, of `O` channels: the sums stay in registers.
    #[inline(always)]
    fn tile<S: Simd, const O: usize>(
        &self,
        simd: S,
        image: &[f32],
        weights: &[[f32; O]],
        bias: &[f32; O],
        start: usize,
    ) -> Option<[[S::f32s; 4]; O]> {
        let mut sums = bias.map(|bias| [simd.splat_f32s(bias); 4]);
        let per_channel = weights.chunks_exact(self.offsets.len());
        for (halves, weights) in image.chunks_exact(2 * self.half).zip(per_channel) {
            let upper = halves.get(start..)?;
            let lower = halves.get(start + self.pitch..)?;
            for (&[left, right], weights) in self.offsets.iter().zip(weights) {
                let windows = [
                    load::<S>(upper, left)?,
                    load::<S>(upper, right)?,
                    load::<S>(lower, left)?,
                    load::<S>(lower, right)?,
                ];
                for (sums, &weight) in sums.iter_mut().zip(weights) {
                    let weight = simd.splat_f32s(weight);
                    for (sum, window) in sums.iter_mut().zip(windows) {
                        *sum = simd.mul_add_e_f32s(weight, window, *sum);
                    }
                }
            }
        }
        Some(sums)
    }

    /// Values of the sums of [`add_weight_gradient`](Self::add_weight_gradient).
    pub(crate) fn sums_len(&self) -> usize {
        self.shape.out_channels * self.shape.in_channels * self.offsets.len() * self.lanes
    }

    /// Adds, lane by lane, to the weights' gradient `[out, in, row, column, lane]`, from the gradients of
    /// the values before the pooling, which must be zero in lanes beyond a row's end.
    #[inline(always)]
    pub(crate) fn add_weight_gradient<S: Simd>(
        &self,
        simd: S,
        image: &[f32],
        gradients: &[f32],
        sums: &mut [f32],
    ) {
        let Shape {
            in_channels,
            out_channels,
            kernel_size,
            ..
        } = self.shape;
        // Twenty sums to a tile, twelve on machines with sixteen registers.
        let (most_channels, most_taps) = match S::REGISTER_COUNT {
            32.. => (4, 5),
            _ => (2, 5),
        };
        for channels in parts(out_channels, most_channels) {
            for in_channel in 0..in_channels {
                for row in 0..kernel_size {
                    for taps in parts(kernel_size, most_taps) {
                        let tile = Tile {
                            in_channel,
                            out_channel: channels.start,
                            row,
                            column: taps.start,
                        };
                        let operands = (image, gradients, &mut *sums);
                        match (channels.len(), taps.len()) {
                            (4, 5) => self.gather::<S, 4, 5>(simd, tile, operands),
                            (4, 4) => self.gather::<S, 4, 4>(simd, tile, operands),
                            (4, 3) => self.gather::<S, 4, 3>(simd, tile, operands),
                            (4, 2) => self.gather::<S, 4, 2>(simd, tile, operands),
                            (4, _) => self.gather::<S, 4, 1>(simd, tile, operands),
                            (3, 5) => self.gather::<S, 3, 5>(simd, tile, operands),
                            (3, 4) => self.gather::<S, 3, 4>(simd, tile, operands),
                            (3, 3) => self.gather::<S, 3, 3>(simd, tile, operands),
                            (3, 2) => self.gather::<S, 3, 2>(simd, tile, operands),
                            (3, _) => self.gather::<S, 3, 1>(simd, tile, operands),
                            (2, 5) => self.gather::<S, 2, 5>(simd, tile, operands),
                            (2, 4) => self.gather::<S, 2, 4>(simd, tile, operands),
                            (2, 3) => self.gather::<S, 2, 3>(simd, tile, operands),
                            (2, 2) => self.gather::<S, 2, 2>(simd, tile, operands),
                            (2, _) => self.gather::<S, 2, 1>(simd, tile, operands),
                            (_, 5) => self.gather::<S, 1, 5>(simd, tile, operands),
                            (_, 4) => self.gather::<S, 1, 4>(simd, tile, operands),
                            (_, 3) => self.gather::<S, 1, 3>(simd, tile, operands),
                            (_, 2) => self.gather::<S, 1, 2>(simd, tile, operands),
                            (_, _) => self.gather::<S, 1, 1>(simd, tile, operands),
                        }
                    }
                }
            }
        }
    }

    /// The gradients of `O` output channels at `K` neighbouring weights of a kernel's row.
    #[inline(always)]
    fn gather<S: Simd, const O: usize, const K: usize>(
        &self,
        simd: S,
        tile: Tile,
        (image, gradients, to): (&[f32], &[f32], &mut [f32]),
    ) {
        let lanes = S::F32_LANES;
        let map = self.rows * self.vectors * 4 * lanes;
        let k = self.shape.kernel_size;
        let per_map = k * k * lanes;
        let tap = tile.row * k + tile.column;
        let Some(halves) = image.get(tile.in_channel * 2 * self.half..) else {
            return;
        };
        let Some(offsets) = self.offsets.get(tap..).and_then(<[_]>::first_chunk::<K>) else {
            return;
        };
        let mut sums = [[simd.splat_f32s(0.0); K]; O];
        for row in 0..self.rows {
            for vector in 0..self.vectors {
                let group = (row * self.vectors + vector) * 4 * lanes;
                for lower in 0..2 {
                    let start = (2 * row + lower) * self.pitch + vector * lanes;
                    let mut left = [simd.splat_f32s(0.0); O];
                    let mut right = left;
                    let mut at = tile.out_channel * map + group + 2 * lower * lanes;
                    for (left, right) in left.iter_mut().zip(&mut right) {
                        let (Some(first), Some(second)) =
                            (load::<S>(gradients, at), load::<S>(gradients, at + lanes))
                        else {
                            return;
                        };
                        (*left, *right) = (first, second);
                        at += map;
                    }
                    let Some(halves) = halves.get(start..) else {
                        return;
                    };
                    for (k, &[at_left, at_right]) in offsets.iter().enumerate() {
                        let (Some(first), Some(second)) =
                            (load::<S>(halves, at_left), load::<S>(halves, at_right))
                        else {
                            return;
                        };
                        for (sums, (&left, &right)) in sums.iter_mut().zip(left.iter().zip(&right)) {
                            if let Some(sum) = sums.get_mut(k) {
                                *sum = simd.mul_add_e_f32s(left, first, *sum);
                                *sum = simd.mul_add_e_f32s(right, second, *sum);
                            }
                        }
                    }
                }
            }
        }
        let mut at = (tile.out_channel * self.shape.in_channels + tile.in_channel) * per_map;
        at += tap * lanes;
        for sums in sums {
            let to = to.get_mut(at..).unwrap_or_default();
            for (to, sum) in S::as_mut_simd_f32s(to).0.iter_mut().zip(sums) {
                *to = simd.add_f32s(*to, sum);
            }
            at += self.shape.in_channels * per_map;
        }
    }
}

/// A part of the weights.
#[derive(Clone, Copy)]
struct Tile {
    in_channel: usize,
    out_channel: usize,
    row: usize,
    column: usize,
}

/// Splits `count` into the fewest parts of at most `most`, as even as can be.
fn parts(count: usize, most: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let parts = count.div_ceil(most);
    (0..parts).map(move |part| part * count / parts..(part + 1) * count / parts)
}

/// Splits output channels into blocks whose sums fill the registers.
fn blocks(channels: usize, registers: usize) -> impl Iterator<Item = usize> {
    let most = match registers {
        32.. => 6,
        _ => 2,
    };
    parts(channels, most).map(|part| part.len())
}

#[inline(always)]
fn load<S: Simd>(values: &[f32], at: usize) -> Option<S::f32s> {
    let vector = values.get(at..at + S::F32_LANES)?;
    S::as_simd_f32s(vector).0.first().copied()
}
