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
//! The format is described at <http://yann.lecun.com/exdb/mnist/>. Nothing here touches a file:
//! bytes in, values out. The header is never believed: what it promises is computed with checked
//! arithmetic and compared with the bytes that are there before anything is allocated.
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

use std::borrow::Cow;
use std::fmt;

use thiserror::Error;

use crate::gzip;

/// Most bytes that [`decode`] inflates a gzip file to: 1 GiB, twenty times MNIST's largest file.
pub const MAX_DECOMPRESSED: usize = 1 << 30;

/// The type of an IDX file's elements.
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
    /// The element type of a header's third byte, if there is one.
    pub fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0x08 => Self::U8,
            0x09 => Self::I8,
            0x0B => Self::I16,
            0x0C => Self::I32,
            0x0D => Self::F32,
            0x0E => Self::F64,
            _ => return None,
        })
    }

    /// The header's third byte.
    pub fn code(self) -> u8 {
        match self {
            Self::U8 => 0x08,
            Self::I8 => 0x09,
            Self::I16 => 0x0B,
            Self::I32 => 0x0C,
            Self::F32 => 0x0D,
            Self::F64 => 0x0E,
        }
    }

    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::I16 => 2,
            Self::I32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::F32 => "f32",
            Self::F64 => "f64",
        })
    }
}

/// Why bytes are no IDX file, or values cannot become one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IdxError {
    /// The bytes end inside the header.
    #[error("the header needs {expected} bytes, but there are {found}")]
    HeaderTruncated {
        /// Bytes of the header, as far as it could be read.
        expected: usize,
        /// Bytes that are there.
        found: usize,
    },
    /// The first two bytes are not zero.
    #[error("not an IDX file: bytes 0 and 1 must be 00 00, found {:02x} {:02x}", found[0], found[1])]
    Magic {
        /// The two bytes.
        found: [u8; 2],
    },
    /// The third byte names no element type.
    #[error(
        "unknown element type 0x{found:02x} at byte 2: expected 0x08 (u8), 0x09 (i8), 0x0b (i16), \
         0x0c (i32), 0x0d (f32) or 0x0e (f64)"
    )]
    ElementType {
        /// The byte.
        found: u8,
    },
    /// The dimensions' product does not fit the machine.
    #[error(
        "the header promises shape {shape:?} of {element_type}: more than this machine can address"
    )]
    Overflow {
        /// Dimensions of the header.
        shape: Vec<usize>,
        /// Element type of the header.
        element_type: ElementType,
    },
    /// There are fewer bytes than the header promises.
    #[error(
        "truncated: the header promises shape {shape:?} of {element_type}, {expected} bytes in all, but there are {found}"
    )]
    Truncated {
        /// Dimensions of the header.
        shape: Vec<usize>,
        /// Element type of the header.
        element_type: ElementType,
        /// Bytes of the whole file by its header.
        expected: usize,
        /// Bytes that are there.
        found: usize,
    },
    /// There are more bytes than the header promises.
    #[error(
        "oversized: the header promises shape {shape:?} of {element_type}, {expected} bytes in all, but there are {}",
        at_least(*found, *expected)
    )]
    Oversized {
        /// Dimensions of the header.
        shape: Vec<usize>,
        /// Element type of the header.
        element_type: ElementType,
        /// Bytes of the whole file by its header.
        expected: usize,
        /// Bytes that are there; inflating stops at one too many.
        found: usize,
    },
    /// A gzip file would inflate beyond the limit.
    #[error("the header promises {expected} bytes, the limit is {limit}")]
    Limit {
        /// Bytes of the whole file by its header.
        expected: usize,
        /// The limit.
        limit: usize,
    },
    /// The gzip stream is damaged.
    #[error("damaged gzip stream after {position} bytes of output: {message}")]
    Gzip {
        /// Decompressed bytes before the damage.
        position: usize,
        /// What the decoder said.
        message: String,
    },
    /// A shape does not describe the values to write.
    #[error("shape {shape:?} does not describe {found} values")]
    ShapeMismatch {
        /// The shape given.
        shape: Vec<usize>,
        /// The number of values given.
        found: usize,
    },
    /// A shape cannot be written.
    #[error("shape {shape:?} cannot be written: at most 255 dimensions, each below 2^32")]
    ShapeTooLarge {
        /// The shape given.
        shape: Vec<usize>,
    },
}

fn at_least(found: usize, expected: usize) -> String {
    match found.checked_sub(expected) {
        Some(1) => format!("at least {found}"),
        _ => found.to_string(),
    }
}

/// A proven header: type, shape and where the elements lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Type of the elements.
    pub element_type: ElementType,
    /// Dimensions; empty for a single value.
    pub shape: Vec<usize>,
    /// Bytes of the header: where the elements begin.
    pub len: usize,
    /// Bytes of header and elements together.
    pub total: usize,
}

impl Header {
    /// Reads the header at the start of `bytes`, which may be all of a file or just its start.
    ///
    /// # Errors
    ///
    /// [`IdxError`] if it is incomplete, wrong, or promises more than can be addressed.
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

    /// Compares the promise with the number of bytes that are there.
    pub(crate) fn check_len(&self, found: usize) -> Result<(), IdxError> {
        let (shape, element_type, expected) = (self.shape.clone(), self.element_type, self.total);
        match found.cmp(&expected) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Less => Err(IdxError::Truncated {
                shape,
                element_type,
                expected,
                found,
            }),
            std::cmp::Ordering::Greater => Err(IdxError::Oversized {
                shape,
                element_type,
                expected,
                found,
            }),
        }
    }
}

/// A parsed IDX file, borrowing its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idx<'a> {
    header: Header,
    payload: &'a [u8],
}

impl<'a> Idx<'a> {
    /// Parses decompressed bytes; for gzip see [`decode`].
    ///
    /// # Errors
    ///
    /// [`IdxError`] if they are not exactly one IDX file.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, IdxError> {
        let header = Header::parse(bytes)?;
        header.check_len(bytes.len())?;
        let payload = bytes.get(header.len..).unwrap_or_default();
        Ok(Self { header, payload })
    }

    /// Type of the elements.
    pub fn element_type(&self) -> ElementType {
        self.header.element_type
    }

    /// Dimensions; empty for a single value.
    pub fn shape(&self) -> &[usize] {
        &self.header.shape
    }

    /// The elements as they lie in the file, big-endian.
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The elements as numbers.
    pub fn values(&self) -> Values {
        fn all<const N: usize, T>(payload: &[u8], convert: fn([u8; N]) -> T) -> Vec<T> {
            payload
                .as_chunks::<N>()
                .0
                .iter()
                .map(|&bytes| convert(bytes))
                .collect()
        }
        match self.element_type() {
            ElementType::U8 => Values::U8(self.payload.to_vec()),
            ElementType::I8 => Values::I8(all(self.payload, i8::from_be_bytes)),
            ElementType::I16 => Values::I16(all(self.payload, i16::from_be_bytes)),
            ElementType::I32 => Values::I32(all(self.payload, i32::from_be_bytes)),
            ElementType::F32 => Values::F32(all(self.payload, f32::from_be_bytes)),
            ElementType::F64 => Values::F64(all(self.payload, f64::from_be_bytes)),
        }
    }
}

/// The elements of an IDX file as numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Unsigned bytes.
    U8(Vec<u8>),
    /// Signed bytes.
    I8(Vec<i8>),
    /// 16-bit integers.
    I16(Vec<i16>),
    /// 32-bit integers.
    I32(Vec<i32>),
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 64-bit floats.
    F64(Vec<f64>),
}

impl Values {
    /// The type of the elements.
    pub fn element_type(&self) -> ElementType {
        match self {
            Self::U8(_) => ElementType::U8,
            Self::I8(_) => ElementType::I8,
            Self::I16(_) => ElementType::I16,
            Self::I32(_) => ElementType::I32,
            Self::F32(_) => ElementType::F32,
            Self::F64(_) => ElementType::F64,
        }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(values) => values.len(),
            Self::I8(values) => values.len(),
            Self::I16(values) => values.len(),
            Self::I32(values) => values.len(),
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of an IDX file with these elements in this shape.
    ///
    /// # Errors
    ///
    /// [`IdxError`] if the shape describes another number of elements or cannot be written.
    pub fn to_idx(&self, shape: &[usize]) -> Result<Vec<u8>, IdxError> {
        let too_large = || IdxError::ShapeTooLarge {
            shape: shape.to_vec(),
        };
        let rank = u8::try_from(shape.len()).map_err(|_| too_large())?;
        let product = shape
            .iter()
            .try_fold(1_usize, |product, &d| product.checked_mul(d));
        if product != Some(self.len()) {
            return Err(IdxError::ShapeMismatch {
                shape: shape.to_vec(),
                found: self.len(),
            });
        }

        let payload = self.len() * self.element_type().size();
        let mut bytes = Vec::with_capacity(4 + 4 * shape.len() + payload);
        bytes.extend([0, 0, self.element_type().code(), rank]);
        for &dimension in shape {
            let dimension = u32::try_from(dimension).map_err(|_| too_large())?;
            bytes.extend(dimension.to_be_bytes());
        }
        match self {
            Self::U8(values) => bytes.extend(values),
            Self::I8(values) => bytes.extend(values.iter().flat_map(|v| v.to_be_bytes())),
            Self::I16(values) => bytes.extend(values.iter().flat_map(|v| v.to_be_bytes())),
            Self::I32(values) => bytes.extend(values.iter().flat_map(|v| v.to_be_bytes())),
            Self::F32(values) => bytes.extend(values.iter().flat_map(|v| v.to_be_bytes())),
            Self::F64(values) => bytes.extend(values.iter().flat_map(|v| v.to_be_bytes())),
        }
        Ok(bytes)
    }
}

/// The decompressed bytes of an IDX file, which may be plain or gzip; told by content.
///
/// Plain bytes are returned as they are. A gzip stream is inflated until it has given what the
/// IDX header inside promises, and never beyond `limit` bytes; memory grows with what is really
/// there, not with the promise.
///
/// # Errors
///
/// [`IdxError`] if the gzip stream is damaged, or the file inside is longer or shorter than its
/// header says.
pub fn decode(bytes: &[u8], limit: usize) -> Result<Cow<'_, [u8]>, IdxError> {
    if gzip::is_gzip(bytes) {
        gzip::inflate_idx(bytes, limit).map(Cow::Owned)
    } else {
        Ok(Cow::Borrowed(bytes))
    }
}
