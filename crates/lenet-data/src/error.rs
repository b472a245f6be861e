use std::path::PathBuf;

use thiserror::Error;

use crate::KnownDataset;
use crate::idx::{ElementType, IdxError};

/// Why a data set cannot be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// The data set is in none of the places that were looked at.
    #[error("{dataset} was not found. Looked in:{}{}{}", list(searched), download_note(download), ways(*dataset))]
    Missing {
        /// The data set.
        dataset: KnownDataset,
        /// Every place and what it lacks, in the order of the search.
        searched: Vec<SearchedPlace>,
        /// Why it was not downloaded either.
        download: String,
    },
    /// A file could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file is no intact IDX file.
    #[error("{path}: {source}", path = path.display())]
    Idx {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: IdxError,
    },
    /// An IDX file holds something else than images or labels.
    #[error(
        "{path}: expected rank {expected_rank} of u8 ({}), found rank {found_rank} of {found_type}",
        role(*expected_rank), path = path.display()
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
    /// A file of a known data set has another shape than the published one.
    #[error(
        "{path}: {dataset} has shape {expected:?} here, the file has {found:?}\n\
         Remove or replace the file, or name another folder.",
        path = path.display()
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
        "{path}: not the published {dataset} file: SHA-256 of its decompressed bytes should be\n  \
         {expected}, but is\n  {found}\nRemove or replace the file, or name another folder.",
        path = path.display()
    )]
    Digest {
        /// The file.
        path: PathBuf,
        /// The data set it should belong to.
        dataset: KnownDataset,
        /// The published digest in hexadecimal.
        expected: String,
        /// The file's digest in hexadecimal.
        found: String,
    },
    /// A compressed file is not the published one.
    #[error(
        "{path}: not the published {dataset} file: MD5 of the compressed file should be\n  \
         {expected}, but is\n  {found}\nRemove or replace the file, or name another folder. If it \
         was compressed again, decompress it: it is then verified by type and shape alone.",
        path = path.display()
    )]
    GzipDigest {
        /// The file.
        path: PathBuf,
        /// The data set it should belong to.
        dataset: KnownDataset,
        /// The published digest in hexadecimal.
        expected: String,
        /// The file's digest in hexadecimal.
        found: String,
    },
    /// A file's digest is that of another published file.
    #[error(
        "{path}: expected {dataset}'s {expected}, found {found_dataset}'s {found}\n{}",
        way_to(*dataset, *found_dataset), path = path.display()
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
    /// Images and labels are not of the same number.
    #[error("{images} images but {labels} labels")]
    CountMismatch {
        /// Number of whole images.
        images: usize,
        /// Number of labels.
        labels: usize,
    },
    /// A label names no class.
    #[error("label {found} of image {index} is beyond the {classes} classes (0 to {})", classes.saturating_sub(1))]
    Label {
        /// Index of the image.
        index: usize,
        /// The label.
        found: u8,
        /// Number of classes.
        classes: usize,
    },
    /// Images without pixels.
    #[error("images of {height}×{width} pixels hold nothing")]
    ImageSize {
        /// Height in pixels.
        height: usize,
        /// Width in pixels.
        width: usize,
    },
    /// A batch of no images.
    #[error("batch size is 0: it must be at least 1")]
    BatchSize,
}

/// A folder in which a data set was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SearchedPlace {
    /// The folder.
    pub folder: PathBuf,
    /// Why it was looked at, as `LENET_DATA_DIR`.
    pub reason: &'static str,
    /// Names of the files that are there, plain or with `.gz`.
    pub found: Vec<String>,
    /// Names of the files that are not there.
    pub missing: Vec<&'static str>,
}

/// An index beyond the end of a data set.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("index {index} is beyond the {len} images of the data set")]
pub struct IndexError {
    /// The index asked for.
    pub index: usize,
    /// The number of images.
    pub len: usize,
}

fn list(searched: &[SearchedPlace]) -> String {
    searched
        .iter()
        .map(|place| {
            let files = match place.found.as_slice() {
                [] => "none of its files".to_owned(),
                found => format!(
                    "has {}; lacks {}",
                    found.join(", "),
                    place.missing.join(", ")
                ),
            };
            format!("\n  {} ({}): {files}", place.folder.display(), place.reason)
        })
        .collect()
}

fn download_note(download: &str) -> String {
    format!("\nIt was not downloaded: {download}")
}

fn ways(dataset: KnownDataset) -> String {
    format!(
        "\nTo get it, either connect to the network and run again, or put its four files (plain or .gz) \
         into DIR/{dataset} and name DIR with --data-dir or LENET_DATA_DIR. They are published at {}",
        dataset.homepage()
    )
}

fn way_to(dataset: KnownDataset, found: KnownDataset) -> String {
    if dataset == found {
        return "Rename the file, or replace it.".to_owned();
    }
    format!(
        "To use {found}, choose it with --dataset {found} or KnownDataset::{found:?}; for {dataset}, name \
         another folder with --data-dir or LENET_DATA_DIR."
    )
}

fn role(rank: usize) -> &'static str {
    match rank {
        3 => "images",
        _ => "labels",
    }
}
