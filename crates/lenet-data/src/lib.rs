#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
//!
//! # Map of the crate
//!
//! | to do this | use |
//! |---|---|
//! | read or write IDX bytes | [`idx`] |
//! | get MNIST, Fashion-MNIST, KMNIST | [`KnownDataset`], [`Loader`], [`Verification`] |
//! | hold images and labels | [`ImageDataset`], [`Splits`] |
//! | feed a network | [`ImageDataset::batches`], [`Batch`], [`Order`] |
//! | change images at random while training | [`Augmentation`] |
//! | read any picture file | `Picture` (feature `pictures`) |
//! | work with burn's loaders | `ImageItem`, `ImageBatcher` (feature `dataset`) |
//! | do without any file | [`synthetic`] |

mod augmentation;
mod batch;
#[cfg(feature = "dataset")]
mod burn_dataset;
#[cfg(feature = "download")]
mod download;
mod error;
mod gzip;
pub mod idx;
mod images;
mod known;
mod loader;
mod permutation;
#[cfg(feature = "pictures")]
mod picture;
pub mod synthetic;
mod verification;

pub use augmentation::Augmentation;
pub use batch::{Batch, Batches, Order};
#[cfg(feature = "dataset")]
pub use burn_dataset::{ImageBatcher, ImageItem};
pub use error::{DataError, IndexError, SearchedPlace};
pub use images::{ImageDataset, Splits};
pub use known::{FileRole, KnownDataset, KnownFile, UnknownDataset};
pub use loader::{DownloadProgress, Loader};
pub use permutation::permutation;
#[cfg(feature = "pictures")]
pub use picture::{Picture, PictureError, Polarity};
pub use verification::Verification;
