use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::{Dataset, DatasetError};
use burn::tensor::{Device, Int, Tensor};

use crate::batch::scale;
use crate::{Batch, ImageDataset, IndexError};

/// One labelled image, as burn's `Dataset` gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageItem {
    /// Pixels, `[height, width]`, from 0 (black) to 255.
    pub pixels: Vec<u8>,
    /// Height and width in pixels.
    pub image_size: [usize; 2],
    /// Index into the class names.
    pub label: u8,
}

impl Dataset<ImageItem> for ImageDataset {
    fn get(&self, index: usize) -> Result<ImageItem, DatasetError> {
        match (self.image(index), self.labels().get(index)) {
            (Some(pixels), Some(&label)) => Ok(ImageItem {
                pixels: pixels.to_vec(),
                image_size: self.image_size(),
                label,
            }),
            _ => Err(DatasetError::new(IndexError {
                index,
                len: ImageDataset::len(self),
            })),
        }
    }

    fn len(&self) -> usize {
        ImageDataset::len(self)
    }
}

/// Makes a [`Batch`] of [`ImageItem`]s for burn's `DataLoader`.
///
/// The loop of this project does not need it: [`ImageDataset::batches`] copies each pixel once.
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
    /// Items of another size than the first one's are left out.
    fn batch(&self, items: Vec<ImageItem>, device: &Device) -> Batch {
        let [height, width] = items.first().map_or([0, 0], |item| item.image_size);
        let items = items.iter().filter(|item| {
            item.image_size == [height, width] && item.pixels.len() == height * width
        });
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for item in items {
            pixels.extend(item.pixels.iter().map(|&pixel| scale(pixel)));
            labels.push(i32::from(item.label));
        }
        Batch::from_host(pixels, labels, [height, width], device)
    }
}

/// Images and labels as a tuple, as the steps of a `LeNet` in burn's `Learner` take them.
impl Batcher<ImageItem, (Tensor<4>, Tensor<1, Int>)> for ImageBatcher {
    fn batch(&self, items: Vec<ImageItem>, device: &Device) -> (Tensor<4>, Tensor<1, Int>) {
        let Batch { images, labels } = self.batch(items, device);
        (images, labels)
    }
}
