//! Dark on light, or light on dark.

use std::str::FromStr;

use thiserror::Error;

/// Whether the subject of a picture is brighter or darker than the background.
///
/// Images of the MNIST family show light subjects on black; most pictures are the opposite.
///
/// ```
/// use lenet_data::Polarity;
///
/// assert_eq!("dark-on-light".parse(), Ok(Polarity::DarkOnLight));
/// assert!("grey".parse::<Polarity>().is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Polarity {
    /// Dark on light if the outermost pixels are, on average, brighter than middle grey.
    #[default]
    Auto,
    /// The subject is brighter: grey values are kept.
    LightOnDark,
    /// The subject is darker: grey values are inverted.
    DarkOnLight,
}

/// A name that is not the name of a [`Polarity`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown polarity '{found}': expected auto, light-on-dark or dark-on-light")]
pub struct UnknownPolarity {
    /// The name.
    pub found: String,
}

impl FromStr for Polarity {
    type Err = UnknownPolarity;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "auto" => Ok(Self::Auto),
            "light-on-dark" => Ok(Self::LightOnDark),
            "dark-on-light" => Ok(Self::DarkOnLight),
            _ => Err(UnknownPolarity {
                found: name.to_owned(),
            }),
        }
    }
}
