use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Streams of the augmentation, one for each epoch; those of shuffles and drawings lie below.
const STREAMS: u64 = 3 << 32;

/// Random changes to the images of a training epoch, so that no epoch shows quite the same ones.
///
/// The default changes nothing.
///
/// ```
/// use burn::tensor::Device;
/// use lenet_data::{Augmentation, Order, synthetic};
///
/// let garments = synthetic::garments(64, 0);
/// let augmentation = Augmentation::default().with_horizontal_flip().with_max_shift(2);
/// let order = Order::Shuffled { seed: 0, epoch: 0 };
/// let batches = garments.batches(32, order, &Device::flex())?.with_augmentation(augmentation);
/// assert_eq!(batches.len(), 2);
/// # Ok::<(), lenet_data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Augmentation {
    /// Mirror every second image, at random, left to right.
    pub horizontal_flip: bool,
    /// Move each image by up to this many pixels along both axes; what comes in is black.
    pub max_shift: u8,
}

impl Augmentation {
    /// Mirrors every second image, at random, left to right.
    #[must_use]
    pub fn with_horizontal_flip(mut self) -> Self {
        self.horizontal_flip = true;
        self
    }

    /// Sets the largest move along both axes, in pixels.
    #[must_use]
    pub fn with_max_shift(mut self, pixels: u8) -> Self {
        self.max_shift = pixels;
        self
    }

    /// Whether it changes anything.
    pub fn is_active(&self) -> bool {
        *self != Self::default()
    }

    /// What happens to the image at this place of an epoch; depends on nothing else.
    pub(crate) fn draw(&self, seed: u64, epoch: u64, place: usize) -> Change {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(STREAMS.wrapping_add(epoch));
        rng.set_word_pos(3 * place as u128);
        let span = 2 * u64::from(self.max_shift) + 1;
        let flip = rng.next_u32() & 1 == 1;
        let mut shift = || {
            let drawn = (u64::from(rng.next_u32()) * span) >> 32;
            drawn as isize - isize::from(self.max_shift)
        };
        Change {
            flip: flip && self.horizontal_flip,
            down: shift(),
            right: shift(),
        }
    }
}

/// What is done to one image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    flip: bool,
    down: isize,
    right: isize,
}

impl Change {
    /// Appends the changed image, row by row, each pixel through `scale`.
    pub(crate) fn apply(
        self,
        image: &[u8],
        width: usize,
        scale: impl Fn(u8) -> f32,
        out: &mut Vec<f32>,
    ) {
        if self == Self::default() {
            out.extend(image.iter().map(|&pixel| scale(pixel)));
            return;
        }
        let rows = image.len() / width.max(1);
        let row_at = |row: usize| {
            let row = row.checked_add_signed(-self.down)?;
            image.chunks_exact(width).nth(row)
        };
        for row in (0..rows).map(row_at) {
            let pixels = (0..width).map(|column| {
                let column = column
                    .checked_add_signed(-self.right)
                    .filter(|&c| c < width)?;
                let column = if self.flip {
                    width - 1 - column
                } else {
                    column
                };
                row?.get(column)
            });
            out.extend(pixels.map(|pixel| pixel.map_or(0.0, |&pixel| scale(pixel))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(change: Change) -> Vec<f32> {
        let mut out = Vec::new();
        change.apply(&[1, 2, 3, 4, 5, 6], 3, f32::from, &mut out);
        out
    }

    #[test]
    fn an_image_is_mirrored_and_moved() {
        let still = Change::default();
        assert_eq!(applied(still), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let flip = Change {
            flip: true,
            ..still
        };
        assert_eq!(applied(flip), [3.0, 2.0, 1.0, 6.0, 5.0, 4.0]);
        let down = Change { down: 1, ..still };
        assert_eq!(applied(down), [0.0, 0.0, 0.0, 1.0, 2.0, 3.0]);
        let left = Change { right: -1, ..still };
        assert_eq!(applied(left), [2.0, 3.0, 0.0, 5.0, 6.0, 0.0]);
        let gone = Change {
            down: -2,
            right: 7,
            ..still
        };
        assert_eq!(applied(gone), [0.0; 6]);
    }

    #[test]
    fn changes_are_drawn_evenly_and_depend_on_seed_epoch_and_place() {
        let augmentation = Augmentation::default()
            .with_horizontal_flip()
            .with_max_shift(2);
        let draws: Vec<Change> = (0..5000)
            .map(|place| augmentation.draw(7, 3, place))
            .collect();
        let flips = draws.iter().filter(|change| change.flip).count();
        assert!((2300..2700).contains(&flips), "{flips}");
        for shift in -2..=2 {
            let count = draws.iter().filter(|change| change.down == shift).count();
            assert!((850..1150).contains(&count), "{shift}: {count}");
            let count = draws.iter().filter(|change| change.right == shift).count();
            assert!((850..1150).contains(&count), "{shift}: {count}");
        }
        assert_eq!(augmentation.draw(7, 3, 17), draws[17]);
        let other: Vec<Change> = (0..50)
            .map(|place| augmentation.draw(7, 4, place))
            .collect();
        assert_ne!(other[..], draws[..50]);
        let none = Augmentation::default();
        assert!((0..50).all(|place| none.draw(7, 3, place) == Change::default()));
    }
}
