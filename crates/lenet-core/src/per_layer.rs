//! One value for all convolutions, or one for each.

use serde::{Deserialize, Serialize};

/// A setting of the convolutions: one value for all, or one for each.
///
/// In JSON it is a number or a list of numbers.
///
/// ```
/// use lenet_core::PerLayer;
///
/// let same: PerLayer = 5.into();
/// let each: PerLayer = [2, 0].into();
/// assert_eq!(same.get(7), Some(5));
/// assert_eq!(each.get(1), Some(0));
/// assert_eq!(each.get(2), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PerLayer {
    /// The same value for every convolution, however many there are.
    Same(usize),
    /// One value for each convolution, first to last.
    Each(Vec<usize>),
}

impl PerLayer {
    /// The value for convolution `index`, counted from 0, or `None` if the list is too short.
    pub fn get(&self, index: usize) -> Option<usize> {
        match self {
            Self::Same(value) => Some(*value),
            Self::Each(values) => values.get(index).copied(),
        }
    }

    /// The length of the list, or `None` if there is one value for all convolutions.
    pub fn listed(&self) -> Option<usize> {
        match self {
            Self::Same(_) => None,
            Self::Each(values) => Some(values.len()),
        }
    }
}

impl From<usize> for PerLayer {
    fn from(value: usize) -> Self {
        Self::Same(value)
    }
}

impl From<Vec<usize>> for PerLayer {
    fn from(values: Vec<usize>) -> Self {
        Self::Each(values)
    }
}

impl<const N: usize> From<[usize; N]> for PerLayer {
    fn from(values: [usize; N]) -> Self {
        Self::Each(values.to_vec())
    }
}
