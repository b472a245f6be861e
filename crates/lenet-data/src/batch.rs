use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::augmentation::Change;
use crate::{Augmentation, DataError, ImageDataset, permutation};

/// Images and labels as a network takes them.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `[batch, 1, height, width]`, from 0 (black) to 1.
    pub images: Tensor<4>,
    /// `[batch]`, an index into the class names each.
    pub labels: Tensor<1, Int>,
}

impl Batch {
    /// The number of images.
    pub fn len(&self) -> usize {
        let [len, ..] = self.images.dims();
        len
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Uploads scaled pixels, `[batch, height, width]`, and their labels.
    pub(crate) fn from_host(
        pixels: Vec<f32>,
        labels: Vec<i32>,
        [height, width]: [usize; 2],
        device: &Device,
    ) -> Self {
        let len = labels.len();
        Self {
            images: Tensor::from_data(TensorData::new(pixels, [len, 1, height, width]), device),
            labels: Tensor::from_data(TensorData::new(labels, [len]), device),
        }
    }
}

/// A byte as a number from 0 to 1: `pixel / 255`, rounded once, without the division, which would take most
/// of a batch's time.
#[inline]
pub(crate) fn scale(pixel: u8) -> f32 {
    // 1 / 255 in two parts: eight bits times the upper one are exact.
    const UPPER: f32 = 1.0 / 256.0;
    const LOWER: f32 = 1.0 / 255.0 / 256.0;
    let pixel = f32::from(pixel);
    pixel * UPPER + pixel * LOWER
}

/// The order in which images come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As they lie in the data set.
    Sequential,
    /// In the [`permutation`] of this seed and epoch.
    Shuffled {
        /// The seed of the whole run.
        seed: u64,
        /// The epoch, from 0.
        epoch: u64,
    },
}

/// The batches of one pass over a data set; created by [`ImageDataset::batches`].
///
/// Every image comes once; the last batch holds what is left.
#[derive(Debug)]
pub struct Batches<'a> {
    dataset: &'a ImageDataset,
    order: Vec<usize>,
    /// Seed and epoch of the order.
    shuffled: Option<(u64, u64)>,
    batch_size: usize,
    next: usize,
    device: Device,
    /// With the seed and the epoch that it draws from.
    augmentation: Option<(Augmentation, u64, u64)>,
}

impl Batches<'_> {
    /// Changes the images at random, by the seed and the epoch of the shuffled order; in sequential
    /// order they stay as they are.
    #[must_use]
    pub fn with_augmentation(mut self, augmentation: Augmentation) -> Self {
        self.augmentation = match self.shuffled {
            Some((seed, epoch)) if augmentation.is_active() => Some((augmentation, seed, epoch)),
            _ => None,
        };
        self
    }
}

impl ImageDataset {
    /// The batches of one pass: each a gather of bytes, a scaling to [0, 1] and one upload.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use lenet_data::{Order, synthetic};
    ///
    /// let garments = synthetic::garments(100, 0);
    /// let order = Order::Shuffled { seed: 0, epoch: 0 };
    /// let sizes: Vec<usize> =
    ///     garments.batches(32, order, &Device::flex())?.map(|batch| batch.len()).collect();
    /// assert_eq!(sizes, [32, 32, 32, 4]);
    /// # Ok::<(), lenet_data::DataError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`DataError::BatchSize`] if `batch_size` is 0.
    pub fn batches(
        &self,
        batch_size: usize,
        order: Order,
        device: &Device,
    ) -> Result<Batches<'_>, DataError> {
        if batch_size == 0 {
            return Err(DataError::BatchSize);
        }
        let (order, shuffled) = match order {
            Order::Sequential => ((0..self.len()).collect(), None),
            Order::Shuffled { seed, epoch } => {
                (permutation(self.len(), seed, epoch), Some((seed, epoch)))
            }
        };
        Ok(Batches {
            dataset: self,
            order,
            shuffled,
            batch_size,
            next: 0,
            device: device.clone(),
            augmentation: None,
        })
    }

    /// One batch of the images at these indices; indices beyond the end are left out.
    pub fn batch(&self, indices: &[usize], device: &Device) -> Batch {
        self.changed_batch(indices, device, |_| Change::default())
    }

    /// A batch of images that `change`, given their place in the batch, is done to.
    fn changed_batch(
        &self,
        indices: &[usize],
        device: &Device,
        change: impl Fn(usize) -> Change,
    ) -> Batch {
        let [height, width] = self.image_size();
        let mut pixels = Vec::with_capacity(indices.len() * height * width);
        let mut labels = Vec::with_capacity(indices.len());
        for (place, &index) in indices.iter().enumerate() {
            if let (Some(image), Some(&label)) = (self.image(index), self.labels().get(index)) {
                change(place).apply(image, width, scale, &mut pixels);
                labels.push(i32::from(label));
            }
        }
        Batch::from_host(pixels, labels, self.image_size(), device)
    }
}

impl Iterator for Batches<'_> {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let end = self
            .next
            .saturating_add(self.batch_size)
            .min(self.order.len());
        let indices = self
            .order
            .get(self.next..end)
            .filter(|indices| !indices.is_empty())?;
        let batch = match self.augmentation {
            None => self.dataset.batch(indices, &self.device),
            Some((augmentation, seed, epoch)) => {
                let change = |place| augmentation.draw(seed, epoch, self.next + place);
                self.dataset.changed_batch(indices, &self.device, change)
            }
        };
        self.next = end;
        Some(batch)
    }

    /// Leaves batches out without making them.
    fn nth(&mut self, count: usize) -> Option<Batch> {
        let images = count.saturating_mul(self.batch_size);
        self.next = self.next.saturating_add(images).min(self.order.len());
        self.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.order.len() - self.next).div_ceil(self.batch_size);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Batches<'_> {}

#[cfg(test)]
mod tests {
    use super::scale;

    #[test]
    fn every_byte_is_divided_exactly() {
        for pixel in 0..=u8::MAX {
            assert_eq!(scale(pixel), f32::from(pixel) / 255.0, "{pixel}");
        }
    }
}
