//! Memory aligned to cache lines.

use std::ops::{Deref, DerefMut, Range};

/// Bytes of the widest vector, and of a cache line.
const ALIGNMENT: usize = 64;

/// Values that begin at a cache line, so that whole vectors from there on never straddle two lines.
pub(crate) struct Aligned<T = f32> {
    values: Vec<T>,
    range: Range<usize>,
}

impl<T: Copy + Default> Aligned<T> {
    pub(crate) fn zeros(len: usize) -> Self {
        let room = ALIGNMENT / size_of::<T>();
        let values = vec![T::default(); len + room];
        // Miri may refuse to compute the offset; unaligned values are slower, not wrong.
        let start = values.as_ptr().align_offset(ALIGNMENT).min(room);
        let range = start..start + len;
        Self { values, range }
    }
}

impl From<&[f32]> for Aligned {
    fn from(values: &[f32]) -> Self {
        let mut aligned = Self::zeros(values.len());
        aligned.copy_from_slice(values);
        aligned
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.values[self.range.clone()]
    }
}

impl<T> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.values[self.range.clone()]
    }
}
