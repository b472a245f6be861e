//! An IDX file in memory under its name, between reading bytes and building a data set.

use std::path::PathBuf;

use crate::DataError;
use crate::file;
use crate::idx::{ElementType, Idx, MAX_DECOMPRESSED};
use crate::shared_bytes::SharedBytes;

/// An IDX file in memory, and the path that errors name it by.
///
/// ```
/// use lenet_data::idx::Values;
/// use lenet_data::{IdxFile, ImageDataset};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("images");
/// std::fs::write(&path, Values::U8(vec![0; 2 * 28 * 28]).to_idx(&[2, 28, 28])?)?;
///
/// let images = IdxFile::open(path)?;
/// let labels = IdxFile::from_bytes("labels", Values::U8(vec![0, 1]).to_idx(&[2])?)?;
/// let dataset = ImageDataset::from_idx("mine", images, labels, ["no", "yes"])?;
/// assert_eq!(dataset.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdxFile {
    pub(crate) path: PathBuf,
    pub(crate) idx: Idx<'static>,
}

impl IdxFile {
    /// Reads a file, plain or gzip-compressed, of at most [`MAX_DECOMPRESSED`] bytes.
    ///
    /// # Errors
    ///
    /// [`DataError::File`] if it cannot be read, [`DataError::Idx`] if it is not an IDX file.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, DataError> {
        let path = path.into();
        let bytes = file::read(&path, MAX_DECOMPRESSED as u64)?;
        Self::from_bytes(path, bytes)
    }

    /// Takes over the bytes of a file, plain or gzip-compressed; plain bytes are not copied.
    ///
    /// # Errors
    ///
    /// [`DataError::Idx`] if they are not an IDX file.
    pub fn from_bytes(path: impl Into<PathBuf>, bytes: Vec<u8>) -> Result<Self, DataError> {
        let path = path.into();
        match Idx::decode(bytes, MAX_DECOMPRESSED) {
            Ok(idx) => Ok(Self { path, idx }),
            Err(source) => Err(DataError::Idx { path, source }),
        }
    }

    /// The bytes of a file of rank `R`, and its shape.
    pub(crate) fn into_bytes<const R: usize>(self) -> Result<(SharedBytes, [usize; R]), DataError> {
        let Self { path, idx } = self;
        match (<[usize; R]>::try_from(idx.shape()), idx.element_type()) {
            (Ok(shape), ElementType::U8) => Ok((idx.into_payload(), shape)),
            (_, found_type) => Err(DataError::Kind {
                path,
                expected_rank: R,
                found_rank: idx.shape().len(),
                found_type,
            }),
        }
    }
}
