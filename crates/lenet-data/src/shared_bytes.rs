//! Bytes that several data sets share.

use std::ops::{Deref, Range};
use std::sync::Arc;

/// A range of a buffer that clones and sub-ranges share.
///
/// Built from a `Vec` without moving its bytes, which `Arc<[u8]>` would copy.
#[derive(Clone)]
pub(crate) struct SharedBytes {
    buffer: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl SharedBytes {
    /// The bytes of `buffer` from `start` to its end.
    pub(crate) fn tail(buffer: Vec<u8>, start: usize) -> Self {
        let range = start..buffer.len();
        Self {
            buffer: Arc::new(buffer),
            range,
        }
    }

    /// The first `len` bytes, sharing the buffer.
    pub(crate) fn head(&self, len: usize) -> Self {
        assert!(len <= self.len(), "{len} of {} bytes", self.len());
        Self {
            buffer: Arc::clone(&self.buffer),
            range: self.range.start..self.range.start + len,
        }
    }
}

impl From<Vec<u8>> for SharedBytes {
    fn from(buffer: Vec<u8>) -> Self {
        Self::tail(buffer, 0)
    }
}

impl Deref for SharedBytes {
    type Target = [u8];

    #[expect(
        clippy::indexing_slicing,
        reason = "a range outside the buffer is a bug and must panic"
    )]
    fn deref(&self) -> &[u8] {
        &self.buffer[self.range.clone()]
    }
}

impl PartialEq for SharedBytes {
    fn eq(&self, other: &Self) -> bool {
        let is_same = Arc::ptr_eq(&self.buffer, &other.buffer) && self.range == other.range;
        is_same || **self == **other
    }
}

impl Eq for SharedBytes {}
