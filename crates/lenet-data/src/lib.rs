#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
//!
//! # Map of the crate
//!
//! | task | items |
//! |---|---|
//! | parse or write IDX bytes | [`idx`] |
//! | load MNIST, Fashion-MNIST, KMNIST | [`KnownDataset`], [`Loader`], [`Verification`] |
//! | load your own IDX files | [`IdxFile`], [`ImageDataset::from_idx`] |
//! | hold, select and split images | [`ImageDataset`], [`Splits`] |
//! | feed a network | [`ImageDataset::batches`], [`Batch`], [`Order`] |
//! | augment training images | [`Augmentation`] |
//! | generate images without any file | [`synthetic`] |
//! | name the classes of a network | [`class_names`] |
//! | read any picture file or drawing | `Picture` (feature `pictures`) |
//! | use burn's data loaders | `ImageItem`, `ImageBatcher` (feature `dataset`) |

mod augmentation;
mod batch;
#[cfg(feature = "dataset")]
mod burn_dataset;
mod class_names;
#[cfg(feature = "download")]
mod download;
#[cfg(feature = "pictures")]
mod drawing;
mod error;
mod file;
mod gzip;
pub mod idx;
mod idx_file;
mod images;
mod known;
mod loader;
#[cfg(feature = "pictures")]
mod picture;
mod progress;
mod random;
mod shared_bytes;
pub mod synthetic;
mod verification;

pub use augmentation::{Augmentation, Change};
pub use batch::{Batch, Batches, Order, Place};
#[cfg(feature = "dataset")]
pub use burn_dataset::{ImageBatcher, ImageItem, IndexError};
pub use class_names::{ClassCountError, class_names};
pub use error::{DataError, SearchedPlace};
pub use file::FileError;
pub use idx_file::IdxFile;
pub use images::{ImageDataset, Splits};
pub use known::{KnownDataset, KnownFile, PublishedDigest, UnknownDataset};
pub use loader::Loader;
#[cfg(feature = "pictures")]
pub use picture::{Picture, PictureError, Polarity, UnknownPolarity};
pub use progress::DownloadProgress;
pub use random::permutation;
pub use verification::Verification;
