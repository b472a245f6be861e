//! The traits of burn's data loaders: `Dataset` for [`ImageDataset`], `Batcher` for batches.

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::{Dataset, DatasetError};
use burn::tensor::{Device, Int, Tensor};
use thiserror::Error;

use crate::augmentation::Change;
use crate::{Batch, ImageDataset};

/// An index beyond the end of a data set.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("index {index} is out of bounds: the data set has {len} images")]
pub struct IndexError {
    /// The index.
    pub index: usize,
    /// The number of images.
    pub len: usize,
}

/// One labelled image, an item of burn's `Dataset`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageItem {
    /// Pixels, `[height, width]`, from 0 (black) to 255 (white).
    pub pixels: Vec<u8>,
    /// Height and width in pixels.
    pub image_size: [usize; 2],
    /// Index into the class names.
    pub label: u8,
}

impl Dataset<ImageItem> for ImageDataset {
    fn get(&self, index: usize) -> Result<ImageItem, DatasetError> {
        let len = ImageDataset::len(self);
        if index >= len {
            return Err(DatasetError::new(IndexError { index, len }));
        }
        let (pixels, label) = self.at(index);
        Ok(ImageItem {
            pixels: pixels.to_vec(),
            image_size: self.image_size(),
            label,
        })
    }

    fn len(&self) -> usize {
        ImageDataset::len(self)
    }
}

/// Makes a [`Batch`] of [`ImageItem`]s for burn's `DataLoader`.
///
/// Without burn's loaders, prefer [`ImageDataset::batches`], which copies each pixel only once.
///
/// ```
/// use burn::data::dataloader::batcher::Batcher;
/// use burn::data::dataset::Dataset;
/// use burn::tensor::Device;
/// use lenet_data::{Batch, ImageBatcher, synthetic};
///
/// let digits = synthetic::digits(8, 0);
/// let items = vec![digits.get(0)?, digits.get(5)?];
/// let batch: Batch = ImageBatcher.batch(items, &Device::flex());
/// assert_eq!(batch.images.dims(), [2, 1, 28, 28]);
/// # Ok::<(), burn::data::dataset::DatasetError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ImageBatcher;

impl Batcher<ImageItem, Batch> for ImageBatcher {
    /// # Panics
    ///
    /// If the items differ in size.
    fn batch(&self, items: Vec<ImageItem>, device: &Device) -> Batch {
        let image_size = items.first().map_or([0, 0], |item| item.image_size);
        let images = items.iter().map(|item| {
            assert_eq!(item.image_size, image_size, "image sizes differ in a batch");
            (item.pixels.as_slice(), item.label, Change::default())
        });
        Batch::gather(&images.collect::<Vec<_>>(), image_size, device)
    }
}

/// Images and labels as a tuple, the input of the steps that burn's `Learner` runs.
impl Batcher<ImageItem, (Tensor<4>, Tensor<1, Int>)> for ImageBatcher {
    fn batch(&self, items: Vec<ImageItem>, device: &Device) -> (Tensor<4>, Tensor<1, Int>) {
        let Batch { images, labels } = self.batch(items, device);
        (images, labels)
    }
}
