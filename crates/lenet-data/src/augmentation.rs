//! Random changes to training images: what to do, drawn per image, and doing it.

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::random::Stream;

/// Random changes to the training images, drawn again in every epoch.
///
/// The default changes nothing.
///
/// ```
/// use burn::tensor::Device;
/// use lenet_data::{Augmentation, Order, synthetic};
///
/// let garments = synthetic::garments(64, 0);
/// let augmentation = Augmentation::default().with_horizontal_flip(true).with_max_shift(2);
/// let order = Order::Shuffled { seed: 0, epoch: 0 };
/// let batches = garments.batches(32, order, &Device::flex())?.with_augmentation(augmentation);
/// assert_eq!(batches.len(), 2);
/// # Ok::<(), lenet_data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Augmentation {
    /// Mirror each image left to right with a probability of one half.
    pub horizontal_flip: bool,
    /// Shift each image by up to this many pixels along both axes, filling with black.
    pub max_shift: u8,
}

impl Augmentation {
    /// Sets whether each image is mirrored left to right with a probability of one half.
    #[must_use]
    pub fn with_horizontal_flip(mut self, flip: bool) -> Self {
        self.horizontal_flip = flip;
        self
    }

    /// Sets the largest shift along both axes, in pixels.
    #[must_use]
    pub fn with_max_shift(mut self, pixels: u8) -> Self {
        self.max_shift = pixels;
        self
    }

    /// Whether it changes anything.
    pub fn is_active(&self) -> bool {
        *self != Self::default()
    }

    /// The change to the image at this place of an epoch; depends on nothing else.
    pub(crate) fn draw(&self, seed: u64, epoch: u64, place: usize) -> Change {
        if !self.is_active() {
            return Change::default();
        }
        let mut rng = Stream::Augmentation(epoch).rng(seed);
        rng.set_word_pos(3 * place as u128);
        let span = 2 * u64::from(self.max_shift) + 1;
        let flip = rng.next_u32() & 1 == 1;
        let mut shift = || {
            let drawn = (u64::from(rng.next_u32()) * span) >> 32;
            drawn as i16 - i16::from(self.max_shift)
        };
        Change {
            flip: flip && self.horizontal_flip,
            down: shift(),
            right: shift(),
        }
    }
}

/// The change to one image; by default none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// Whether the image is mirrored left to right, before it is shifted.
    pub flip: bool,
    /// Rows by which it moves down, from -255 to 255; what becomes free is black.
    pub down: i16,
    /// Columns by which it moves right, from -255 to 255.
    pub right: i16,
}

impl Change {
    /// Appends the changed image to `out`, row by row, each pixel passed through `scale`.
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
        let rows = image.len() / width;
        let row_at = |row: usize| {
            let row = row.checked_add_signed(-isize::from(self.down))?;
            image.chunks_exact(width).nth(row)
        };
        for row in (0..rows).map(row_at) {
            let pixels = (0..width).map(|column| {
                let column = column
                    .checked_add_signed(-isize::from(self.right))
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
            .with_horizontal_flip(true)
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
