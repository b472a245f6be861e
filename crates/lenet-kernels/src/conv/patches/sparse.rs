//! The nonzero gradients behind max pooling, by channel and by patch.

use pulp::Simd;

use super::Patches;
use crate::simd::{Aligned, LANES};

/// A gradient that is not zero, of one value before the pooling of a channel.
#[derive(Clone, Copy, Default)]
pub(in crate::conv) struct Nonzero {
    /// Where its patch begins.
    pub(super) patch: u32,
    pub(super) gradient: f32,
}

/// The nonzero gradients of a sample behind max pooling: those at the argmax of each window.
pub(in crate::conv) struct SparseGradient {
    /// Those of the channel added last.
    of_channel: Vec<Nonzero>,
    /// The gradients of each window, filled up to whole vectors with zeros: `[window, channel]`.
    of_window: Aligned,
    /// The channels whose gradient at a place in a window is not zero, a bit each: `[window, place, word]`.
    channels: Vec<u64>,
    /// Channels, filled up to whole vectors.
    width: usize,
    /// Words of 64 channels.
    words: usize,
}

impl SparseGradient {
    pub(in crate::conv) fn new(patches: &Patches) -> Self {
        let out_channels = patches.shape.out_channels;
        let words = out_channels.div_ceil(64);
        let width = out_channels.next_multiple_of(LANES);
        let windows = patches.windows.len();
        Self {
            of_channel: vec![Nonzero::default(); windows],
            of_window: Aligned::zeros(windows * width),
            channels: vec![0; windows * 4 * words],
            width,
            words,
        }
    }

    /// Removes those of the previous sample.
    pub(in crate::conv) fn clear(&mut self) {
        self.channels.fill(0);
    }

    /// Adds the next channel, given the argmax of each window and the gradient there.
    #[inline(always)]
    pub(in crate::conv) fn add(&mut self, channel: usize, argmax: &[u8], gradients: &[f32]) {
        let windows = self.of_window.chunks_exact_mut(self.width);
        let windows = windows.zip(self.channels.chunks_exact_mut(4 * self.words));
        let (word, bit) = (channel / 64, channel % 64);
        for ((of_window, channels), (&place, &gradient)) in
            windows.zip(argmax.iter().zip(gradients))
        {
            of_window[channel] = gradient;
            channels[usize::from(place) * self.words + word] |= u64::from(gradient != 0.0) << bit;
        }
    }

    /// Adds the gradients of all windows to the sums of each channel.
    #[inline(always)]
    pub(in crate::conv) fn add_up<S: Simd>(&self, simd: S, sums: &mut [f32]) {
        for (vector, sum) in S::as_mut_simd_f32s(sums).0.iter_mut().enumerate() {
            let gradients = S::as_simd_f32s(&self.of_window).0.iter().skip(vector);
            let mut total = *sum;
            for &gradient in gradients.step_by(self.width / S::F32_LANES) {
                total = simd.add_f32s(total, gradient);
            }
            *sum = total;
        }
    }

    /// Channels, filled up to whole vectors.
    pub(in crate::conv) fn width(&self) -> usize {
        self.width
    }

    /// The nonzero gradients of one channel.
    #[inline(always)]
    pub(in crate::conv) fn of_channel(
        &mut self,
        patches: &Patches,
        argmax: &[u8],
        gradients: &[f32],
    ) -> &[Nonzero] {
        let offsets = [0, 1, 2, 3].map(|place| patches.place(place) as u32);
        let windows = patches.windows.iter().zip(argmax.iter().zip(gradients));
        let mut found = 0;
        for (&start, (&place, &gradient)) in windows {
            // Written in any case and kept if it is not zero: no branch to mispredict.
            self.of_channel[found] = Nonzero {
                patch: start + offsets[usize::from(place)],
                gradient,
            };
            found += usize::from(gradient != 0.0);
        }
        &self.of_channel[..found]
    }

    /// The nonzero gradients at a place in a window.
    #[inline(always)]
    pub(super) fn of_patch(&self, window: usize, place: usize) -> OfPatch<'_> {
        let words = &self.channels[(window * 4 + place) * self.words..][..self.words];
        let (&bits, words) = match words.split_first() {
            Some(split) => split,
            None => unreachable!("a convolution has at least one channel"),
        };
        OfPatch {
            gradients: &self.of_window[window * self.width..][..self.width],
            first: 0,
            bits,
            words,
        }
    }
}

/// The nonzero gradients of a patch: channel and gradient.
#[derive(Clone, Copy)]
pub(super) struct OfPatch<'a> {
    gradients: &'a [f32],
    /// The first channel of `bits`.
    first: usize,
    bits: u64,
    words: &'a [u64],
}

impl OfPatch<'_> {
    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.bits == 0 && self.words.iter().all(|&bits| bits == 0)
    }
}

impl Iterator for OfPatch<'_> {
    type Item = (usize, f32);

    #[inline(always)]
    fn next(&mut self) -> Option<(usize, f32)> {
        while self.bits == 0 {
            let (&bits, words) = self.words.split_first()?;
            (self.bits, self.words) = (bits, words);
            self.first += 64;
        }
        let channel = self.first + self.bits.trailing_zeros() as usize;
        self.bits &= self.bits - 1;
        Some((channel, self.gradients[channel]))
    }
}
