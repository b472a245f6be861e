//! The convolution; `mod.rs` explains its loops.

use pulp::Simd;

use super::Windows;
use crate::conv::epilogue::Epilogue;
use crate::simd::{Aligned, chunk, has_many_registers, load, parts};

impl Windows {
    /// Weights in the order of the loops: block, in channel, tap, out channel of the block.
    pub(in crate::conv) fn pack(&self, weight: &[f32]) -> Aligned {
        let fan_in = self.shape.in_channels * self.offsets[0].len();
        let mut packed = Aligned::zeros(weight.len());
        let mut to = packed.iter_mut();
        for channels in parts(self.shape.out_channels, self.block) {
            for tap in 0..fan_in {
                for (channel, to) in channels.clone().zip(&mut to) {
                    *to = weight[channel * fan_in + tap];
                }
            }
        }
        packed
    }

    /// Computes the values before the pooling and hands them to `epilogue`, vector number
    /// `out channel · vectors + vector of slots` after the other.
    #[inline(always)]
    pub(in crate::conv) fn convolve<S: Simd>(
        &self,
        simd: S,
        image: &[f32],
        (weights, bias): (&[f32], &[f32]),
        epilogue: &mut impl Epilogue<S>,
    ) {
        let fan_in = self.shape.in_channels * self.offsets[0].len();
        for channels in parts(self.shape.out_channels, self.block) {
            let first = channels.start;
            let operands = (
                image,
                &weights[first * fan_in..channels.end * fan_in],
                &bias[channels.clone()],
            );
            // Larger blocks than the registers hold are not compiled.
            match channels.len() {
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
        let bias = chunk::<_, O>(bias, 0);
        for vector in 0..self.vectors {
            let sums = self.tile(simd, image, weights, bias, vector * S::F32_LANES);
            let mut index = first * self.vectors + vector;
            for &values in &sums {
                epilogue.finish(simd, index, values);
                index += self.vectors;
            }
        }
    }

    /// The four places of one vector of windows, for `O` channels: the sums stay in registers.
    #[inline(always)]
    fn tile<S: Simd, const O: usize>(
        &self,
        simd: S,
        image: &[f32],
        weights: &[[f32; O]],
        bias: &[f32; O],
        slot: usize,
    ) -> [[S::f32s; 4]; O] {
        let mut sums = [[simd.splat_f32s(0.0); 4]; O];
        for (sums, &bias) in sums.iter_mut().zip(bias) {
            *sums = [simd.splat_f32s(bias); 4];
        }
        let [a, b, c, d] = &self.offsets;
        for channel in 0..self.shape.in_channels {
            let planes = channel * self.channel_len..(channel + 1) * self.channel_len;
            let planes = &image[planes.start + slot..planes.end];
            let weights = &weights[channel * a.len()..(channel + 1) * a.len()];
            let offsets = a.iter().zip(b).zip(c.iter().zip(d));
            for (((&a, &b), (&c, &d)), weights) in offsets.zip(weights) {
                let inputs = [
                    load::<S>(planes, a),
                    load::<S>(planes, b),
                    load::<S>(planes, c),
                    load::<S>(planes, d),
                ];
                for (sums, &weight) in sums.iter_mut().zip(weights) {
                    let weight = simd.splat_f32s(weight);
                    for (sum, input) in sums.iter_mut().zip(inputs) {
                        *sum = simd.mul_add_e_f32s(weight, input, *sum);
                    }
                }
            }
        }
        sums
    }
}
