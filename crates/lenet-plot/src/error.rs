//! Errors of figures.

use std::error::Error as StdError;
use std::path::PathBuf;

use lenet_core::ReadBackError;
use lenet_core::file::FileError;
use thiserror::Error;

/// Why a figure could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PlotError {
    /// There is nothing to show.
    #[error("nothing to plot: expected at least one epoch, setting or image")]
    Empty,
    /// Labels, images and maps that do not belong together.
    #[error(
        "expected as many labels as images and maps, got {labels} labels, {images} images and maps of {maps}"
    )]
    Counts {
        /// Number of labels.
        labels: usize,
        /// Number of images.
        images: usize,
        /// Number of images that the maps belong to.
        maps: usize,
    },
    /// A setting without a finite position on a linear or logarithmic axis.
    #[error("setting {label:?} has no position on the axis {axis:?}")]
    Position {
        /// Label of the setting.
        label: String,
        /// Name of the axis.
        axis: String,
    },
    /// A file name that implies no known format.
    #[error("{}: the file name of a figure must end in .png or .svg", path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// The file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The device failed while images or maps were copied from it.
    #[error(transparent)]
    ReadBack(#[from] ReadBackError),
    /// Plotters or the PNG encoder failed.
    #[error("the figure could not be drawn")]
    Draw {
        /// The underlying error.
        source: Box<dyn StdError + Send + Sync>,
    },
}

/// Wraps an error of plotters or the PNG encoder. It keeps the text rather than the error itself because
/// plotters' errors are generic over the backend.
pub(crate) fn failed(error: impl ToString) -> PlotError {
    PlotError::Draw {
        source: error.to_string().into(),
    }
}
