//! A convolution with output channels side by side in a vector.

use pulp::Simd;

use crate::aligned::Aligned;
use crate::geometry::Geometry;

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
            stride: geometry.stride,
            plane: geometry.in_plane,
            offsets: geometry.offsets.clone(),
        }
    }

    /// Vector operations for each weight of a kernel.
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
        let mut places = packed.iter_mut();
        let mut first = 0;
        for block in blocks(self.vectors) {
            let channels = first * self.lanes..(first + block) * self.lanes;
            for tap in 0..taps {
                for (channel, place) in channels.clone().zip(&mut places) {
                    if channel < self.out_channels {
                        let weight = weight.get(channel * taps + tap);
                        *place = weight.copied().unwrap_or_default();
                    }
                }
            }
            first += block;
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
        // Sums, four to a window and vector, fill about three quarters of the registers.
        let most = (S::REGISTER_COUNT * 3 / 16 / V).clamp(1, 6);
        let [rows, columns] = self.pooled;
        let tiles = columns.div_ceil(most);
        for row in 0..rows {
            for tile in 0..tiles {
                let windows = tile * columns / tiles..(tile + 1) * columns / tiles;
                let at = 2 * row * self.stride + 2 * windows.start;
                let to = ((row * columns + windows.start) * self.vectors + first) * 4;
                let to = values.get_mut(to * S::F32_LANES..).unwrap_or_default();
                match windows.len() {
                    6 => self.tile::<S, V, 12>(simd, at, operands, to),
                    5 => self.tile::<S, V, 10>(simd, at, operands, to),
                    4 => self.tile::<S, V, 8>(simd, at, operands, to),
                    3 => self.tile::<S, V, 6>(simd, at, operands, to),
                    2 => self.tile::<S, V, 4>(simd, at, operands, to),
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

/// Splits vectors into blocks of at most three, which leave room for the sums of a window or two.
fn blocks(vectors: usize) -> impl Iterator<Item = usize> {
    let parts = vectors.div_ceil(3);
    (0..parts).map(move |part| (part + 1) * vectors / parts - part * vectors / parts)
}
