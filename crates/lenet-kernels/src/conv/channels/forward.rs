//! The convolution; `mod.rs` explains its loops.

use pulp::Simd;

use super::Channels;
use crate::simd::{Aligned, chunk, has_many_registers, parts};

/// Windows whose sums, four to a window and vector, fill about three quarters of the registers; at least one.
const fn most_windows(registers: usize, vectors: usize) -> usize {
    match registers * 3 / 16 / vectors {
        0 => 1,
        windows @ 1..=6 => windows,
        _ => 6,
    }
}

impl Channels {
    /// Weights in the order of the loops: block of vectors, in channel, tap, out channel of the block.
    pub(in crate::conv) fn pack(&self, weight: &[f32]) -> Aligned {
        let fan_in = self.geometry.fan_in();
        let mut packed = Aligned::zeros(fan_in * self.vectors * self.lanes);
        let mut rows = weight.chunks_exact(fan_in);
        for block in parts(self.vectors, self.block) {
            let width = block.len() * self.lanes;
            let first = block.start * self.lanes * fan_in;
            for (channel, row) in (0..width).zip(&mut rows) {
                let to = packed[first + channel..].iter_mut().step_by(width);
                to.zip(row).for_each(|(to, &weight)| *to = weight);
            }
        }
        packed
    }

    /// Biases, filled up to whole vectors.
    pub(in crate::conv) fn pack_bias(&self, bias: &[f32]) -> Aligned {
        let mut packed = Aligned::zeros(self.vectors * self.lanes);
        packed[..bias.len()].copy_from_slice(bias);
        packed
    }

    /// Computes the values before the pooling from the padded image.
    #[inline(always)]
    pub(in crate::conv) fn convolve<S: Simd>(
        &self,
        simd: S,
        image: &[f32],
        (weights, bias): (&[f32], &[f32]),
        values: &mut [f32],
    ) {
        let vector_len = self.geometry.fan_in() * S::F32_LANES;
        for block in parts(self.vectors, self.block) {
            let operands = (
                image,
                &weights[block.start * vector_len..block.end * vector_len],
                &bias[block.start * S::F32_LANES..block.end * S::F32_LANES],
            );
            match block.len() {
                3 if const { has_many_registers::<S>() } => {
                    self.rows::<S, 3>(simd, block.start, operands, values);
                }
                2 => self.rows::<S, 2>(simd, block.start, operands, values),
                1 => self.rows::<S, 1>(simd, block.start, operands, values),
                vectors => unreachable!("no block has {vectors} vectors"),
            }
        }
    }

    /// [`convolve`](Self::convolve) for the block of `V` vectors from `first`.
    #[inline(always)]
    fn rows<S: Simd, const V: usize>(
        &self,
        simd: S,
        first: usize,
        operands: (&[f32], &[f32], &[f32]),
        values: &mut [f32],
    ) {
        let most = const { most_windows(S::REGISTER_COUNT, V) };
        let [rows, columns] = self.geometry.pooled;
        let [_, stride] = self.geometry.padded;
        for row in 0..rows {
            for windows in parts(columns, most) {
                let at = 2 * row * stride + 2 * windows.start;
                let to = ((row * columns + windows.start) * self.vectors + first) * 4;
                let to = &mut values[to * S::F32_LANES..];
                // Larger tiles than the registers hold are not compiled, and `parts` returns none. An arm that
                // panics with a message of its own costs a tenth of the speed here.
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
                    1 => self.tile::<S, V, 2>(simd, at, operands, to),
                    _ => unreachable!(),
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
        (image, weights, bias): (&[f32], &[f32], &[f32]),
        to: &mut [f32],
    ) {
        let [_, stride] = self.geometry.padded;
        let bias = *chunk::<_, V>(S::as_simd_f32s(bias).0, 0);
        let (weights, _) = S::as_simd_f32s(weights).0.as_chunks::<V>();
        let mut sums = [[bias; N]; 2];
        let k = self.geometry.shape.kernel_size;
        let (mut image, mut rest) = (image, weights);
        for _ in 0..self.geometry.shape.in_channels {
            let (plane, next_image) = image.split_at(self.plane);
            let (weights, next_weights) = rest.split_at(k * k);
            let [upper, lower] = &mut sums;
            // The first and the last row of inputs belong to one row of outputs each.
            let mut row = at;
            for (x, weights) in weights[..k].iter().enumerate() {
                add_products(simd, chunk(plane, row + x), weights, upper);
            }
            for y in 1..k {
                row += stride;
                let taps = weights[y * k..][..k]
                    .iter()
                    .zip(&weights[(y - 1) * k..][..k]);
                for (x, (of_upper, of_lower)) in taps.enumerate() {
                    let inputs = chunk::<_, N>(plane, row + x);
                    let sums = upper.iter_mut().zip(&mut *lower);
                    for ((upper, lower), &input) in sums.zip(inputs) {
                        let input = simd.splat_f32s(input);
                        for (sum, &weight) in upper.iter_mut().zip(of_upper) {
                            *sum = simd.mul_add_e_f32s(weight, input, *sum);
                        }
                        for (sum, &weight) in lower.iter_mut().zip(of_lower) {
                            *sum = simd.mul_add_e_f32s(weight, input, *sum);
                        }
                    }
                }
            }
            row += stride;
            for (x, weights) in weights[(k - 1) * k..].iter().enumerate() {
                add_products(simd, chunk(plane, row + x), weights, lower);
            }
            (image, rest) = (next_image, next_weights);
        }
        let [upper, lower] = &sums;
        let (upper, _) = upper.as_chunks::<2>();
        let (lower, _) = lower.as_chunks::<2>();
        let mut windows = S::as_mut_simd_f32s(to).0.chunks_mut(4 * self.vectors);
        for (&[a, b], &[c, d]) in upper.iter().zip(lower) {
            let Some(window) = windows.next() else {
                unreachable!("a tile reaches beyond the last window");
            };
            let (places, _) = window.as_chunks_mut::<4>();
            for ((((to, a), b), c), d) in places.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *to = [a, b, c, d];
            }
        }
    }
}

/// Adds to the sums of a row of outputs the inputs of one tap.
#[inline(always)]
fn add_products<S: Simd, const V: usize, const N: usize>(
    simd: S,
    inputs: &[f32; N],
    weights: &[S::f32s; V],
    sums: &mut [[S::f32s; V]; N],
) {
    for (sums, &input) in sums.iter_mut().zip(inputs) {
        let input = simd.splat_f32s(input);
        for (sum, &weight) in sums.iter_mut().zip(weights) {
            *sum = simd.mul_add_e_f32s(weight, input, *sum);
        }
    }
}
