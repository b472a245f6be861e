//! How often checkpoints are written, as a value and as text.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// How often something happens in a run.
///
/// ```
/// use lenet_train::Interval;
///
/// assert_eq!("2".parse(), Ok(Interval::Epochs(2)));
/// assert_eq!("500steps".parse(), Ok(Interval::Steps(500)));
/// assert_eq!(Interval::Steps(500).to_string(), "500steps");
/// assert!("0".parse::<Interval>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// Every so many epochs.
    Epochs(usize),
    /// Every so many steps, counted from the beginning of the run.
    Steps(usize),
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Epochs(count) => write!(f, "{count}"),
            Self::Steps(count) => write!(f, "{count}steps"),
        }
    }
}

impl FromStr for Interval {
    type Err = IntervalError;

    fn from_str(text: &str) -> Result<Self, IntervalError> {
        let (number, unit): (_, fn(usize) -> Self) = match text.strip_suffix("steps") {
            Some(number) => (number, Self::Steps),
            None => (text, Self::Epochs),
        };
        match number.trim().parse() {
            Ok(count) if count > 0 => Ok(unit(count)),
            _ => Err(IntervalError {
                found: text.to_owned(),
            }),
        }
    }
}

/// A text that is not an [`Interval`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "invalid interval '{found}': expected epochs (such as `2`) or steps (such as `500steps`), at least 1"
)]
pub struct IntervalError {
    /// The text.
    pub found: String,
}
