//! Why a data set could not be loaded or used. `idx` and `picture` have errors of their own.

use std::path::PathBuf;

use thiserror::Error;

use crate::idx::{ElementType, IdxError};
use crate::{FileError, KnownDataset, PublishedDigest};

/// Why a data set could not be loaded or used.
///
/// A message does not repeat its [`source`](std::error::Error::source): print the chain, for
/// example with `{error:#}` of `anyhow`.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// The data set is not on disk and was not downloaded.
    #[error(
        "{dataset} was not found. Searched:{}\n\
         It was not downloaded: {download}\n\
         To get it, connect to the network and run again, or put its four files (plain or .gz) into \
         DIR/{dataset} and pass DIR with --data-dir or LENET_DATA_DIR. They are published at {}",
        list(searched), dataset.homepage()
    )]
    Missing {
        /// The data set.
        dataset: KnownDataset,
        /// Every folder searched and what it lacks, in order.
        searched: Vec<SearchedPlace>,
        /// Why it was not downloaded.
        download: String,
    },
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file is not an intact IDX file.
    #[error("{path}")]
    Idx {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: IdxError,
    },
    /// An IDX file holds something other than images or labels.
    #[error(
        "{path}: expected rank {expected_rank} of u8 ({}), found rank {found_rank} of {found_type}",
        role(*expected_rank)
    )]
    Kind {
        /// The file.
        path: PathBuf,
        /// 3 for images, 1 for labels.
        expected_rank: usize,
        /// Rank in the file.
        found_rank: usize,
        /// Element type in the file.
        found_type: ElementType,
    },
    /// A file of a known data set does not have the published shape.
    #[error(
        "{path}: expected shape {expected:?} for {dataset}, found {found:?}\n\
         Remove or replace the file, or choose another folder."
    )]
    Shape {
        /// The file.
        path: PathBuf,
        /// The data set it should belong to.
        dataset: KnownDataset,
        /// The published shape.
        expected: Vec<usize>,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// A file is not the published one.
    #[error(
        "{path}: not the published {dataset} file: expected\n  {expected}, found\n  {found}\n\
         Remove or replace the file, or choose another folder.{}",
        recompressed(*expected)
    )]
    Digest {
        /// The file.
        path: PathBuf,
        /// The data set it should belong to.
        dataset: KnownDataset,
        /// The published digest.
        expected: PublishedDigest,
        /// The same digest of this file, in hexadecimal.
        found: String,
    },
    /// A file has the digest of a different published file.
    #[error(
        "{path}: expected {dataset}'s {expected}, found {found_dataset}'s {found}\n{}",
        remedy(*dataset, *found_dataset)
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The data set it should belong to.
        dataset: KnownDataset,
        /// The name of the file it should be.
        expected: &'static str,
        /// The data set it belongs to.
        found_dataset: KnownDataset,
        /// The name of the file it is.
        found: &'static str,
    },
    /// The numbers of images and labels differ.
    #[error("{images} images but {labels} labels")]
    CountMismatch {
        /// Number of whole images.
        images: usize,
        /// Number of labels.
        labels: usize,
    },
    /// A label is not an index into the class names.
    #[error(
        "image {index} has label {found}, but labels must be less than {classes}, the number of classes"
    )]
    Label {
        /// Index of the image.
        index: usize,
        /// The label.
        found: u8,
        /// Number of classes.
        classes: usize,
    },
    /// Images have no pixels.
    #[error("images must have at least one pixel, got {height}×{width}")]
    ImageSize {
        /// Height in pixels.
        height: usize,
        /// Width in pixels.
        width: usize,
    },
    /// The batch size is 0.
    #[error("batch size must be at least 1, got 0")]
    BatchSize,
}

/// A folder that was searched for a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SearchedPlace {
    /// The folder.
    pub folder: PathBuf,
    /// Why it was searched, such as `LENET_DATA_DIR`.
    pub reason: &'static str,
    /// Names of the files present, plain or with `.gz`.
    pub found: Vec<String>,
    /// Names of the missing files.
    pub missing: Vec<&'static str>,
}

fn list(searched: &[SearchedPlace]) -> String {
    let lines = searched.iter().map(|place| {
        let files = match place.found.as_slice() {
            [] => "none of its files".to_owned(),
            found => format!(
                "has {}; missing {}",
                found.join(", "),
                place.missing.join(", ")
            ),
        };
        format!("\n  {} ({}): {files}", place.folder.display(), place.reason)
    });
    lines.collect()
}

fn recompressed(expected: PublishedDigest) -> &'static str {
    match expected {
        PublishedDigest::Sha256(_) => "",
        PublishedDigest::GzipMd5(_) => {
            " If it was compressed again, decompress it: it is then verified by type and shape alone."
        }
    }
}

fn remedy(dataset: KnownDataset, found: KnownDataset) -> String {
    if dataset == found {
        return "Rename the file, or replace it.".to_owned();
    }
    format!(
        "To use {found}, choose it with --dataset {found} or KnownDataset::{found:?}; for {dataset}, choose \
         another folder with --data-dir or LENET_DATA_DIR."
    )
}

fn role(rank: usize) -> &'static str {
    match rank {
        3 => "images",
        1 => "labels",
        _ => unreachable!("images have rank 3 and labels rank 1, not {rank}"),
    }
}
