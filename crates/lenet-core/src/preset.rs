//! The presets of a configuration by their names, for flags and requests.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::LeNetConfig;

/// A network to start from, as users name it.
///
/// It is parsed from its name, also by serde, and prints it.
///
/// ```
/// use lenet_core::{LeNetConfig, Preset};
///
/// let preset: Preset = "classic".parse()?;
/// assert_eq!(preset.config(10), LeNetConfig::classic(10));
/// assert_eq!(preset.to_string(), "classic");
///
/// let error = "resnet".parse::<Preset>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "unknown preset 'resnet': expected one of classic, modern, tweakable"
/// );
/// # Ok::<(), lenet_core::UnknownPreset>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Preset {
    /// Sigmoid and average pooling: [`LeNetConfig::classic`].
    Classic,
    /// ReLU and max pooling: [`LeNetConfig::modern`].
    #[default]
    Modern,
    /// ReLU and max pooling, every convolution padded by 2: [`LeNetConfig::tweakable`].
    Tweakable,
}

impl Preset {
    /// All presets.
    pub const ALL: [Self; 3] = [Self::Classic, Self::Modern, Self::Tweakable];

    /// The name, as parsed by `FromStr` and printed by `Display`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Modern => "modern",
            Self::Tweakable => "tweakable",
        }
    }

    /// The configuration for this number of classes.
    pub fn config(self, classes: usize) -> LeNetConfig {
        match self {
            Self::Classic => LeNetConfig::classic(classes),
            Self::Modern => LeNetConfig::modern(classes),
            Self::Tweakable => LeNetConfig::tweakable(classes),
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// No preset has this name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown preset '{found}': expected one of {}", Preset::ALL.map(Preset::name).join(", "))]
pub struct UnknownPreset {
    /// The unknown name.
    pub found: String,
}

impl FromStr for Preset {
    type Err = UnknownPreset;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter();
        all.find(|preset| preset.name() == name)
            .ok_or_else(|| UnknownPreset {
                found: name.to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_parsed_and_is_that_of_serde() {
        for preset in Preset::ALL {
            assert_eq!(preset.to_string().parse(), Ok(preset));
            let json = serde_json::json!(preset);
            assert_eq!(json, preset.name());
            assert_eq!(serde_json::from_value::<Preset>(json).unwrap(), preset);
        }
        assert!("Modern".parse::<Preset>().is_err());
    }
}
