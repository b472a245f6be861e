//! What can be wrong with the bytes of an IDX file, or with values to write.

use thiserror::Error;

use super::ElementType;

/// Why bytes are not an IDX file, or values cannot be written as one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IdxError {
    /// The bytes end inside the header.
    #[error("the header needs {expected} bytes, but there are {found}")]
    HeaderTruncated {
        /// Bytes in the header, as far as it could be read.
        expected: usize,
        /// Bytes present.
        found: usize,
    },
    /// The first two bytes are not zero.
    #[error("not an IDX file: bytes 0 and 1 must be 00 00, found {:02x} {:02x}", found[0], found[1])]
    Magic {
        /// The two bytes.
        found: [u8; 2],
    },
    /// The third byte is not the code of an element type.
    #[error(
        "unknown element type 0x{found:02x} at byte 2: expected 0x08 (u8), 0x09 (i8), 0x0b (i16), \
         0x0c (i32), 0x0d (f32) or 0x0e (f64)"
    )]
    ElementType {
        /// The byte.
        found: u8,
    },
    /// The size in bytes overflows `usize`.
    #[error(
        "the header promises shape {shape:?} of {element_type}: more than this machine can address"
    )]
    Overflow {
        /// Dimensions in the header.
        shape: Vec<usize>,
        /// Element type in the header.
        element_type: ElementType,
    },
    /// There are fewer or more bytes than the header promises.
    #[error(
        "{}: the header promises shape {shape:?} of {element_type}, {expected} bytes in all, but there are {}",
        if found < expected { "truncated" } else { "oversized" },
        at_least(*found, *expected)
    )]
    Length {
        /// Dimensions in the header.
        shape: Vec<usize>,
        /// Element type in the header.
        element_type: ElementType,
        /// Bytes in the whole file according to the header.
        expected: usize,
        /// Bytes present; decompression stops one byte past `expected`.
        found: usize,
    },
    /// A gzip stream would decompress to more than the limit.
    #[error("the header promises {expected} bytes, but the limit is {limit}")]
    Limit {
        /// Bytes in the whole file according to the header.
        expected: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The gzip stream is damaged.
    #[error("damaged gzip stream after {position} bytes of output: {message}")]
    Gzip {
        /// Bytes decompressed before the damage.
        position: usize,
        /// The message of the decoder.
        message: String,
    },
    /// The shape does not match the number of values to write.
    #[error("shape {shape:?} does not match {found} values")]
    ShapeMismatch {
        /// The shape.
        shape: Vec<usize>,
        /// The number of values.
        found: usize,
    },
    /// The format cannot express the shape.
    #[error("shape {shape:?} cannot be written: at most 255 dimensions, each below 2^32")]
    ShapeTooLarge {
        /// The shape.
        shape: Vec<usize>,
    },
}

fn at_least(found: usize, expected: usize) -> String {
    match found.checked_sub(expected) {
        Some(1) => format!("at least {found}"),
        _ => found.to_string(),
    }
}
