//! The pass behind max pooling by patches of the input: one for each nonzero gradient.

use pulp::Simd;

use super::{Group, Results};
use crate::conv::layout::Layout;
use crate::conv::patches::SparseGradient;
use crate::conv::plan::{GROUP, Tables};
use crate::simd::{Aligned, sum};

/// The buffers of this pass.
pub(super) struct MaxPatchesScratch {
    /// Samples whose weight gradients are added up at once.
    samples: usize,
    images: Aligned,
    in_gradient: Aligned,
    /// The argmax `[sample, window, channel]`, unless it is saved in this order.
    argmax: Vec<u8>,
    gradient: SparseGradient,
}

impl MaxPatchesScratch {
    pub(super) fn new(tables: &Tables, input_gradient: bool) -> Self {
        let patches = &tables.backward().patches;
        let samples = patches.samples_at_once(GROUP);
        let gradient = SparseGradient::new(patches, samples);
        let image_len = patches.image_len();
        let map_len = tables.geometry.map_len();
        let argmax_len = match tables.layout {
            Layout::Windows(_) => gradient.width() * map_len,
            Layout::Channels(_) => 0,
        };
        Self {
            samples,
            images: Aligned::zeros(samples * image_len),
            in_gradient: Aligned::zeros(if input_gradient { image_len } else { 0 }),
            argmax: vec![0; samples * argmax_len],
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
        let Tables {
            geometry,
            layout,
            activation,
            ..
        } = self.tables;
        let patches = &self.tables.backward().patches;
        let MaxPatchesScratch {
            samples: most,
            images,
            in_gradient,
            argmax: by_window,
            gradient,
        } = scratch;
        let (weight, bias) = results.weight_and_bias;
        let mut input_gradient = results.input;
        let (map_len, out_channels) = (geometry.map_len(), geometry.shape.out_channels);
        let [saved_len, _] = self.tables.saved_len();
        let argmax_len = gradient.width() * map_len;
        let mut first = 0;
        for inputs in self.samples.input.chunks(*most * geometry.input_len()) {
            let inputs = inputs.chunks_exact(geometry.input_len());
            let count = inputs.len();
            let images_of_samples = images.chunks_exact_mut(patches.image_len());
            for (input, image) in inputs.zip(images_of_samples) {
                patches.interleave(input, image);
            }
            let saved = &self.samples.argmax[first * saved_len..][..count * saved_len];
            let argmax = match layout {
                Layout::Channels(_) => saved,
                Layout::Windows(windows) => {
                    let saved = saved.chunks_exact(saved_len);
                    for (saved, to) in saved.zip(by_window.chunks_exact_mut(argmax_len)) {
                        windows.by_window(saved, to, gradient.width());
                    }
                    &by_window[..count * argmax_len]
                }
            };
            gradient.clear();
            for (channel, bias) in bias.iter_mut().enumerate() {
                let scaled = gradient.begin_channel(channel);
                for (sample, scaled) in scaled.chunks_exact_mut(map_len).take(count).enumerate() {
                    let map = ((first + sample) * out_channels + channel) * map_len;
                    let output = &self.samples.output[map..map + map_len];
                    let output_gradient = &self.samples.output_gradient[map..map + map_len];
                    activation.scale(output_gradient, output, scaled);
                }
                *bias += sum(simd, &scaled[..count * map_len]);
                for (sample, argmax) in argmax.chunks_exact(argmax_len).enumerate() {
                    gradient.find(patches, (sample, channel), argmax);
                }
                let nonzeros = (channel, gradient.of_channel());
                patches.add_weight_gradient(simd, nonzeros, images, weight);
            }
            if !input_gradient.is_empty() {
                for sample in 0..count {
                    in_gradient.fill(0.0);
                    let gradients = gradient.of_sample(sample);
                    patches.add_input_gradient(simd, gradients, self.samples.packed, in_gradient);
                    let to = input_gradient.cut(geometry.input_len());
                    patches.separate(in_gradient, to.zeroed());
                }
            }
            first += count;
        }
    }
}
