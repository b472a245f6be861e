use std::path::PathBuf;

use thiserror::Error;

/// Why there is no picture.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PlotError {
    /// There is nothing to show.
    #[error("nothing to plot: the run has no epochs")]
    Empty,
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
