use std::path::Path;

use sha2::{Digest, Sha256};

use crate::DataError;
use crate::idx::{ElementType, Idx};
use crate::synthetic::SIZE;
use crate::{Verification, verification};

/// Labelled grey images in one contiguous buffer.
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
    name: String,
    images: Vec<u8>,
    labels: Vec<u8>,
    image_size: [usize; 2],
    class_names: Vec<String>,
    synthetic: bool,
    verification: Option<Verification>,
}

/// A data set as it is published: one part to train on, one to test with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splits {
    /// What the network learns from.
    pub train: ImageDataset,
    /// What it is judged by; never used to choose anything.
    pub test: ImageDataset,
}

impl Splits {
    /// What vouches for both parts, see [`ImageDataset::verification`].
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
        let class_names: Vec<String> = class_names.into_iter().map(Into::into).collect();
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
        if let Some(index) = labels
            .iter()
            .position(|&label| usize::from(label) >= classes)
        {
            return Err(DataError::Label {
                index,
                found: labels.get(index).copied().unwrap_or_default(),
                classes,
            });
        }
        Ok(Self {
            name: name.into(),
            images,
            labels,
            image_size,
            class_names,
            synthetic: false,
            verification: None,
        })
    }

    /// Builds the data set from the decompressed bytes of an IDX file of images and one of labels.
    ///
    /// # Errors
    ///
    /// [`DataError`] naming the file, if either is no IDX file, has another rank or element type
    /// than images (`u8`, rank 3) or labels (`u8`, rank 1) have, or the two do not fit together.
    pub fn from_idx<S: Into<String>>(
        name: impl Into<String>,
        (images_path, images): (&Path, Vec<u8>),
        (labels_path, labels): (&Path, Vec<u8>),
        class_names: impl IntoIterator<Item = S>,
    ) -> Result<Self, DataError> {
        let (images, shape) = bytes_of_rank::<3>(images_path, images)?;
        let (labels, _) = bytes_of_rank::<1>(labels_path, labels)?;
        let [_, height, width] = shape;
        Self::new(name, images, labels, [height, width], class_names)
    }

    /// Drawings of the project, marked as such so that nothing shown of them passes for real.
    pub(crate) fn drawings(
        name: &str,
        images: Vec<u8>,
        labels: Vec<u8>,
        class_names: &[&str],
    ) -> Self {
        Self {
            name: name.to_owned(),
            images,
            labels,
            image_size: [SIZE, SIZE],
            class_names: class_names.iter().map(|&name| name.to_owned()).collect(),
            synthetic: true,
            verification: None,
        }
    }

    /// The name, as `fashion-mnist`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the images are drawings of the project, see [`synthetic`](crate::synthetic).
    pub fn is_synthetic(&self) -> bool {
        self.synthetic
    }

    /// What vouches for the images, if they are of a published data set that a
    /// [`Loader`](crate::Loader) read.
    pub fn verification(&self) -> Option<Verification> {
        self.verification
    }

    pub(crate) fn verified_by(self, verification: Verification) -> Self {
        Self {
            verification: Some(verification),
            ..self
        }
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image.
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

    /// All pixels, `[image, height, width]`, from 0 (black) to 255.
    pub fn images(&self) -> &[u8] {
        &self.images
    }

    /// The pixels of one image, `[height, width]`, or `None` beyond the end.
    pub fn image(&self, index: usize) -> Option<&[u8]> {
        let [height, width] = self.image_size;
        self.images.chunks_exact(height * width).nth(index)
    }

    /// SHA-256 of image size, labels and pixels, in hexadecimal: the same for the same images,
    /// whatever file they came from.
    pub fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for size in self.image_size {
            digest.update((size as u64).to_le_bytes());
        }
        digest.update((self.labels.len() as u64).to_le_bytes());
        digest.update(&self.labels);
        digest.update(&self.images);
        verification::hexadecimal(&digest.finalize())
    }

    /// The images at these indices, in this order; indices beyond the end are left out.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        let [height, width] = self.image_size;
        let mut images = Vec::with_capacity(indices.len() * height * width);
        let mut labels = Vec::with_capacity(indices.len());
        for &index in indices {
            if let (Some(image), Some(&label)) = (self.image(index), self.labels.get(index)) {
                images.extend_from_slice(image);
                labels.push(label);
            }
        }
        Self {
            images,
            labels,
            name: self.name.clone(),
            class_names: self.class_names.clone(),
            ..*self
        }
    }

    /// Divides at random into a part to train on and `validation` images to choose by.
    ///
    /// The division depends on the seed alone. At most all images become validation images.
    #[must_use]
    pub fn split_validation(&self, validation: usize, seed: u64) -> (Self, Self) {
        // An epoch that training never reaches.
        let order = crate::permutation(self.len(), seed, u64::from(u32::MAX));
        let (validation, train) = order.split_at(validation.min(self.len()));
        (self.select(train), self.select(validation))
    }
}

impl std::fmt::Debug for ImageDataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImageDataset")
            .field("name", &self.name)
            .field("len", &self.len())
            .field("image_size", &self.image_size)
            .field("classes", &self.class_names.len())
            .field("synthetic", &self.synthetic)
            .finish_non_exhaustive()
    }
}

/// The elements of an IDX file that must be of rank `R` and of bytes.
fn bytes_of_rank<const R: usize>(
    path: &Path,
    mut bytes: Vec<u8>,
) -> Result<(Vec<u8>, [usize; R]), DataError> {
    let idx = Idx::parse(&bytes).map_err(|source| DataError::Idx {
        path: path.to_owned(),
        source,
    })?;
    let found_type = idx.element_type();
    let shape: Result<[usize; R], _> = idx.shape().try_into();
    let (Ok(shape), ElementType::U8) = (shape, found_type) else {
        return Err(DataError::Kind {
            path: path.to_owned(),
            expected_rank: R,
            found_rank: idx.shape().len(),
            found_type,
        });
    };
    let header = bytes.len() - idx.payload().len();
    bytes.drain(..header);
    Ok((bytes, shape))
}
