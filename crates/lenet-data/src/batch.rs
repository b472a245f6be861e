//! Batches of tensors: gathering, scaling and uploading images in an order.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::augmentation::Change;
use crate::{Augmentation, DataError, ImageDataset, permutation};

/// Images and labels on a device, ready for a network.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `[batch, 1, height, width]`, from 0 (black) to 1 (white).
    pub images: Tensor<4>,
    /// `[batch]`, indices into the class names.
    pub labels: Tensor<1, Int>,
}

impl Batch {
    /// The number of images.
    pub fn len(&self) -> usize {
        let [len, ..] = self.images.dims();
        len
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Changes, scales and uploads images of one size, each with its label.
    pub(crate) fn gather(
        images: &[(&[u8], u8, Change)],
        image_size: [usize; 2],
        device: &Device,
    ) -> Self {
        let ([height, width], len) = (image_size, images.len());
        let mut pixels = Vec::with_capacity(len * height * width);
        let mut labels = Vec::with_capacity(len);
        for images in images.chunks(AHEAD) {
            for &(image, ..) in images {
                fetch(image);
            }
            for &(image, label, change) in images {
                change.apply(image, width, scale, &mut pixels);
                labels.push(i32::from(label));
            }
        }
        Self {
            images: upload(pixels, len, image_size, device),
            labels: Tensor::from_data(TensorData::new(labels, [len]), device),
        }
    }
}

/// Images that are fetched before the first of them is read.
const AHEAD: usize = 8;

/// Reads a byte of each cache line of an image. Shuffled images are not in any cache, and waiting for many lines at
/// once is several times faster than for one after the other.
fn fetch(image: &[u8]) {
    const LINE: usize = 64;
    let bytes = image.iter().step_by(LINE);
    std::hint::black_box(bytes.fold(0, |all, byte| all ^ byte));
}

/// Uploads `len` images of scaled pixels.
pub(crate) fn upload(
    pixels: Vec<f32>,
    len: usize,
    [height, width]: [usize; 2],
    device: &Device,
) -> Tensor<4> {
    Tensor::from_data(TensorData::new(pixels, [len, 1, height, width]), device)
}

/// `pixel / 255`, correctly rounded, without the division that would dominate the cost of a batch.
#[inline]
pub(crate) fn scale(pixel: u8) -> f32 {
    // 1 / 255 in two parts: the product of eight bits and the upper one is exact.
    const UPPER: f32 = 1.0 / 256.0;
    const LOWER: f32 = 1.0 / 255.0 / 256.0;
    let pixel = f32::from(pixel);
    pixel * UPPER + pixel * LOWER
}

/// The order of the images in one pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The order of the data set.
    Sequential,
    /// The [`permutation`] given by a seed and an epoch.
    Shuffled {
        /// The seed of the whole run.
        seed: u64,
        /// The epoch, counted from 0.
        epoch: u64,
    },
}

/// The batches of one pass over a data set; created by [`ImageDataset::batches`].
///
/// Every image occurs once; the last batch may be smaller.
#[derive(Debug)]
pub struct Batches<'a> {
    dataset: &'a ImageDataset,
    indices: Vec<usize>,
    order: Order,
    batch_size: usize,
    next: usize,
    device: Device,
    augmentation: Augmentation,
}

/// An image of a pass over a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// Its index in the data set.
    pub image: usize,
    /// How it is changed.
    pub change: Change,
}

impl Batches<'_> {
    /// The images of all batches that are left, in their order: for a program that gathers batches itself, such as one
    /// whose data set is on a GPU.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use lenet_data::{Order, synthetic};
    ///
    /// let garments = synthetic::garments(100, 0);
    /// let order = Order::Shuffled { seed: 0, epoch: 0 };
    /// let mut batches = garments.batches(32, order, &Device::flex())?;
    /// let images: Vec<usize> = batches.places().map(|place| place.image).collect();
    /// assert_eq!(images.len(), 100);
    /// let first = batches.next().unwrap();
    /// let same = garments.batch(&images[..32], &Device::flex());
    /// assert_eq!(first.labels.to_data(), same.labels.to_data());
    /// # Ok::<(), lenet_data::DataError>(())
    /// ```
    pub fn places(&self) -> impl ExactSizeIterator<Item = Place> {
        let (order, augmentation, first) = (self.order, self.augmentation, self.next);
        let (_, left) = self.indices.split_at(first);
        left.iter().enumerate().map(move |(place, &image)| Place {
            image,
            change: match order {
                Order::Sequential => Change::default(),
                Order::Shuffled { seed, epoch } => augmentation.draw(seed, epoch, first + place),
            },
        })
    }

    /// Sets the random changes to the images, drawn from the seed and the epoch of the shuffled
    /// order. In sequential order, the images are not changed.
    #[must_use]
    pub fn with_augmentation(mut self, augmentation: Augmentation) -> Self {
        self.augmentation = augmentation;
        self
    }
}

impl ImageDataset {
    /// The batches of one pass: for each, gather bytes, scale them to [0, 1] and upload them once.
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
        let indices = match order {
            Order::Sequential => (0..self.len()).collect(),
            Order::Shuffled { seed, epoch } => permutation(self.len(), seed, epoch),
        };
        Ok(Batches {
            dataset: self,
            indices,
            order,
            batch_size,
            next: 0,
            device: device.clone(),
            augmentation: Augmentation::default(),
        })
    }

    /// One batch of the images at these indices, in this order.
    ///
    /// # Panics
    ///
    /// If an index is out of bounds, as indexing a slice does.
    pub fn batch(&self, indices: &[usize], device: &Device) -> Batch {
        let images = indices.iter().map(|&index| {
            let (image, label) = self.at(index);
            (image, label, Change::default())
        });
        Batch::gather(&images.collect::<Vec<_>>(), self.image_size(), device)
    }
}

impl Iterator for Batches<'_> {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let dataset = self.dataset;
        let images = self.places().take(self.batch_size);
        let images: Vec<_> = images
            .map(|place| {
                let (image, label) = dataset.at(place.image);
                (image, label, place.change)
            })
            .collect();
        self.next += images.len();
        let some = !images.is_empty();
        some.then(|| Batch::gather(&images, dataset.image_size(), &self.device))
    }

    /// Skips batches without making them.
    fn nth(&mut self, count: usize) -> Option<Batch> {
        let images = count.saturating_mul(self.batch_size);
        self.next = self.next.saturating_add(images).min(self.indices.len());
        self.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.indices.len() - self.next).div_ceil(self.batch_size);
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
