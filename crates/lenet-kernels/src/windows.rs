//! A convolution with neighbouring pooling windows side by side in a vector.
//!
//! Every second column of the padded image goes into a plane of its own, once for each column at which
//! a kernel may read, and there first the even rows, then the odd ones. So the upper left values of
//! neighbouring windows need neighbouring inputs, across the ends of rows too, and so do the other
//! three: a window's four values lie in four vectors at one lane, and pooling moves nothing across.

use pulp::Simd;

use crate::aligned::Aligned;
use crate::channels::parts;
use crate::geometry::{Geometry, LANES, Shape};

/// Where everything lies. Windows are numbered row by row.
#[derive(Clone, Debug)]
pub(crate) struct Windows {
    shape: Shape,
    lanes: usize,
    /// Rows and columns of windows.
    pooled: [usize; 2],
    /// Vectors to all windows of a map.
    vectors: usize,
    /// Values from the even rows of a plane to the odd ones.
    half: usize,
    /// For each of a window's values: where each weight of a kernel reads its input.
    offsets: [Vec<usize>; 4],
}

impl Windows {
    pub(crate) fn new(geometry: &Geometry, lanes: usize) -> Self {
        let shape = geometry.shape;
        let [rows, columns] = geometry.pooled;
        let k = shape.kernel_size;
        // As many values more as a vector may reach beyond the last.
        let half = (rows + k.div_ceil(2)) * columns + 2 * LANES;
        let at = |row: usize, column: usize| (2 * column + row % 2) * half + row / 2 * columns;
        Self {
            offsets: [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(lower, right)| {
                let taps = (0..k).flat_map(|y| (0..k).map(move |x| (y + lower, x + right)));
                taps.map(|(row, column)| at(row, column)).collect()
            }),
            shape,
            lanes,
            pooled: geometry.pooled,
            vectors: (rows * columns).div_ceil(lanes),
            half,
        }
    }

    /// Vector operations for each weight of a kernel and value of a window.
    pub(crate) fn cost(&self) -> usize {
        self.shape.out_channels * self.vectors
    }

    /// Values of the planes of one input channel.
    fn channel_len(&self) -> usize {
        (self.shape.kernel_size + 1) * 2 * self.half
    }

    /// Values of all planes.
    pub(crate) fn image_len(&self) -> usize {
        self.shape.in_channels * self.channel_len()
    }

    /// Values before the pooling, filled up to whole vectors.
    pub(crate) fn values_len(&self) -> usize {
        self.cost() * 4 * self.lanes
    }

    /// Vectors to all windows of a map.
    pub(crate) fn vectors(&self) -> usize {
        self.vectors
    }

    /// Values of a buffer for [`split`](Self::split): the even columns of each row, then its odd ones.
    pub(crate) fn rows_len(&self) -> usize {
        self.rows() * 2 * self.half_row()
    }

    /// Rows of the padded image that windows read.
    fn rows(&self) -> usize {
        let [rows, _] = self.pooled;
        2 * rows + self.shape.kernel_size - 1
    }

    fn half_row(&self) -> usize {
        let [_, columns] = self.pooled;
        columns + self.shape.kernel_size.div_ceil(2) + LANES
    }

    /// Copies maps into planes. `buffer` is zero where no value of a map comes.
    #[inline(always)]
    pub(crate) fn split(&self, maps: &[f32], image: &mut [f32], buffer: &mut [f32]) {
        let Shape { height, width, .. } = self.shape;
        let maps = maps.chunks_exact(height * width);
        for (map, planes) in maps.zip(image.chunks_exact_mut(self.channel_len())) {
            // All rows before the first plane: what has just been written in small pieces is not read as
            // whole vectors at once, which would wait for it.
            self.split_rows(map, buffer);
            for (column, plane) in planes.chunks_exact_mut(2 * self.half).enumerate() {
                self.fill_plane(column, buffer, plane);
            }
        }
    }

    /// Parts the rows of a map into even and odd columns.
    #[inline(always)]
    fn split_rows(&self, map: &[f32], buffer: &mut [f32]) {
        let Shape { width, padding, .. } = self.shape;
        let rows = buffer.chunks_exact_mut(2 * self.half_row()).skip(padding);
        for (row, values) in rows.zip(map.chunks_exact(width)) {
            let (even, odd) = row.split_at_mut(self.half_row());
            let even = even.get_mut(padding.div_ceil(2)..).unwrap_or_default();
            let odd = odd.get_mut(padding / 2..).unwrap_or_default();
            // The map's first column is the padded image's column number `padding`.
            match padding % 2 {
                0 => separate(values, even, odd),
                _ => separate(values, odd, even),
            }
        }
    }

    /// Copies every second column from `column` on.
    #[inline(always)]
    fn fill_plane(&self, column: usize, buffer: &[f32], plane: &mut [f32]) {
        let [_, columns] = self.pooled;
        let first = column % 2 * self.half_row() + column / 2;
        let (even, odd) = plane.split_at_mut(self.half);
        let starts = (0..self.half).step_by(columns);
        let rows = buffer.chunks_exact(2 * self.half_row());
        for (start, (row, number)) in starts.flat_map(|start| [start; 2]).zip(rows.zip(0..)) {
            let half = if number % 2 == 0 {
                &mut *even
            } else {
                &mut *odd
            };
            let from = row.get(first..).unwrap_or_default();
            let to = half.get_mut(start..).unwrap_or_default();
            // Whole vectors: what reaches beyond a row's end is overwritten by the next.
            let vectors = columns.div_ceil(LANES);
            let (to, _) = to.as_chunks_mut::<LANES>();
            let (from, _) = from.as_chunks::<LANES>();
            for (to, from) in to.iter_mut().zip(from).take(vectors) {
                *to = *from;
            }
        }
    }

    /// Weights in the order in which [`convolve`](Self::convolve) meets them: for each block of output
    /// channels, each input channel and each offset, those of the block's channels side by side.
    pub(crate) fn pack(&self, weight: &[f32], registers: usize) -> Aligned {
        let taps = self.shape.in_channels * self.taps();
        let mut packed = Aligned::zeros(self.shape.out_channels * taps);
        let mut places = packed.iter_mut();
        let mut first = 0;
        for block in blocks(self.shape.out_channels, registers) {
            for tap in 0..taps {
                for (channel, place) in (first..first + block).zip(&mut places) {
                    let weight = weight.get(channel * taps + tap);
                    *place = weight.copied().unwrap_or_default();
                }
            }
            first += block;
        }
        packed
    }

    /// Weights of a kernel.
    fn taps(&self) -> usize {
        self.shape.kernel_size * self.shape.kernel_size
    }

    /// Computes the values before the pooling: `[out channel, vector, place in the window, lane]`.
    #[inline(always)]
    pub(crate) fn convolve<S: Simd>(
        &self,
        simd: S,
        image: &[f32],
        packed: &[f32],
        bias: &[f32],
        values: &mut [f32],
    ) {
        let taps = self.shape.in_channels * self.taps();
        let map = self.vectors * 4 * S::F32_LANES;
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
        for vector in 0..self.vectors {
            let start = vector * S::F32_LANES;
            let Some(sums) = self.tile::<S, O>(simd, image, weights, bias, start) else {
                return;
            };
            let mut at = vector * group;
            for sums in sums {
                let to = values.get_mut(at..at + group).unwrap_or_default();
                for (to, sum) in S::as_mut_simd_f32s(to).0.iter_mut().zip(sums) {
                    *to = sum;
                }
                at += self.vectors * group;
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
        // Closures, as in `array::map`, would not be compiled for the instruction set.
        let mut sums = [[simd.splat_f32s(0.0); 4]; O];
        for (sums, &bias) in sums.iter_mut().zip(bias) {
            *sums = [simd.splat_f32s(bias); 4];
        }
        let [a, b, c, d] = &self.offsets;
        let per_channel = weights.chunks_exact(self.taps());
        for (planes, weights) in image.chunks_exact(self.channel_len()).zip(per_channel) {
            let planes = planes.get(start..)?;
            let offsets = a.iter().zip(b).zip(c.iter().zip(d));
            for (((&a, &b), (&c, &d)), weights) in offsets.zip(weights) {
                let inputs = [
                    load::<S>(planes, a)?,
                    load::<S>(planes, b)?,
                    load::<S>(planes, c)?,
                    load::<S>(planes, d)?,
                ];
                for (sums, &weight) in sums.iter_mut().zip(weights) {
                    let weight = simd.splat_f32s(weight);
                    for (sum, input) in sums.iter_mut().zip(inputs) {
                        *sum = simd.mul_add_e_f32s(weight, input, *sum);
                    }
                }
            }
        }
        Some(sums)
    }

    /// Where, from a window's place, the value of each output channel lies, in gradients.
    pub(crate) fn channel_offsets(&self) -> Vec<usize> {
        let map = 4 * self.vectors * self.lanes;
        (0..self.shape.out_channels)
            .map(|channel| channel * map)
            .collect()
    }

    /// Values of lane by lane sums of the gradients of weights and of biases.
    pub(crate) fn sums_len(&self) -> [usize; 2] {
        let biases = self.shape.out_channels * self.lanes;
        [biases * self.shape.in_channels * self.taps(), biases]
    }

    /// Adds, lane by lane, to the weights' gradient `[out, in, row, column, lane]`, from the gradients of
    /// the values before the pooling `[out channel, place in the window, vector, lane]`, which must be
    /// zero in lanes beyond the last window.
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
            ..
        } = self.shape;
        let (most_channels, most_taps) = match S::REGISTER_COUNT {
            32.. => (4, 5),
            _ => (2, 5),
        };
        // A square splits into parts of 5, 4 or, for 1×1, 1.
        for channels in parts(out_channels, most_channels) {
            for in_channel in 0..in_channels {
                for taps in parts(self.taps(), most_taps) {
                    let tile = Tile {
                        in_channel,
                        out_channel: channels.start,
                        tap: taps.start,
                    };
                    let operands = (image, gradients, &mut *sums);
                    match (channels.len(), taps.len()) {
                        (4, 5) => self.gather::<S, 4, 5>(simd, tile, operands),
                        (4, 4) => self.gather::<S, 4, 4>(simd, tile, operands),
                        (4, _) => self.gather::<S, 4, 1>(simd, tile, operands),
                        (3, 5) => self.gather::<S, 3, 5>(simd, tile, operands),
                        (3, 4) => self.gather::<S, 3, 4>(simd, tile, operands),
                        (3, _) => self.gather::<S, 3, 1>(simd, tile, operands),
                        (2, 5) => self.gather::<S, 2, 5>(simd, tile, operands),
                        (2, 4) => self.gather::<S, 2, 4>(simd, tile, operands),
                        (2, _) => self.gather::<S, 2, 1>(simd, tile, operands),
                        (_, 5) => self.gather::<S, 1, 5>(simd, tile, operands),
                        (_, 4) => self.gather::<S, 1, 4>(simd, tile, operands),
                        (_, _) => self.gather::<S, 1, 1>(simd, tile, operands),
                    }
                }
            }
        }
    }

    /// The gradients of `O` output channels at `K` weights of a kernel: the sums stay in registers.
    #[expect(
        clippy::indexing_slicing,
        reason = "inputs and gradients are cut to one length before the loop over it"
    )]
    #[inline(always)]
    fn gather<S: Simd, const O: usize, const K: usize>(
        &self,
        simd: S,
        tile: Tile,
        (image, gradients, to): (&[f32], &[f32], &mut [f32]),
    ) {
        let vectors = self.vectors;
        let plane = vectors * S::F32_LANES;
        let start = tile.in_channel * self.channel_len();
        let mut sums = [[simd.splat_f32s(0.0); O]; K];
        for (place, offsets) in self.offsets.iter().enumerate() {
            let empty: &[S::f32s] = &[];
            let mut inputs = [empty; K];
            for (input, &offset) in inputs.iter_mut().zip(offsets.iter().skip(tile.tap)) {
                let values = image.get(start + offset..).unwrap_or_default();
                *input = S::as_simd_f32s(values).0.get(..vectors).unwrap_or_default();
            }
            let mut rows = [empty; O];
            let mut at = (tile.out_channel * 4 + place) * plane;
            for row in &mut rows {
                let values = gradients.get(at..).unwrap_or_default();
                *row = S::as_simd_f32s(values).0.get(..vectors).unwrap_or_default();
                at += 4 * plane;
            }
            let all = inputs.iter().chain(&rows);
            if all.into_iter().any(|slice| slice.len() != vectors) {
                return;
            }
            for vector in 0..vectors {
                let mut gradients = [simd.splat_f32s(0.0); O];
                for (gradient, row) in gradients.iter_mut().zip(&rows) {
                    *gradient = row[vector];
                }
                for (sums, input) in sums.iter_mut().zip(&inputs) {
                    let input = input[vector];
                    for (sum, gradient) in sums.iter_mut().zip(gradients) {
                        *sum = simd.mul_add_e_f32s(gradient, input, *sum);
                    }
                }
            }
        }
        let per_map = self.taps() * S::F32_LANES;
        let per_out = self.shape.in_channels * per_map;
        let mut at =
            tile.out_channel * per_out + tile.in_channel * per_map + tile.tap * S::F32_LANES;
        for sums in sums {
            let mut to = to.get_mut(at..).unwrap_or_default().chunks_mut(per_out);
            for sum in sums {
                let to = to.next().unwrap_or_default();
                if let Some(to) = S::as_mut_simd_f32s(to).0.first_mut() {
                    *to = simd.add_f32s(*to, sum);
                }
            }
            at += S::F32_LANES;
        }
    }
}

/// A part of the weights.
#[derive(Clone, Copy)]
struct Tile {
    in_channel: usize,
    out_channel: usize,
    tap: usize,
}

/// Puts the values of a row in turn into `first` and `second`.
#[inline(always)]
fn separate(row: &[f32], first: &mut [f32], second: &mut [f32]) {
    // Eight at a time become shuffles.
    let (eights, rest) = row.as_chunks::<8>();
    let (first_fours, _) = first.as_chunks_mut::<4>();
    let (second_fours, _) = second.as_chunks_mut::<4>();
    let fours = first_fours.iter_mut().zip(second_fours);
    for (&[a, b, c, d, e, f, g, h], (first, second)) in eights.iter().zip(fours) {
        *first = [a, c, e, g];
        *second = [b, d, f, h];
    }
    let first = first.iter_mut().skip(4 * eights.len());
    let mut second = second.iter_mut().skip(4 * eights.len());
    for (pair, to) in rest.chunks(2).zip(first) {
        if let Some(&value) = pair.first() {
            *to = value;
        }
        if let (Some(&value), Some(to)) = (pair.get(1), second.next()) {
            *to = value;
        }
    }
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
