//! The list of nonzero gradients behind max pooling, by channel and by patch.

use super::Patches;

/// A gradient that is not zero, of one value before the pooling.
#[derive(Clone, Copy, Default)]
pub(in crate::conv) struct Nonzero {
    /// Where its patch begins, or its output channel.
    pub(super) at: u32,
    pub(super) gradient: f32,
}

/// The nonzero gradients of a sample behind max pooling: those at the argmax of each window.
pub(in crate::conv) struct SparseGradient {
    /// Those of the channel added last.
    of_channel: Vec<Nonzero>,
    /// Those of all channels by their patch: `[window, place]`, with room for one of each channel.
    of_patch: Vec<Nonzero>,
    /// How many there are for each window and place.
    counts: Vec<[u32; 4]>,
    channels: usize,
}

impl SparseGradient {
    pub(in crate::conv) fn new(patches: &Patches) -> Self {
        let channels = patches.shape.out_channels;
        let windows = patches.windows.len();
        Self {
            of_channel: vec![Nonzero::default(); windows],
            of_patch: vec![Nonzero::default(); windows * 4 * channels],
            counts: vec![[0; 4]; windows],
            channels,
        }
    }

    /// Removes those of the previous sample.
    pub(in crate::conv) fn clear(&mut self) {
        self.counts.fill([0; 4]);
    }

    /// Adds the next channel, given the argmax of each window and the gradient there, and returns the channel's
    /// nonzero gradients.
    #[inline(always)]
    pub(in crate::conv) fn add(
        &mut self,
        patches: &Patches,
        channel: usize,
        argmax: &[u8],
        gradients: &[f32],
    ) -> &[Nonzero] {
        let offsets = [0, 1, 2, 3].map(|place| patches.place(place) as u32);
        let windows = self.of_patch.chunks_exact_mut(4 * self.channels);
        let windows = windows.zip(&mut self.counts).zip(&patches.windows);
        let mut found = 0;
        for (((of_patch, counts), &start), (&place, &gradient)) in
            windows.zip(argmax.iter().zip(gradients))
        {
            let place = usize::from(place);
            let count = &mut counts[place];
            // Written in any case and kept if it is not zero: no branch to mispredict.
            of_patch[place * self.channels + *count as usize] = Nonzero {
                at: channel as u32,
                gradient,
            };
            self.of_channel[found] = Nonzero {
                at: start + offsets[place],
                gradient,
            };
            let is_nonzero = gradient != 0.0;
            *count += u32::from(is_nonzero);
            found += usize::from(is_nonzero);
        }
        &self.of_channel[..found]
    }

    /// The patches that have nonzero gradients: where each begins, and those gradients.
    #[inline(always)]
    pub(super) fn by_patch<'a>(
        &'a self,
        patches: &'a Patches,
    ) -> impl Iterator<Item = (usize, &'a [Nonzero])> {
        let starts = patches.windows.iter();
        let starts = starts.flat_map(|&window| [0, 1, 2, 3].map(|at| patches.patch(window, at)));
        let all = self.of_patch.chunks_exact(self.channels);
        let nonzeros = all.zip(self.counts.as_flattened());
        let nonzeros = nonzeros.map(|(all, &count)| &all[..count as usize]);
        starts
            .zip(nonzeros)
            .filter(|(_, nonzeros)| !nonzeros.is_empty())
    }
}
