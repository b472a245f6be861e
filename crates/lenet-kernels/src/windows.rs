//! A convolution with neighbouring pooling windows side by side in a vector.
//!
//! The padded image is parted into four planes: even and odd columns, and of these even and odd rows. So
//! the upper left values of neighbouring windows need neighbouring inputs, at whatever weight of a kernel,
//! and so do the other three: a window's four values lie in four vectors at one lane, and pooling moves
//! nothing across. Rows of windows are as long as those of a plane, so that vectors run across their ends;
//! what comes out between two rows belongs to no window.

use std::ops::Range;

use pulp::Simd;

use crate::aligned::Aligned;
use crate::channels::parts;
use crate::epilogue::Epilogue;
use crate::geometry::{Geometry, LANES, Shape};
use crate::level::{Vectors, for_tile, has_many_registers};
use crate::patches::GradientPlaces;

/// Where everything lies.
#[derive(Clone, Debug)]
pub(crate) struct Windows {
    shape: Shape,
    lanes: usize,
    /// Rows and columns of windows.
    pooled: [usize; 2],
    /// Columns of a plane, and how far apart rows of windows lie.
    stride: usize,
    /// Vectors to all windows of a map, and what lies between their rows.
    vectors: usize,
    /// Output channels whose gradients lie together.
    block: usize,
    /// Values of a plane.
    plane: usize,
    /// For each of a window's values: where each weight of a kernel reads its input.
    offsets: [Vec<usize>; 4],
}

impl Windows {
    pub(crate) fn new(geometry: &Geometry, vectors: Vectors) -> Self {
        let Vectors { lanes, registers } = vectors;
        let shape = geometry.shape;
        let [rows, columns] = geometry.pooled;
        let k = shape.kernel_size;
        let stride = columns + k / 2;
        let windows = (rows - 1) * stride + columns.next_multiple_of(lanes);
        // As many values more as a vector may reach beyond the last.
        let plane = ((rows + k.div_ceil(2)) * stride + 2 * LANES).next_multiple_of(LANES);
        let at = |row: usize, column: usize| {
            (column % 2 * 2 + row % 2) * plane + row / 2 * stride + column / 2
        };
        Self {
            offsets: [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(lower, right)| {
                let taps = (0..k).flat_map(|y| (0..k).map(move |x| (y + lower, x + right)));
                taps.map(|(row, column)| at(row, column)).collect()
            }),
            shape,
            lanes,
            pooled: geometry.pooled,
            stride,
            vectors: windows.div_ceil(lanes),
            block: most_channels(registers),
            plane,
        }
    }

    /// Vector operations for each weight of a kernel and value of a window.
    pub(crate) fn cost(&self) -> usize {
        self.shape.out_channels * self.vectors
    }

    /// Values of the planes of one input channel.
    fn channel_len(&self) -> usize {
        4 * self.plane
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

    /// The vectors of a map's windows, row by row: where each begins among the windows of a map without
    /// gaps and with them, and how many windows of its row are left.
    pub(crate) fn row_vectors(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        let [rows, columns] = self.pooled;
        (0..rows).flat_map(move |row| {
            let vectors = (0..columns).step_by(self.lanes);
            vectors.map(move |column| {
                let start = row * columns + column;
                (start, row * self.stride + column, columns - column)
            })
        })
    }

    /// Copies maps into planes, whose borders must be zero already.
    #[inline(always)]
    pub(crate) fn split(&self, maps: &[f32], image: &mut [f32]) {
        let Shape {
            height,
            width,
            padding,
            kernel_size,
            ..
        } = self.shape;
        // An odd last row or column that no window reads is left out.
        let [rows, columns] = self.pooled.map(|size| 2 * size + kernel_size - 1 - padding);
        let maps = maps.chunks_exact(height * width);
        for (map, planes) in maps.zip(image.chunks_exact_mut(self.channel_len())) {
            let (even, odd) = planes.split_at_mut(2 * self.plane);
            for (row, values) in (padding..).zip(map.chunks_exact(width)).take(rows) {
                let start = row % 2 * self.plane + row / 2 * self.stride;
                let values = values.get(..columns).unwrap_or(values);
                let even = even.get_mut(start + padding.div_ceil(2)..);
                let odd = odd.get_mut(start + padding / 2..);
                let (even, odd) = (even.unwrap_or_default(), odd.unwrap_or_default());
                // The map's first column is the padded image's column number `padding`.
                match padding % 2 {
                    0 => separate(values, even, odd),
                    _ => separate(values, odd, even),
                }
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

    /// Computes the values before the pooling, in the order `[out channel, vector]`.
    #[inline(always)]
    pub(crate) fn convolve<S: Simd>(
        &self,
        simd: S,
        image: &[f32],
        packed: &[f32],
        bias: &[f32],
        epilogue: &mut impl Epilogue<S>,
    ) {
        let taps = self.shape.in_channels * self.taps();
        let (mut packed, mut bias) = (packed, bias);
        let mut first = 0;
        for block in blocks(bias.len(), S::REGISTER_COUNT) {
            let (weights, next_packed) = packed.split_at(block * taps);
            let (block_bias, next_bias) = bias.split_at(block);
            let operands = (image, weights, block_bias);
            // Larger blocks than the registers hold are not compiled.
            match block {
                6 if const { has_many_registers::<S>() } => {
                    self.channels::<S, 6>(simd, first, operands, epilogue);
                }
                5 if const { has_many_registers::<S>() } => {
                    self.channels::<S, 5>(simd, first, operands, epilogue);
                }
                4 if const { has_many_registers::<S>() } => {
                    self.channels::<S, 4>(simd, first, operands, epilogue);
                }
                3 if const { has_many_registers::<S>() } => {
                    self.channels::<S, 3>(simd, first, operands, epilogue);
                }
                2 => self.channels::<S, 2>(simd, first, operands, epilogue),
                1 => self.channels::<S, 1>(simd, first, operands, epilogue),
                block => unreachable!("no block has {block} channels"),
            }
            (packed, bias) = (next_packed, next_bias);
            first += block;
        }
    }

    /// [`convolve`](Self::convolve) for the block of `O` channels from `first`.
    #[inline(always)]
    fn channels<S: Simd, const O: usize>(
        &self,
        simd: S,
        first: usize,
        (image, weights, bias): (&[f32], &[f32], &[f32]),
        epilogue: &mut impl Epilogue<S>,
    ) {
        let (weights, _) = weights.as_chunks::<O>();
        let Some(bias) = bias.first_chunk::<O>() else {
            return;
        };
        for vector in 0..self.vectors {
            let start = vector * S::F32_LANES;
            let Some(sums) = self.tile::<S, O>(simd, image, weights, bias, start) else {
                return;
            };
            let mut index = first * self.vectors + vector;
            for &values in &sums {
                epilogue.finish(simd, index, values);
                index += self.vectors;
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

    /// Blocks of output channels: where the gradients of each lie, and its channels.
    pub(crate) fn gradient_blocks(&self) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        let len = self.vectors * 4 * self.block * self.lanes;
        let blocks = parts(self.shape.out_channels, self.block).enumerate();
        blocks.map(move |(index, channels)| (index * len..(index + 1) * len, channels))
    }

    /// Values of the gradients of all blocks.
    pub(crate) fn gradients_len(&self) -> usize {
        let last = self.gradient_blocks().last();
        last.map_or(0, |(gradients, _)| gradients.end)
    }

    /// Vectors of a block's gradients at one place of the windows.
    pub(crate) fn place_len(&self) -> usize {
        self.block
    }

    /// Where [`add_weight_gradient`](Self::add_weight_gradient) finds gradients.
    pub(crate) fn gradient_places(&self) -> GradientPlaces {
        let [rows, columns] = self.pooled;
        let place_len = self.block * self.lanes;
        let slots =
            (0..rows).flat_map(|row| (0..columns).map(move |column| row * self.stride + column));
        let blocks = self.gradient_blocks();
        let channels = blocks.flat_map(|(gradients, channels)| {
            let starts = gradients.step_by(self.lanes);
            channels.zip(starts).map(|(_, start)| start)
        });
        GradientPlaces {
            windows: slots
                .map(|slot| slot / self.lanes * 4 * place_len + slot % self.lanes)
                .collect(),
            channels: channels.collect(),
            place_len,
        }
    }

    /// Values of lane by lane sums of the gradients of weights and of biases.
    pub(crate) fn sums_len(&self) -> [usize; 2] {
        let biases = self.shape.out_channels * self.lanes;
        [biases * self.shape.in_channels * self.taps(), biases]
    }

    /// Adds, lane by lane, to the weights' gradient `[out, in, row, column, lane]`, from the gradients of
    /// the values before the pooling of one block of channels, `[vector, place in the window, out channel,
    /// lane]`, which must be zero in lanes of no window.
    #[inline(always)]
    pub(crate) fn add_weight_gradient<S: Simd>(
        &self,
        simd: S,
        image: &[f32],
        (channels, gradients): (Range<usize>, &[f32]),
        sums: &mut [f32],
    ) {
        let most_taps = if const { has_many_registers::<S>() } {
            4
        } else {
            5
        };
        for in_channel in 0..self.shape.in_channels {
            for taps in parts(self.taps(), most_taps) {
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
        let image = image.get(tile.in_channel * self.channel_len()..);
        let image = image.unwrap_or_default();
        let gradients = S::as_simd_f32s(gradients).0;
        let mut sums = [[simd.splat_f32s(0.0); O]; K];
        for (place, offsets) in self.offsets.iter().enumerate() {
            let empty: &[S::f32s] = &[];
            let mut inputs = [empty; K];
            let offsets = offsets.get(tile.tap..).unwrap_or_default();
            for (input, &offset) in inputs.iter_mut().zip(offsets) {
                let Some(values) = image.get(offset..) else {
                    return;
                };
                let Some(values) = S::as_simd_f32s(values).0.get(..vectors) else {
                    return;
                };
                *input = values;
            }
            if inputs.iter().any(|input| input.len() != vectors) {
                return;
            }
            let mut at = place * self.block;
            for vector in 0..vectors {
                let gradients = gradients.get(at..).and_then(<[S::f32s]>::first_chunk::<O>);
                let Some(gradients) = gradients else { return };
                at += 4 * self.block;
                for (sums, input) in sums.iter_mut().zip(&inputs) {
                    let input = input[vector];
                    for (sum, &gradient) in sums.iter_mut().zip(gradients) {
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
    // Four pairs at a time become shuffles.
    let (pairs, last) = row.as_chunks::<2>();
    let (fours, rest) = pairs.as_chunks::<4>();
    let (first_fours, _) = first.as_chunks_mut::<4>();
    let (second_fours, _) = second.as_chunks_mut::<4>();
    let places = first_fours.iter_mut().zip(second_fours);
    for (&[[a, b], [c, d], [e, f], [g, h]], (first, second)) in fours.iter().zip(places) {
        *first = [a, c, e, g];
        *second = [b, d, f, h];
    }
    let done = 4 * fours.len();
    let (Some(first), Some(second)) = (first.get_mut(done..), second.get_mut(done..)) else {
        return;
    };
    for (&[a, b], (first, second)) in rest.iter().zip(first.iter_mut().zip(second)) {
        *first = a;
        *second = b;
    }
    if let (Some(&value), Some(to)) = (last.first(), first.get_mut(rest.len())) {
        *to = value;
    }
}

/// Splits output channels into blocks whose sums fill the registers.
fn blocks(channels: usize, registers: usize) -> impl Iterator<Item = usize> {
    parts(channels, most_channels(registers)).map(|part| part.len())
}

/// Output channels whose sums of four fill the registers.
fn most_channels(registers: usize) -> usize {
    match registers {
        32.. => 6,
        _ => 2,
    }
}

#[inline(always)]
fn load<S: Simd>(values: &[f32], at: usize) -> Option<S::f32s> {
    let vector = values.get(at..at + S::F32_LANES)?;
    S::as_simd_f32s(vector).0.first().copied()
}
