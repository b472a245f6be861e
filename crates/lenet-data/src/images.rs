//! Labelled images in memory: building, selecting, splitting. Batches of tensors are in `batch`.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::shared_bytes::SharedBytes;
use crate::{DataError, IdxFile, Verification, permutation, verification};

/// Labelled grey images in one contiguous buffer.
///
/// Cloning is cheap: clones and [`take`](Self::take) share the pixels.
///
/// ```
/// use lenet_data::ImageDataset;
///
/// let pixels = vec![0; 3 * 28 * 28];
/// let dataset = ImageDataset::new("blank", pixels, vec![0, 1, 1], [28, 28], ["no", "yes"])?;
/// assert_eq!(dataset.len(), 3);
/// assert_eq!(dataset.class_names()[1], "yes");
/// # Ok::<(), lenet_data::DataError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ImageDataset {
    name: Arc<str>,
    images: SharedBytes,
    labels: SharedBytes,
    image_size: [usize; 2],
    class_names: Arc<[String]>,
    synthetic: bool,
    verification: Option<Verification>,
}

/// A data set as it is published: images to train on, and images to test with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splits {
    /// The images to train on.
    pub train: ImageDataset,
    /// The images to test with, never used for training or for choosing a model.
    pub test: ImageDataset,
}

impl Splits {
    /// The weaker verification of the two parts, see [`ImageDataset::verification`].
    ///
    /// ```
    /// use lenet_data::{Verification, synthetic};
    ///
    /// let splits = synthetic::garment_splits(10, 10);
    /// assert_eq!(splits.verification(), None); // generated, not published
    /// if splits.verification() == Some(Verification::Shape) {
    ///     println!("verified by {}", Verification::Shape);
    /// }
    /// ```
    pub fn verification(&self) -> Option<Verification> {
        self.train.verification().min(self.test.verification())
    }
}

impl ImageDataset {
    /// Takes over pixels (`[image, height, width]`, 0 is black) and labels.
    ///
    /// # Errors
    ///
    /// [`DataError`] if the counts differ, a label has no class name, or an image has no pixels.
    pub fn new<S: Into<String>>(
        name: impl Into<String>,
        images: Vec<u8>,
        labels: Vec<u8>,
        image_size: [usize; 2],
        class_names: impl IntoIterator<Item = S>,
    ) -> Result<Self, DataError> {
        let name = name.into().into();
        let class_names = class_names.into_iter().map(Into::into).collect();
        Self::from_parts(name, images.into(), labels.into(), image_size, class_names)
    }

    /// Builds the data set from an IDX file of images and one of labels.
    ///
    /// The pixels stay where the file was read to. See [`IdxFile`] for an example.
    ///
    /// # Errors
    ///
    /// [`DataError::Kind`] if a file does not hold images (`u8`, rank 3) or labels (`u8`, rank 1);
    /// another [`DataError`] if they do not fit together, as for [`new`](Self::new).
    pub fn from_idx<S: Into<String>>(
        name: impl Into<String>,
        images: IdxFile,
        labels: IdxFile,
        class_names: impl IntoIterator<Item = S>,
    ) -> Result<Self, DataError> {
        let (images, [_, height, width]) = images.into_bytes::<3>()?;
        let (labels, [_]) = labels.into_bytes::<1>()?;
        let name = name.into().into();
        let class_names = class_names.into_iter().map(Into::into).collect();
        Self::from_parts(name, images, labels, [height, width], class_names)
    }

    fn from_parts(
        name: Arc<str>,
        images: SharedBytes,
        labels: SharedBytes,
        image_size: [usize; 2],
        class_names: Arc<[String]>,
    ) -> Result<Self, DataError> {
        let [height, width] = image_size;
        let pixels = height.checked_mul(width).filter(|&pixels| pixels > 0);
        let pixels = pixels.ok_or(DataError::ImageSize { height, width })?;
        if !images.len().is_multiple_of(pixels) || images.len() / pixels != labels.len() {
            return Err(DataError::CountMismatch {
                images: images.len() / pixels,
                labels: labels.len(),
            });
        }
        let classes = class_names.len();
        let mut numbered = labels.iter().copied().enumerate();
        if let Some((index, found)) = numbered.find(|&(_, label)| usize::from(label) >= classes) {
            return Err(DataError::Label {
                index,
                found,
                classes,
            });
        }
        Ok(Self {
            name,
            images,
            labels,
            image_size,
            class_names,
            synthetic: false,
            verification: None,
        })
    }

    /// Marks the images as synthetic, so that nothing made from them passes for real.
    pub(crate) fn marked_synthetic(mut self) -> Self {
        self.synthetic = true;
        self
    }

    pub(crate) fn verified_by(mut self, verification: Verification) -> Self {
        self.verification = Some(verification);
        self
    }

    /// The name, such as `fashion-mnist`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the images were generated by [`synthetic`](crate::synthetic).
    pub fn is_synthetic(&self) -> bool {
        self.synthetic
    }

    /// How the images were verified, if a [`Loader`](crate::Loader) read them from a published
    /// data set.
    pub fn verification(&self) -> Option<Verification> {
        self.verification
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Height and width of every image in pixels.
    pub fn image_size(&self) -> [usize; 2] {
        self.image_size
    }

    /// The names of the classes; a label is an index into them.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// All labels.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// All pixels, `[image, height, width]`, from 0 (black) to 255 (white).
    pub fn images(&self) -> &[u8] {
        &self.images
    }

    /// The pixels of one image, `[height, width]`, or `None` if there is no such image.
    pub fn image(&self, index: usize) -> Option<&[u8]> {
        self.images.chunks_exact(self.pixels()).nth(index)
    }

    /// Pixels of one image.
    fn pixels(&self) -> usize {
        let [height, width] = self.image_size;
        height * width
    }

    /// One image and its label.
    #[track_caller]
    pub(crate) fn at(&self, index: usize) -> (&[u8], u8) {
        match (self.image(index), self.labels.get(index)) {
            (Some(image), Some(&label)) => (image, label),
            _ => panic_out_of_bounds(index, self.len()),
        }
    }

    /// SHA-256 of image size, labels and pixels, in hexadecimal.
    ///
    /// Equal images have equal digests, whatever file they came from.
    pub fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for size in self.image_size {
            digest.update((size as u64).to_le_bytes());
        }
        digest.update((self.labels.len() as u64).to_le_bytes());
        digest.update(&*self.labels);
        digest.update(&*self.images);
        verification::hexadecimal(&digest.finalize())
    }

    /// The images at these indices, in this order.
    ///
    /// # Panics
    ///
    /// If an index is out of bounds, as indexing a slice does.
    #[must_use]
    #[track_caller]
    pub fn select(&self, indices: &[usize]) -> Self {
        let mut images = Vec::with_capacity(indices.len() * self.pixels());
        let mut labels = Vec::with_capacity(indices.len());
        for &index in indices {
            let (image, label) = self.at(index);
            images.extend_from_slice(image);
            labels.push(label);
        }
        Self {
            images: images.into(),
            labels: labels.into(),
            ..self.clone()
        }
    }

    /// The first `count` images, or all if there are fewer. Shares the pixels.
    ///
    /// ```
    /// use lenet_data::synthetic;
    ///
    /// let garments = synthetic::garments(20, 0);
    /// assert_eq!(garments.take(12), synthetic::garments(12, 0));
    /// ```
    #[must_use]
    pub fn take(&self, count: usize) -> Self {
        let count = count.min(self.len());
        Self {
            images: self.images.head(count * self.pixels()),
            labels: self.labels.head(count),
            ..self.clone()
        }
    }

    /// The images of one class, or `None` if no class has this name.
    ///
    /// ```
    /// use lenet_data::synthetic;
    ///
    /// let garments = synthetic::garments(100, 0);
    /// let coats = garments.of_class("coat").expect("a class of Fashion-MNIST");
    /// assert_eq!(coats.labels(), [4; 10]);
    /// assert!(garments.of_class("hat").is_none());
    /// ```
    #[must_use]
    pub fn of_class(&self, name: &str) -> Option<Self> {
        let class = self.class_names.iter().position(|class| class == name)?;
        let labels = self.labels.iter().enumerate();
        let indices = labels.filter(|&(_, &label)| usize::from(label) == class);
        Some(self.select(&indices.map(|(index, _)| index).collect::<Vec<_>>()))
    }

    /// Splits at random into images to train on and `validation` images, in this order.
    ///
    /// The split depends only on the seed. If there are fewer images than `validation`, all of
    /// them become validation images.
    #[must_use]
    pub fn split_validation(&self, validation: usize, seed: u64) -> (Self, Self) {
        // An epoch that no training reaches.
        let order = permutation(self.len(), seed, u64::from(u32::MAX));
        let (validation, train) = order.split_at(validation.min(self.len()));
        (self.select(train), self.select(validation))
    }
}

#[cold]
#[track_caller]
#[expect(clippy::panic, reason = "a wrong index is a bug of the caller")]
fn panic_out_of_bounds(index: usize, len: usize) -> ! {
    panic!("index {index} is out of bounds: the data set has {len} images");
}

impl fmt::Debug for ImageDataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageDataset")
            .field("name", &self.name)
            .field("len", &self.len())
            .field("image_size", &self.image_size)
            .field("classes", &self.class_names.len())
            .field("synthetic", &self.synthetic)
            .finish_non_exhaustive()
    }
}
