use pulp::{Simd, WithSimd};

use crate::correlate::{Planes, correlate};
use crate::kernel::ConvBlockKernel;
use crate::pooling::{Pooling, average_row, max_row};

/// The forward pass of one group of samples.
pub(crate) struct Forward<'a> {
    pub(crate) block: &'a ConvBlockKernel,
    pub(crate) packed: &'a [f32],
    pub(crate) bias: &'a [f32],
    pub(crate) padded: &'a mut [f32],
    pub(crate) convolved: &'a mut [f32],
    pub(crate) input: &'a [f32],
    pub(crate) output: &'a mut [f32],
    pub(crate) winners: &'a mut [u8],
    pub(crate) activations: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let ConvBlockKernel {
            geometry,
            activation,
            pooling,
            ..
        } = self.block;
        let [height, width] = geometry.convolved;
        let [pooled_height, pooled_width] = geometry.pooled;
        let pooled = pooled_height * pooled_width;
        let samples = self.input.chunks_exact(geometry.input_len());
        let outputs = self.output.chunks_exact_mut(geometry.output_len());
        for (sample, (input, output)) in samples.zip(outputs).enumerate() {
            geometry.pad(input, self.padded);
            let planes = Planes {
                values: self.padded,
                len: geometry.in_plane,
                offsets: &geometry.offsets,
            };
            correlate(
                simd,
                planes,
                self.packed,
                self.bias,
                self.convolved,
                geometry.out_plane,
            );

            let planes = self.convolved.chunks_exact_mut(geometry.out_plane);
            for (channel, (plane, output)) in
                planes.zip(output.chunks_exact_mut(pooled)).enumerate()
            {
                activation.apply(plane);
                let index = sample * geometry.shape.out_channels + channel;
                let rows = plane
                    .chunks(2 * geometry.stride)
                    .zip(output.chunks_exact_mut(pooled_width));
                match pooling {
                    Pooling::Max => {
                        let winners = self.winners.get_mut(index * pooled..).unwrap_or_default();
                        let winners = winners.chunks_exact_mut(pooled_width);
                        for ((rows, output), winners) in rows.zip(winners) {
                            let (upper, lower) = rows.split_at(geometry.stride);
                            max_row(upper, lower, output, winners);
                        }
                    }
                    Pooling::Average => {
                        for (rows, output) in rows {
                            let (upper, lower) = rows.split_at(geometry.stride);
                            average_row(upper, lower, output);
                        }
                        let kept = self
                            .activations
                            .get_mut(index * height * width..)
                            .unwrap_or_default();
                        for (kept, row) in kept
                            .chunks_exact_mut(width)
                            .zip(plane.chunks(geometry.stride))
                            .take(height)
                        {
                            if let Some(row) = row.get(..width) {
                                kept.copy_from_slice(row);
                            }
                        }
                    }
                }
            }
        }
    }
}
