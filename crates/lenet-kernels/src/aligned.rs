use std::ops::{Deref, DerefMut};

/// Bytes of the widest vector, and of a line of the cache.
const ALIGNMENT: usize = 64;

/// Floats that begin at a cache line, so that whole vectors from there on never straddle two.
#[derive(Debug)]
pub(crate) struct Aligned {
    values: Vec<f32>,
    start: usize,
}

impl Aligned {
    pub(crate) fn zeros(len: usize) -> Self {
        let values = vec![0.0; len + ALIGNMENT / size_of::<f32>()];
        // If it cannot be told, any place will do.
        let start = values.as_ptr().align_offset(ALIGNMENT);
        Self {
            start: start.min(values.len() - len),
            values,
        }
    }

    fn range(&self) -> std::ops::Range<usize> {
        let room = ALIGNMENT / size_of::<f32>() - self.start;
        self.start..self.values.len() - room
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
        self.values.get(self.range()).unwrap_or_default()
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        let range = self.range();
        self.values.get_mut(range).unwrap_or_default()
    }
}
