//! The pass behind max pooling where windows lie side by side and the input needs no gradient.

use pulp::Simd;

use super::{Group, Results, load_row, windows};
use crate::conv::windows::Windows;
use crate::simd::{Aligned, sum};

/// The buffers of this pass; the borders of `image`, and the gradients between rows of windows, stay zero.
pub(super) struct MaxWindowsScratch {
    image: Aligned,
    /// Gradients before the activation, by channel and slot.
    gradients: Aligned,
    /// Where in its window each belongs.
    argmax: Aligned<u32>,
    weight_sums: Aligned,
    bias_sums: Aligned,
}

impl MaxWindowsScratch {
    pub(super) fn new(windows: &Windows) -> Self {
        let slots = windows.values_len() / 4;
        let [weight_sums, bias_sums] = windows.sums_len();
        Self {
            image: Aligned::zeros(windows.image_len()),
            gradients: Aligned::zeros(slots),
            argmax: Aligned::zeros(slots),
            weight_sums: Aligned::zeros(weight_sums),
            bias_sums: Aligned::zeros(bias_sums),
        }
    }
}

impl Group<'_> {
    /// One pass over the windows of each channel: the argmax selects the inputs that the gradient multiplies.
    #[inline(always)]
    pub(super) fn max_windows<S: Simd>(
        self,
        simd: S,
        scratch: &mut MaxWindowsScratch,
        results: Results<'_>,
    ) {
        let (geometry, windows) = (&self.tables.geometry, windows(self.tables));
        let MaxWindowsScratch {
            image,
            gradients,
            argmax,
            weight_sums,
            bias_sums,
        } = scratch;
        weight_sums.fill(0.0);
        bias_sums.fill(0.0);
        let len = windows.vectors() * S::F32_LANES;
        for (sample, input) in self
            .samples
            .input
            .chunks_exact(geometry.input_len())
            .enumerate()
        {
            windows.split(input, image);
            let first = sample * geometry.shape.out_channels;
            let maps = gradients.chunks_exact_mut(len);
            let biases = S::as_mut_simd_f32s(bias_sums).0.iter_mut();
            for ((map, gradients), bias) in (first..).zip(maps).zip(biases) {
                self.place(simd, windows, map * geometry.map_len(), gradients);
                for &gradient in S::as_simd_f32s(gradients).0 {
                    *bias = simd.add_f32s(*bias, gradient);
                }
            }
            let saved = &self.samples.argmax[sample * argmax.len()..][..argmax.len()];
            for (to, &place) in argmax.iter_mut().zip(saved) {
                *to = place.into();
            }
            windows.add_weight_gradient_at_argmax(simd, image, (gradients, argmax), weight_sums);
        }
        let (weight, bias) = results.weight_and_bias;
        let sums = weight_sums.chunks_exact(S::F32_LANES);
        let sums = sums.chain(bias_sums.chunks_exact(S::F32_LANES));
        for (total, sums) in weight.iter_mut().chain(bias).zip(sums) {
            *total += sum(simd, sums);
        }
    }

    /// Copies the gradients of the map from `first` on, before the activation, row by row.
    #[inline(always)]
    fn place<S: Simd>(&self, simd: S, windows: &Windows, first: usize, gradients: &mut [f32]) {
        for (window, slot, count) in windows.row_vectors() {
            let start = first + window;
            let gradient = load_row(simd, &self.samples.output_gradient[start..], count);
            let output = load_row(simd, &self.samples.output[start..], count);
            let gradient = self.tables.activation.scale_vector(simd, gradient, output);
            S::as_mut_simd_f32s(&mut gradients[slot..]).0[0] = gradient;
        }
    }
}
