use std::path::PathBuf;

use thiserror::Error;

/// Why there is no picture.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PlotError {
    /// There is nothing to show.
    #[error("nothing to plot: there are no epochs, settings or images")]
    Empty,
    /// Labels, images and maps that do not belong together.
    #[error("{labels} labels, {images} images and maps of {maps}: there must be as many of each")]
    Counts {
        /// Number of labels.
        labels: usize,
        /// Number of images.
        images: usize,
        /// Number of images that the maps belong to.
        maps: usize,
    },
    /// A file name that does not tell the format.
    #[error("{path}: the name of a picture must end in .png or .svg", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// The file could not be written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The picture could not be drawn.
    #[error("drawing failed: {message}")]
    Draw {
        /// What the drawing library said.
        message: String,
    },
}
