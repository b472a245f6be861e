//! A convolution with output channels side by side in a vector.

use pulp::Simd;

use crate::aligned::Aligned;
use crate::geometry::Geometry;
use crate::level::{for_tile, has_many_registers};
use crate::patches::GradientPlaces;

/// Where everything lies.
///
/// Values before the pooling are `[window, vector, place in the window, lane]`; vectors hold the output
/// channels, the last one filled up with zeros.
#[derive(Clone, Debug)]
pub(crate) struct Channels {
    lanes: usize,
    /// Vectors to all output channels.
    vectors: usize,
    in_channels: usize,
    out_channels: usize,
    /// Rows and columns of windows.
    pooled: [usize; 2],
    kernel_size: usize,
    /// Columns of the padded input.
    stride: usize,
    /// Values of a map of the padded input.
    plane: usize,
    /// For each weight of a kernel, where in a map its input lies.
    offsets: Vec<usize>,
}

impl Channels {
    pub(crate) fn new(geometry: &Geometry, lanes: usize) -> Self {
        Self {
            lanes,
            vectors: geometry.shape.out_channels.div_ceil(lanes),
            in_channels: geometry.shape.in_channels,
            out_channels: geometry.shape.out_channels,
            pooled: geometry.pooled,
            kernel_size: geometry.shape.kernel_size,
            stride: geometry.stride,
            plane: geometry.in_plane,
            offsets: geometry.offsets.clone(),
        }
    }

    /// Vector operations for each weight of a kernel and value of a window.
    pub(crate) fn cost(&self) -> usize {
        let [rows, columns] = self.pooled;
        self.vectors * rows * columns
    }

    /// Values before the pooling, filled up to whole vectors.
    pub(crate) fn values_len(&self) -> usize {
        self.cost() * 4 * self.lanes
    }

    /// Vectors to all output channels.
    pub(crate) fn vectors(&self) -> usize {
        self.vectors
    }

    /// Weights in the order in which [`convolve`](Self::convolve) meets them: for each block of vectors,
    /// each input channel and each offset, those of the block's channels side by side.
    pub(crate) fn pack(&self, weight: &[f32]) -> Aligned {
        let taps = self.in_channels * self.offsets.len();
        let mut packed = Aligned::zeros(taps * self.vectors * self.lanes);
        let mut rows = weight.chunks_exact(taps);
        let mut first = 0;
        for block in blocks(self.vectors) {
            let width = block * self.lanes;
            for (channel, row) in (0..width).zip(&mut rows) {
                let places = packed.get_mut(first * taps + channel..).unwrap_or_default();
                for (place, &weight) in places.iter_mut().step_by(width).zip(row) {
                    *place = weight;
                }
            }
            first += width;
        }
        packed
    }

    /// Biases, filled up to whole vectors.
    pub(crate) fn pack_bias(&self, bias: &[f32]) -> Aligned {
        let mut packed = Aligned::zeros(self.vectors * self.lanes);
        packed
            .iter_mut()
            .zip(bias)
            .for_each(|(to, &bias)| *to = bias);
        packed
    }

    /// Computes the values before the pooling, from the padded input and what was packed.
    #[inline(always)]
    pub(crate) fn convolve<S: Simd>(
        &self,
        simd: S,
        planes: &[f32],
        packed: &[f32],
        bias: &[f32],
        values: &mut [f32],
    ) {
        let taps = self.in_channels * self.offsets.len();
        let (mut packed, mut bias) = (packed, bias);
        let mut first = 0;
        for block in blocks(self.vectors) {
            let (weights, next_packed) = packed.split_at(block * taps * S::F32_LANES);
            let (block_bias, next_bias) = bias.split_at(block * S::F32_LANES);
            let operands = (planes, weights, block_bias);
            match block {
                3 => self.rows::<S, 3>(simd, first, operands, values),
                2 => self.rows::<S, 2>(simd, first, operands, values),
                _ => self.rows::<S, 1>(simd, first, operands, values),
            }
            (packed, bias) = (next_packed, next_bias);
            first += block;
        }
    }

    /// [`convolve`](Self::convolve) for `V` vectors of output channels from `first`.
    #[inline(always)]
    fn rows<S: Simd, const V: usize>(
        &self,
        simd: S,
        first: usize,
        operands: (&[f32], &[f32], &[f32]),
        values: &mut [f32],
    ) {
        let most = most_windows(S::REGISTER_COUNT, V);
        let [rows, columns] = self.pooled;
        let tiles = columns.div_ceil(most);
        for row in 0..rows {
            for tile in 0..tiles {
                let windows = tile * columns / tiles..(tile + 1) * columns / tiles;
                let at = 2 * row * self.stride + 2 * windows.start;
                let to = ((row * columns + windows.start) * self.vectors + first) * 4;
                let to = values.get_mut(to * S::F32_LANES..).unwrap_or_default();
                // Larger tiles than the registers hold are not compiled. An arm that panics with a message costs
                // a tenth of the speed here.
                debug_assert!((1..=most).contains(&windows.len()), "{windows:?} of {most}");
                match windows.len() {
                    6 if const { most_windows(S::REGISTER_COUNT, V) >= 6 } => {
                        self.tile::<S, V, 12>(simd, at, operands, to);
                    }
                    5 if const { most_windows(S::REGISTER_COUNT, V) >= 5 } => {
                        self.tile::<S, V, 10>(simd, at, operands, to);
                    }
                    4 if const { most_windows(S::REGISTER_COUNT, V) >= 4 } => {
                        self.tile::<S, V, 8>(simd, at, operands, to);
                    }
                    3 if const { most_windows(S::REGISTER_COUNT, V) >= 3 } => {
                        self.tile::<S, V, 6>(simd, at, operands, to);
                    }
                    2 if const { most_windows(S::REGISTER_COUNT, V) >= 2 } => {
                        self.tile::<S, V, 4>(simd, at, operands, to);
                    }
                    _ => self.tile::<S, V, 2>(simd, at, operands, to),
                }
            }
        }
    }

    /// `N` columns of two rows, two columns to a window: the sums stay in registers.
    #[inline(always)]
    fn tile<S: Simd, const V: usize, const N: usize>(
        &self,
        simd: S,
        at: usize,
        (planes, weights, bias): (&[f32], &[f32], &[f32]),
        to: &mut [f32],
    ) {
        let Some(&bias) = S::as_simd_f32s(bias).0.first_chunk::<V>() else {
            return;
        };
        let (weights, _) = S::as_simd_f32s(weights).0.as_chunks::<V>();
        let mut sums = [[bias; N]; 2];
        let per_channel = weights.chunks_exact(self.offsets.len());
        for (plane, weights) in planes.chunks_exact(self.plane).zip(per_channel) {
            let Some(plane) = plane.get(at..) else { return };
            for (&offset, weights) in self.offsets.iter().zip(weights) {
                let (Some(upper), Some(lower)) = (
                    plane.get(offset..).and_then(<[f32]>::first_chunk::<N>),
                    plane
                        .get(offset + self.stride..)
                        .and_then(<[f32]>::first_chunk::<N>),
                ) else {
                    return;
                };
                for (sums, inputs) in sums.iter_mut().zip([upper, lower]) {
                    for (sums, &input) in sums.iter_mut().zip(inputs) {
                        let input = simd.splat_f32s(input);
                        for (sum, &weight) in sums.iter_mut().zip(weights) {
                            *sum = simd.mul_add_e_f32s(weight, input, *sum);
                        }
                    }
                }
            }
        }
        let [upper, lower] = &sums;
        let (upper, _) = upper.as_chunks::<2>();
        let (lower, _) = lower.as_chunks::<2>();
        let mut groups = S::as_mut_simd_f32s(to).0.chunks_mut(4 * self.vectors);
        for (&[a, b], &[c, d]) in upper.iter().zip(lower) {
            let Some(group) = groups.next() else { return };
            let (group, _) = group.as_chunks_mut::<4>();
            for ((((to, a), b), c), d) in group.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *to = [a, b, c, d];
            }
        }
    }
}

impl Channels {
    /// Where [`add_weight_gradient`](Self::add_weight_gradient) finds gradients.
    pub(crate) fn gradient_places(&self) -> GradientPlaces {
        let [rows, columns] = self.pooled;
        let window_len = self.vectors * 4 * self.lanes;
        let at = |channel: usize| channel / self.lanes * 4 * self.lanes + channel % self.lanes;
        GradientPlaces {
            windows: (0..rows * columns)
                .map(|window| window * window_len)
                .collect(),
            channels: (0..self.out_channels).map(at).collect(),
            place_len: self.lanes,
        }
    }

    /// Values of the sums of the gradients of weights and of biases.
    pub(crate) fn sums_len(&self) -> [usize; 2] {
        let biases = self.vectors * self.lanes;
        [biases * self.in_channels * self.offsets.len(), biases]
    }

    /// Adds to the weights' gradient `[vector, in channel, row, column, lane]`, from the gradients of the
    /// values before the pooling.
    #[inline(always)]
    pub(crate) fn add_weight_gradient<S: Simd>(
        &self,
        simd: S,
        planes: &[f32],
        gradients: &[f32],
        sums: &mut [f32],
    ) {
        let k = self.kernel_size;
        let most_rows = if const { has_many_registers::<S>() } {
            5
        } else {
            2
        };
        for vector in 0..self.vectors {
            for (channel, plane) in planes.chunks_exact(self.plane).enumerate() {
                for rows in parts(k, most_rows) {
                    for columns in parts(k, 5) {
                        let first = rows.start * k + columns.start;
                        let at =
                            ((vector * self.in_channels + channel) * k * k + first) * S::F32_LANES;
                        let to = sums.get_mut(at..).unwrap_or_default();
                        let operands = (plane, gradients, vector, first);
                        let shape = (rows.len(), columns.len());
                        for_tile!(
                            (self.gather(simd, operands, to)), shape,
                            many: [(5 5)(5 4)(4 5)(4 4)(4 3)(3 4)(3 3)(2 2)(1 1)],
                            few: [(2 5)(2 4)(2 3)(2 2)(1 5)(1 4)(1 3)(1 1)]
                        );
                    }
                }
            }
        }
    }

    /// The gradients of one vector of output channels at `R` rows and `K` columns of a kernel: the sums
    /// stay in registers.
    #[inline(always)]
    fn gather<S: Simd, const R: usize, const K: usize>(
        &self,
        simd: S,
        (plane, gradients, vector, first): (&[f32], &[f32], usize, usize),
        to: &mut [f32],
    ) {
        let Some(&offset) = self.offsets.get(first) else {
            return;
        };
        let mut sums = [[simd.splat_f32s(0.0); K]; R];
        let [rows, columns] = self.pooled;
        let (groups, _) = S::as_simd_f32s(gradients).0.as_chunks::<4>();
        let mut groups = groups.iter().skip(vector).step_by(self.vectors);
        for row in 0..rows {
            for column in 0..columns {
                let Some(group) = groups.next() else { return };
                let start = 2 * row * self.stride + 2 * column + offset;
                let places = [
                    start,
                    start + 1,
                    start + self.stride,
                    start + self.stride + 1,
                ];
                for (&gradient, start) in group.iter().zip(places) {
                    let mut start = start;
                    for sums in &mut sums {
                        let inputs = plane.get(start..).and_then(<[f32]>::first_chunk::<K>);
                        let Some(inputs) = inputs else { return };
                        for (sum, &input) in sums.iter_mut().zip(inputs) {
                            *sum = simd.mul_add_e_f32s(gradient, simd.splat_f32s(input), *sum);
                        }
                        start += self.stride;
                    }
                }
            }
        }
        let row_len = self.kernel_size * S::F32_LANES;
        for (row, sums) in to.chunks_mut(row_len).zip(sums) {
            for (to, sum) in S::as_mut_simd_f32s(row).0.iter_mut().zip(sums) {
                *to = simd.add_f32s(*to, sum);
            }
        }
    }

    /// The index in the sums of the gradient of a weight, `tap` counting input channels and offsets.
    pub(crate) fn sum_index(&self, channel: usize, tap: usize) -> usize {
        let taps = self.in_channels * self.offsets.len();
        (channel / self.lanes * taps + tap) * self.lanes + channel % self.lanes
    }
}

/// Splits `count` into the fewest parts of at most `most`, as even as can be.
pub(crate) fn parts(count: usize, most: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let parts = count.div_ceil(most);
    (0..parts).map(move |part| part * count / parts..(part + 1) * count / parts)
}

/// Windows whose sums, four to a window and vector, fill about three quarters of the registers; at least
/// one.
const fn most_windows(registers: usize, vectors: usize) -> usize {
    match registers * 3 / 16 / vectors {
        0 => 1,
        windows @ 1..=6 => windows,
        _ => 6,
    }
}

/// Splits vectors into blocks of at most three, which leave room for the sums of a window or two.
fn blocks(vectors: usize) -> impl Iterator<Item = usize> {
    parts(vectors, 3).map(|part| part.len())
}
