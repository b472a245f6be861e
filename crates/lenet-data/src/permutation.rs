use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Streams below belong to the initial weights of the same seed.
const SHUFFLE_STREAMS: u64 = 1 << 32;

/// The order of `len` samples in an epoch (from 0): a permutation that depends on seed and epoch
/// alone.
///
/// ```
/// use lenet_data::permutation;
///
/// let order = permutation(60_000, 0, 3);
/// assert_eq!(order, permutation(60_000, 0, 3));
/// assert_ne!(order, permutation(60_000, 0, 4));
/// ```
pub fn permutation(len: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(SHUFFLE_STREAMS.wrapping_add(epoch));
    let mut order: Vec<usize> = (0..len).collect();
    order.shuffle(&mut rng);
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
