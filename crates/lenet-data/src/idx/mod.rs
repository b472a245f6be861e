//! The IDX format of the MNIST family: a header, then numbers in big-endian order.
//!
//! | bytes | meaning |
//! |---|---|
//! | 0–1 | zero |
//! | 2 | [element type](ElementType) |
//! | 3 | rank, the number of dimensions |
//! | then 4 each | the dimensions, big-endian |
//! | then | the elements, last dimension fastest |
//!
//! The format is described at <http://yann.lecun.com/exdb/mnist/>. This module turns bytes into
//! values and back and never touches a file; [`IdxFile`](crate::IdxFile) does. The header is never
//! trusted: the size it promises is computed with checked arithmetic and compared with the bytes
//! present before anything is allocated.
//!
//! ```
//! use lenet_data::idx::{Idx, IdxError, Values};
//!
//! let bytes = idx_bytes()?;
//! let idx = Idx::parse(&bytes)?;
//! assert_eq!(idx.shape(), [2, 3]);
//! assert_eq!(idx.values(), Values::I16(vec![1, -2, 3, -4, 5, -6]));
//!
//! let error = Idx::parse(&bytes[..14]).unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "truncated: the header promises shape [2, 3] of i16, 24 bytes in all, but there are 14"
//! );
//!
//! fn idx_bytes() -> Result<Vec<u8>, IdxError> {
//!     Values::I16(vec![1, -2, 3, -4, 5, -6]).to_idx(&[2, 3])
//! }
//! # Ok::<(), IdxError>(())
//! ```

mod error;
mod values;

use std::borrow::Cow;
use std::fmt;

use crate::gzip;
use crate::shared_bytes::SharedBytes;
pub use error::IdxError;
pub use values::Values;

/// The recommended limit for [`Idx::decode`]: 1 GiB, twenty times the largest file of MNIST.
pub const MAX_DECOMPRESSED: usize = 1 << 30;

/// The type of the elements in an IDX file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ElementType {
    /// Unsigned byte, code 0x08.
    U8,
    /// Signed byte, code 0x09.
    I8,
    /// 16-bit integer, code 0x0B.
    I16,
    /// 32-bit integer, code 0x0C.
    I32,
    /// 32-bit float, code 0x0D.
    F32,
    /// 64-bit float, code 0x0E.
    F64,
}

impl ElementType {
    /// The element type with this code, the third byte of a header.
    pub fn from_code(code: u8) -> Option<Self> {
        [
            Self::U8,
            Self::I8,
            Self::I16,
            Self::I32,
            Self::F32,
            Self::F64,
        ]
        .into_iter()
        .find(|element_type| element_type.code() == code)
    }

    /// The code of this element type, the third byte of a header.
    pub fn code(self) -> u8 {
        self.properties().0
    }

    /// Size of one element in bytes.
    pub fn size(self) -> usize {
        self.properties().1
    }

    /// Code, size in bytes and name.
    fn properties(self) -> (u8, usize, &'static str) {
        match self {
            Self::U8 => (0x08, 1, "u8"),
            Self::I8 => (0x09, 1, "i8"),
            Self::I16 => (0x0B, 2, "i16"),
            Self::I32 => (0x0C, 4, "i32"),
            Self::F32 => (0x0D, 4, "f32"),
            Self::F64 => (0x0E, 8, "f64"),
        }
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.properties().2)
    }
}

/// A header: type and shape of the elements, and where they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Type of the elements.
    pub element_type: ElementType,
    /// Dimensions; empty for a single value.
    pub shape: Vec<usize>,
    /// Bytes in the header, so the offset of the elements.
    pub len: usize,
    /// Bytes in header and elements together.
    pub total: usize,
}

impl Header {
    /// Parses the header at the start of `bytes`, a whole file or the beginning of one.
    ///
    /// # Errors
    ///
    /// [`IdxError`] if it is incomplete or invalid, or promises more than this machine can address.
    pub fn parse(bytes: &[u8]) -> Result<Self, IdxError> {
        let found = bytes.len();
        let Some((&[a, b, code, rank], rest)) = bytes.split_first_chunk::<4>() else {
            return Err(IdxError::HeaderTruncated { expected: 4, found });
        };
        if [a, b] != [0, 0] {
            return Err(IdxError::Magic { found: [a, b] });
        }
        let element_type =
            ElementType::from_code(code).ok_or(IdxError::ElementType { found: code })?;
        let len = 4 + 4 * usize::from(rank);
        let (dimensions, _) = rest.as_chunks::<4>();
        let dimensions = dimensions
            .get(..usize::from(rank))
            .ok_or(IdxError::HeaderTruncated {
                expected: len,
                found,
            })?;
        let shape: Vec<usize> = dimensions
            .iter()
            .map(|&d| u32::from_be_bytes(d) as usize)
            .collect();
        let total = shape
            .iter()
            .try_fold(element_type.size(), |product, &d| product.checked_mul(d))
            .and_then(|payload| payload.checked_add(len));
        match total {
            Some(total) => Ok(Self {
                element_type,
                shape,
                len,
                total,
            }),
            None => Err(IdxError::Overflow {
                shape,
                element_type,
            }),
        }
    }
}

/// A parsed IDX file that borrows or owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idx<'a> {
    header: Header,
    bytes: Cow<'a, [u8]>,
}

impl<'a> Idx<'a> {
    /// Parses decompressed bytes; [`decode`](Self::decode) accepts gzip as well.
    ///
    /// # Errors
    ///
    /// [`IdxError`] if they are not exactly one IDX file.
    pub fn parse(bytes: impl Into<Cow<'a, [u8]>>) -> Result<Self, IdxError> {
        let bytes = bytes.into();
        Self::new(Header::parse(&bytes)?, bytes)
    }

    /// Parses a plain or gzip-compressed file, recognised by its content.
    ///
    /// Plain bytes are not copied. A gzip stream is decompressed only as far as the IDX header
    /// inside promises, and never beyond `limit` bytes; memory grows with the data that is there,
    /// not with the promise.
    ///
    /// # Errors
    ///
    /// [`IdxError`] if the gzip stream is damaged, or the bytes are not exactly one IDX file.
    pub fn decode(bytes: impl Into<Cow<'a, [u8]>>, limit: usize) -> Result<Self, IdxError> {
        let bytes = bytes.into();
        if gzip::is_gzip(&bytes) {
            gzip::inflate_idx(&bytes, limit)
        } else {
            Self::parse(bytes)
        }
    }

    /// Compares the size the header promises with the bytes present.
    pub(crate) fn new(header: Header, bytes: Cow<'a, [u8]>) -> Result<Self, IdxError> {
        if bytes.len() != header.total {
            return Err(IdxError::Length {
                shape: header.shape,
                element_type: header.element_type,
                expected: header.total,
                found: bytes.len(),
            });
        }
        Ok(Self { header, bytes })
    }

    /// Type of the elements.
    pub fn element_type(&self) -> ElementType {
        self.header.element_type
    }

    /// Dimensions; empty for a single value.
    pub fn shape(&self) -> &[usize] {
        &self.header.shape
    }

    /// The whole decompressed file, header included.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The elements as they are stored, big-endian.
    #[expect(clippy::indexing_slicing, reason = "`new` checked the length")]
    pub fn payload(&self) -> &[u8] {
        &self.bytes[self.header.len..]
    }

    /// The elements as they are stored, copied only if the bytes are borrowed.
    pub(crate) fn into_payload(self) -> SharedBytes {
        SharedBytes::tail(self.bytes.into_owned(), self.header.len)
    }

    /// The elements as numbers.
    pub fn values(&self) -> Values {
        fn all<const N: usize, T>(payload: &[u8], convert: fn([u8; N]) -> T) -> Vec<T> {
            let (elements, _) = payload.as_chunks::<N>();
            elements.iter().map(|&bytes| convert(bytes)).collect()
        }
        let payload = self.payload();
        match self.element_type() {
            ElementType::U8 => Values::U8(payload.to_vec()),
            ElementType::I8 => Values::I8(all(payload, i8::from_be_bytes)),
            ElementType::I16 => Values::I16(all(payload, i16::from_be_bytes)),
            ElementType::I32 => Values::I32(all(payload, i32::from_be_bytes)),
            ElementType::F32 => Values::F32(all(payload, f32::from_be_bytes)),
            ElementType::F64 => Values::F64(all(payload, f64::from_be_bytes)),
        }
    }
}
