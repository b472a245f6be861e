//! Memory aligned to cache lines.

use std::ops::{Deref, DerefMut, Range};

/// Bytes of the widest vector, and of a cache line.
const ALIGNMENT: usize = 64;

/// Floats that begin at a cache line, so that whole vectors from there on never straddle two lines.
pub(crate) struct Aligned {
    values: Vec<f32>,
    range: Range<usize>,
}

impl Aligned {
    pub(crate) fn zeros(len: usize) -> Self {
        let room = ALIGNMENT / size_of::<f32>();
        let values = vec![0.0; len + room];
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

impl Deref for Aligned {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[self.range.clone()]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[self.range.clone()]
    }
}
