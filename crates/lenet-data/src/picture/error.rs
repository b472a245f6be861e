//! Why a picture could not be used.

use std::path::PathBuf;

use thiserror::Error;

use super::decode::{MAX_PIXELS, MAX_SIDE};
use crate::FileError;

/// Why a picture could not be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PictureError {
    /// The file could not be read, or is larger than 64 MiB.
    #[error(transparent)]
    File(#[from] FileError),
    /// The picture has too many pixels. It was not decoded.
    #[error(
        "{path} has {width}×{height} pixels: the limit is {MAX_SIDE} pixels per side and {MAX_PIXELS} in \
         all; make it smaller first"
    )]
    TooManyPixels {
        /// The file.
        path: PathBuf,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The picture needs too much memory, because of its bytes per pixel or its format. It was not
    /// decoded.
    #[error(
        "{path} needs {found} bytes to decode, but the limit is {allowed}; make it smaller first, or save \
         it as a PNG with 8 bits per channel"
    )]
    Memory {
        /// The file.
        path: PathBuf,
        /// Bytes needed.
        found: u64,
        /// Bytes allowed.
        allowed: u64,
    },
    /// The file is not a picture, has an unknown format, or is damaged.
    #[error("{path} is not a readable picture (PNG, JPEG, GIF, BMP, WebP or PNM): {reason}")]
    Decode {
        /// The file.
        path: PathBuf,
        /// The message of the decoder.
        reason: String,
    },
    /// A side of an image in memory is 0 or too long.
    #[error(
        "images must have from 1 to {MAX_SIDE} pixels per side, found {}×{} (height × width)", found[0], found[1]
    )]
    ImageSize {
        /// Height and width in pixels.
        found: [usize; 2],
    },
    /// An image in memory has more or fewer pixels than its size says.
    #[error(
        "an image of {}×{} (height × width) has {expected} pixels, found {found}", size[0], size[1]
    )]
    PixelCount {
        /// Height and width in pixels.
        size: [usize; 2],
        /// The number of pixels of this size.
        expected: usize,
        /// The number of pixels given.
        found: usize,
    },
    /// There are no pictures to stack.
    #[error("there are no pictures to stack")]
    Empty,
    /// Pictures to stack differ in size.
    #[error(
        "cannot stack pictures of different sizes: expected {expected:?} (height, width), found {found:?}"
    )]
    SizeMismatch {
        /// Height and width of the first picture.
        expected: [usize; 2],
        /// Height and width of another picture.
        found: [usize; 2],
    },
}
