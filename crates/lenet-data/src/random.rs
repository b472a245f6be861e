//! Every random stream of this crate and its number, and the order of an epoch.
//!
//! A seed selects a ChaCha8 key, and each use of randomness reads a stream of its own, so no use
//! influences another. Streams below 2³² are left to the initial weights drawn from the same seed.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// A use of randomness. Its numbers are part of every published result and must not change.
#[derive(Clone, Copy)]
pub(crate) enum Stream {
    /// The order of the images in this epoch.
    Shuffle(u64),
    /// The synthetic image with this index.
    Image(u64),
    /// The augmentation of the images in this epoch.
    Augmentation(u64),
}

impl Stream {
    /// The generator at the start of this stream.
    pub(crate) fn rng(self, seed: u64) -> ChaCha8Rng {
        let (block, offset) = match self {
            Self::Shuffle(epoch) => (1_u64, epoch),
            Self::Image(index) => (2, index),
            Self::Augmentation(epoch) => (3, epoch),
        };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream((block << 32).wrapping_add(offset));
        rng
    }
}

/// The order of `len` samples in an epoch, counted from 0.
///
/// A permutation of `0..len` that depends only on the seed and the epoch, on every machine.
///
/// ```
/// use lenet_data::permutation;
///
/// let order = permutation(60_000, 0, 3);
/// assert_eq!(order, permutation(60_000, 0, 3));
/// assert_ne!(order, permutation(60_000, 0, 4));
/// ```
pub fn permutation(len: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    order.shuffle(&mut Stream::Shuffle(epoch).rng(seed));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another order would change every published result.
    #[test]
    fn the_order_does_not_change_between_versions() {
        assert_eq!(permutation(8, 0, 0), [5, 6, 2, 3, 0, 4, 7, 1]);
    }

    #[test]
    fn every_sample_occurs_once() {
        let mut order = permutation(1000, 7, 2);
        assert_ne!(order, (0..1000).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..1000).collect::<Vec<_>>());
    }
}
