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
        for (sample, input) in samples.enumerate() {
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

            activation.apply(self.convolved);
            for channel in 0..geometry.shape.out_channels {
                let index = sample * geometry.shape.out_channels + channel;
                // Not cut at the plane's end: `max_row` reads a few values beyond a row.
                let plane = self.convolved.get(channel * geometry.out_plane..);
                let plane = plane.unwrap_or_default();
                let row = |y: usize| plane.get(y * geometry.stride..).unwrap_or_default();
                match pooling {
                    Pooling::Max => {
                        for y in 0..pooled_height {
                            let start = index * pooled + y * pooled_width;
                            max_row(
                                simd,
                                row(2 * y),
                                row(2 * y + 1),
                                pooled_width,
                                self.output.get_mut(start..).unwrap_or_default(),
                                self.winners.get_mut(start..).unwrap_or_default(),
                            );
                        }
                    }
                    Pooling::Average => {
                        let output = self.output.get_mut(index * pooled..).unwrap_or_default();
                        let outputs = output.chunks_exact_mut(pooled_width).take(pooled_height);
                        for (y, output) in outputs.enumerate() {
                            average_row(row(2 * y), row(2 * y + 1), output);
                        }
                        let kept = self.activations.get_mut(index * height * width..);
                        let kept = kept.unwrap_or_default().chunks_exact_mut(width);
                        for (y, kept) in kept.enumerate().take(height) {
                            if let Some(row) = row(y).get(..width) {
                                kept.copy_from_slice(row);
                            }
                        }
                    }
                }
            }
        }
    }
}
