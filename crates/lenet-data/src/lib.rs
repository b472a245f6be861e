#![doc = include_str!("../README.md")]
//!
//! # Map of the crate
//!
//! | to do this | use |
//! |---|---|
//! | read or write IDX bytes | [`idx`] |
//! | get MNIST, Fashion-MNIST, KMNIST | [`KnownDataset`], [`Loader`] |
//! | hold images and labels | [`ImageDataset`], [`Splits`] |
//! | feed a network | [`ImageDataset::batches`], [`Batch`], [`Order`] |
//! | work with burn's loaders | [`ImageItem`], [`ImageBatcher`] |
//! | do without any file | [`synthetic`] |

mod batch;
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
pub mod synthetic;

pub use batch::{Batch, Batches, Order};
pub use burn_dataset::{ImageBatcher, ImageItem};
pub use error::{DataError, IndexError, SearchedPlace};
pub use images::{ImageDataset, Splits};
pub use known::{FileRole, KnownDataset, KnownFile, UnknownDataset};
pub use loader::{DownloadProgress, Loader};
pub use permutation::permutation;
