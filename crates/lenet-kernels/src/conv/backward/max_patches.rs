//! The pass behind max pooling by patches of the input: one for each nonzero gradient.

use pulp::Simd;

use super::{Group, Results};
use crate::conv::patches::SparseGradient;
use crate::conv::plan::Tables;
use crate::simd::Aligned;

/// The buffers of this pass.
pub(super) struct MaxPatchesScratch {
    image: Aligned,
    in_gradient: Aligned,
    /// Gradients of a map's windows before the activation.
    scaled: Vec<f32>,
    gradient: SparseGradient,
    bias_sums: Aligned,
}

impl MaxPatchesScratch {
    pub(super) fn new(tables: &Tables, input_gradient: bool) -> Self {
        let patches = &tables.backward().patches;
        let image_len = patches.image_len();
        let gradient = SparseGradient::new(patches);
        Self {
            bias_sums: Aligned::zeros(gradient.width()),
            image: Aligned::zeros(image_len),
            in_gradient: Aligned::zeros(if input_gradient { image_len } else { 0 }),
            scaled: vec![0.0; tables.geometry.map_len()],
            gradient,
        }
    }
}

impl Group<'_> {
    /// One pass over a patch of the input for each nonzero gradient.
    #[inline(always)]
    pub(super) fn max_patches<S: Simd>(
        self,
        simd: S,
        scratch: &mut MaxPatchesScratch,
        results: Results<'_>,
    ) {
        let geometry = &self.tables.geometry;
        let patches = &self.tables.backward().patches;
        let MaxPatchesScratch {
            image,
            in_gradient,
            scaled,
            gradient,
            bias_sums,
        } = scratch;
        bias_sums.fill(0.0);
        let (weight, bias) = results.weight_and_bias;
        let mut input_gradient = results.input;
        let both = patches.both_at_once() && !input_gradient.is_empty();
        let samples = self.samples.input.chunks_exact(geometry.input_len());
        for (sample, input) in samples.enumerate() {
            patches.interleave(input, image);
            gradient.clear();
            for channel in 0..geometry.shape.out_channels {
                let map = sample * geometry.shape.out_channels + channel;
                let map = map * scaled.len()..(map + 1) * scaled.len();
                let output = &self.samples.output[map.clone()];
                let output_gradient = &self.samples.output_gradient[map.clone()];
                self.tables
                    .activation
                    .scale(output_gradient, output, scaled);
                let argmax = &self.samples.argmax[map];
                gradient.add(channel, argmax, scaled);
                if !both {
                    let nonzeros = gradient.of_channel(patches, argmax, scaled);
                    patches.add_weight_gradient(simd, (channel, nonzeros), image, weight);
                }
            }
            gradient.add_up(simd, bias_sums);
            if !input_gradient.is_empty() {
                in_gradient.fill(0.0);
                if both {
                    let to = (&mut *weight, &mut **in_gradient);
                    patches.add_gradients(simd, gradient, (image, self.samples.packed), to);
                } else {
                    patches.add_input_gradient(simd, gradient, self.samples.packed, in_gradient);
                }
                let to = input_gradient.cut(geometry.input_len());
                patches.separate(in_gradient, to.zeroed());
            }
        }
        for (total, sum) in bias.iter_mut().zip(&**bias_sums) {
            *total += sum;
        }
    }
}
