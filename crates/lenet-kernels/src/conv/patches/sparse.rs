//! The nonzero gradients behind max pooling, by channel and by column of a window.

use super::Patches;
use crate::simd::Aligned;

/// A gradient that is not zero, of one value before the pooling of a channel.
#[derive(Clone, Copy, Default)]
pub(in crate::conv) struct Nonzero {
    /// Where its patch begins, from the first image on.
    pub(super) patch: u32,
    pub(super) gradient: f32,
}

/// The gradients of some samples behind max pooling: those at the argmax of each window, and which are not zero.
pub(in crate::conv) struct SparseGradient {
    /// `[channel, sample, window]`
    values: Aligned,
    /// The nonzero ones of the channel added last, of all samples.
    of_channel: Vec<Nonzero>,
    /// How many of them there are.
    found: usize,
    /// The channels whose gradient at a place in a window is not zero, a bit each: `[word, sample, window, place]`.
    channels: Vec<[u64; 4]>,
    /// Windows of a sample, and of all samples.
    windows: usize,
    all_windows: usize,
    /// Channels, filled up to whole vectors.
    width: usize,
}

impl SparseGradient {
    pub(in crate::conv) fn new(patches: &Patches, samples: usize) -> Self {
        let out_channels = patches.shape.out_channels;
        let windows = patches.windows.len();
        let all_windows = samples * windows;
        Self {
            values: Aligned::zeros(out_channels * all_windows),
            of_channel: vec![Nonzero::default(); all_windows],
            found: 0,
            channels: vec![[0; 4]; out_channels.div_ceil(64) * all_windows],
            windows,
            all_windows,
            width: out_channels.next_multiple_of(patches.lanes),
        }
    }

    /// Removes those of the previous samples.
    pub(in crate::conv) fn clear(&mut self) {
        self.channels.fill([0; 4]);
    }

    /// Begins a channel: the gradients of its windows, `[sample, window]`, before [`find`](Self::find).
    pub(in crate::conv) fn begin_channel(&mut self, channel: usize) -> &mut [f32] {
        self.found = 0;
        &mut self.values[channel * self.all_windows..][..self.all_windows]
    }

    /// Finds a sample's nonzero gradients of a channel, given the argmax `[window, channel]` of all channels, of which
    /// each window's is filled up to whole vectors.
    #[inline(always)]
    pub(in crate::conv) fn find(
        &mut self,
        patches: &Patches,
        (sample, channel): (usize, usize),
        argmax: &[u8],
    ) {
        let image = (sample * patches.image) as u32;
        let offsets = [0, 1, 2, 3].map(|place| image + patches.place(place) as u32);
        let first = sample * self.windows;
        let values = &self.values[channel * self.all_windows + first..][..self.windows];
        let (word, bit) = (channel / 64, channel % 64);
        let channels = &mut self.channels[word * self.all_windows + first..][..self.windows];
        let of_channel = &mut self.of_channel[..];
        let mut found = self.found;
        let argmax = argmax[channel..].iter().step_by(self.width);
        let windows = values.iter().zip(&patches.windows).zip(channels);
        for (((&gradient, &start), channels), place) in windows.zip(argmax) {
            debug_assert!(*place < 4, "a window has four places, not {place}");
            // The remainder spares the bounds checks.
            let place = usize::from(place % 4);
            let is_nonzero = gradient != 0.0;
            channels[place] |= u64::from(is_nonzero) << bit;
            // Written in any case and kept if it is not zero: no branch to mispredict.
            of_channel[found] = Nonzero {
                patch: start + offsets[place],
                gradient,
            };
            found += usize::from(is_nonzero);
        }
        self.found = found;
    }

    /// Channels, filled up to whole vectors.
    pub(in crate::conv) fn width(&self) -> usize {
        self.width
    }

    /// The nonzero gradients of the channel added last, of all samples.
    #[inline(always)]
    pub(in crate::conv) fn of_channel(&self) -> &[Nonzero] {
        &self.of_channel[..self.found]
    }

    /// The nonzero gradients of a sample.
    #[inline(always)]
    pub(in crate::conv) fn of_sample(&self, sample: usize) -> SampleGradient<'_> {
        let first = sample * self.windows;
        SampleGradient {
            values: &self.values[first..],
            channels: &self.channels[first..],
            all_windows: self.all_windows,
        }
    }
}

/// The nonzero gradients of a sample.
#[derive(Clone, Copy)]
pub(in crate::conv) struct SampleGradient<'a> {
    /// Those of each channel begin `all_windows` further.
    values: &'a [f32],
    channels: &'a [[u64; 4]],
    all_windows: usize,
}

impl<'a> SampleGradient<'a> {
    /// The nonzero gradients at both places in a column of a window.
    #[inline(always)]
    pub(super) fn of_column(self, window: usize, column: usize) -> OfColumn<'a> {
        let (places, words) = match self.channels[window..].split_first() {
            Some(split) => split,
            None => unreachable!("a window beyond the last one"),
        };
        OfColumn {
            values: &self.values[window..],
            first: 0,
            bits: places[column] | places[column + 2],
            lower: places[column + 2],
            column,
            words,
            all_windows: self.all_windows,
        }
    }
}

/// The nonzero gradients of a column of a window: channel, row of the window, and gradient.
pub(super) struct OfColumn<'a> {
    /// The gradient of each channel, `all_windows` apart.
    values: &'a [f32],
    /// The first channel of `bits`.
    first: usize,
    /// Channels that are left of a word, and those of the lower place.
    bits: u64,
    lower: u64,
    column: usize,
    /// What follows the word, of which every `all_windows`-th is the window's next one.
    words: &'a [[u64; 4]],
    all_windows: usize,
}

impl OfColumn<'_> {
    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        let rest = self
            .words
            .iter()
            .skip(self.all_windows - 1)
            .step_by(self.all_windows);
        let mut rest = rest.map(|places| places[self.column] | places[self.column + 2]);
        self.bits == 0 && rest.all(|bits| bits == 0)
    }
}

impl Iterator for OfColumn<'_> {
    type Item = (usize, usize, f32);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        while self.bits == 0 {
            let next = self.words.get(self.all_windows - 1..)?;
            let (places, words) = next.split_first()?;
            self.lower = places[self.column + 2];
            self.bits = places[self.column] | self.lower;
            self.words = words;
            self.first += 64;
        }
        let bit = self.bits.trailing_zeros();
        self.bits &= self.bits - 1;
        let channel = self.first + bit as usize;
        let row = (self.lower >> bit & 1) as usize;
        Some((channel, row, self.values[channel * self.all_windows]))
    }
}
