//! The gradient of the weights: a tile holds one vector of output channels at a rectangle of taps, and the
//! windows are the inner loop.
//!
//! ```text
//! for vector of output channels, input channel, up to 5×5 taps    // 2×5 where there are 16 registers
//!   sums[5][5] = 0                                                // 25 registers
//!   for window, place
//!     gradient = load
//!     for row and column of taps
//!       sums[row][column] += gradient · splat(input)
//!   add sums to memory
//! ```

use pulp::Simd;

use super::Channels;
use crate::conv::patches::GradientPlaces;
use crate::simd::{chunk, for_tile, parts};

impl Channels {
    /// Where the gradients of the values before the pooling lie.
    pub(in crate::conv) fn gradient_places(&self) -> GradientPlaces {
        let window_len = self.vectors * 4 * self.lanes;
        let windows = (0..self.geometry.map_len()).map(|window| window * window_len);
        let at = |channel: usize| channel / self.lanes * 4 * self.lanes + channel % self.lanes;
        let channels = (0..self.geometry.shape.out_channels).map(at).collect();
        let windows: Vec<_> = windows.collect();
        GradientPlaces::new(&self.geometry, &windows, channels, self.lanes)
    }

    /// Values of the sums of the gradients of weights and of biases.
    pub(in crate::conv) fn sums_len(&self) -> [usize; 2] {
        let biases = self.vectors * self.lanes;
        [biases * self.geometry.fan_in(), biases]
    }

    /// Where the sums hold the gradient of a weight; `tap` counts input channels and their taps.
    pub(in crate::conv) fn sum_index(&self, channel: usize, tap: usize) -> usize {
        (channel / self.lanes * self.geometry.fan_in() + tap) * self.lanes + channel % self.lanes
    }

    /// Adds to the sums of the weights' gradient.
    #[inline(always)]
    pub(in crate::conv) fn add_weight_gradient<S: Simd>(
        &self,
        simd: S,
        image: &[f32],
        gradients: &[f32],
        sums: &mut [f32],
    ) {
        let k = self.geometry.shape.kernel_size;
        let most_rows = if S::REGISTER_COUNT >= 32 { 5 } else { 2 };
        for vector in 0..self.vectors {
            for (channel, plane) in image.chunks_exact(self.plane).enumerate() {
                let channel = vector * self.geometry.shape.in_channels + channel;
                for rows in parts(k, most_rows) {
                    for columns in parts(k, 5) {
                        let first = rows.start * k + columns.start;
                        let to = &mut sums[(channel * k * k + first) * S::F32_LANES..];
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

    /// The gradients of one vector of output channels at `R` rows and `K` columns of taps: the sums stay in
    /// registers.
    #[inline(always)]
    fn gather<S: Simd, const R: usize, const K: usize>(
        &self,
        simd: S,
        (plane, gradients, vector, first): (&[f32], &[f32], usize, usize),
        to: &mut [f32],
    ) {
        let offset = self.offsets[first];
        let mut sums = [[simd.splat_f32s(0.0); K]; R];
        let [rows, columns] = self.geometry.pooled;
        let [_, stride] = self.geometry.padded;
        let gradients = S::as_simd_f32s(gradients).0;
        let mut window = 4 * vector;
        for row in 0..rows {
            for column in 0..columns {
                let gradients = chunk::<_, 4>(gradients, window);
                window += 4 * self.vectors;
                let start = 2 * row * stride + 2 * column + offset;
                let places = [start, start + 1, start + stride, start + stride + 1];
                for (&gradient, mut start) in gradients.iter().zip(places) {
                    for sums in &mut sums {
                        for (sum, &input) in sums.iter_mut().zip(chunk::<_, K>(plane, start)) {
                            *sum = simd.mul_add_e_f32s(gradient, simd.splat_f32s(input), *sum);
                        }
                        start += stride;
                    }
                }
            }
        }
        let row_len = self.geometry.shape.kernel_size * S::F32_LANES;
        for (row, sums) in to.chunks_mut(row_len).zip(sums) {
            for (to, sum) in S::as_mut_simd_f32s(row).0.iter_mut().zip(sums) {
                *to = simd.add_f32s(*to, sum);
            }
        }
    }
}
