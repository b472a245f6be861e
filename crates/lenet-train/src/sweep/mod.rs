//! Many trainings as one experiment: settings, seeds, workers, a file of results, a table.
//!
//! ```
//! use burn::tensor::Device;
//! use lenet_core::LeNetConfig;
//! use lenet_data::synthetic;
//! use lenet_train::TrainingConfig;
//! use lenet_train::sweep::{SilentSweep, Sweep, Worker};
//!
//! let training = TrainingConfig::default().with_epochs(1);
//! let mut sweep = Sweep::new("kernels", "kernel size").with_seeds(0..2);
//! for size in [3, 5] {
//!     let network = LeNetConfig::tweakable(10).with_kernel_size(size);
//!     sweep = sweep.with_setting(size.to_string(), size as f64, network, training.clone());
//! }
//!
//! let data = synthetic::garment_splits(256, 100);
//! let workers = Worker::share_cores(&Device::flex(), 2);
//! let folder = tempfile::tempdir()?;
//! let file = folder.path().join("trials.jsonl");
//! let result = sweep.run(&data.train, &data.test, &workers, &file, &mut SilentSweep)?;
//! println!("{result}");
//! assert!(result.is_complete());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod observer;
mod result;
mod run;
mod store;
mod table;

use std::collections::HashSet;

use lenet_core::LeNetConfig;
use serde::{Deserialize, Serialize};

use crate::TrainingConfig;

pub use error::SweepError;
pub use observer::{SilentSweep, SweepEvent, SweepLines, SweepObserver, SweepProgress};
pub use result::{
    Missing, MissingTrial, Outcome, SettingResult, SweepResult, TrialResult, TrialStatus,
};
pub use run::{SweepRunner, Worker};

/// An experiment: every setting trained once with every seed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Sweep {
    /// What the experiment is called.
    pub name: String,
    /// What differs between the settings, as `kernel size`: the title of the x-axis.
    pub parameter: String,
    /// How the settings are laid along the x-axis.
    pub scale: Scale,
    /// Which images judge: `test`, or `validation` where something is chosen by them.
    pub held_out: String,
    /// What is compared, in the order of the table.
    pub settings: Vec<Setting>,
    /// Each setting is trained once with each of them.
    pub seeds: Vec<u64>,
}

/// How settings are laid along an axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Scale {
    /// By value.
    #[default]
    Linear,
    /// By the logarithm of the value, which must be above 0.
    Logarithmic,
    /// One after the other, the values left aside.
    Categories,
}

/// One of the things that a sweep compares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Setting {
    /// Its name in tables and charts; no two of a sweep share one.
    pub label: String,
    /// Its place on the x-axis.
    pub x: f64,
    /// The network.
    pub network: LeNetConfig,
    /// The recipe; its seed is replaced by each of the sweep's.
    pub training: TrainingConfig,
}

/// One training of a sweep.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Trial<'a> {
    /// What is trained.
    pub setting: &'a Setting,
    /// With which seed.
    pub seed: u64,
}

impl Sweep {
    /// A sweep without settings that trains each with seed 0; `parameter` is what differs between
    /// them.
    pub fn new(name: impl Into<String>, parameter: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            parameter: parameter.into(),
            scale: Scale::default(),
            held_out: "test".to_owned(),
            settings: Vec::new(),
            seeds: vec![0],
        }
    }

    /// Sets how the settings are laid along the x-axis.
    #[must_use]
    pub fn with_scale(mut self, scale: Scale) -> Self {
        self.scale = scale;
        self
    }

    /// Sets what the judging images are called; `test` unless told.
    #[must_use]
    pub fn with_held_out(mut self, name: impl Into<String>) -> Self {
        self.held_out = name.into();
        self
    }

    /// Sets the seeds.
    #[must_use]
    pub fn with_seeds(mut self, seeds: impl IntoIterator<Item = u64>) -> Self {
        self.seeds = seeds.into_iter().collect();
        self
    }

    /// Adds a setting.
    #[must_use]
    pub fn with_setting(
        mut self,
        label: impl Into<String>,
        x: f64,
        network: LeNetConfig,
        training: TrainingConfig,
    ) -> Self {
        self.settings.push(Setting {
            label: label.into(),
            x,
            network,
            training: training.with_seed(0),
        });
        self
    }

    /// Every setting with every seed, in the order of the table.
    pub fn trials(&self) -> Vec<Trial<'_>> {
        let trials = self
            .settings
            .iter()
            .flat_map(|setting| self.seeds.iter().map(move |&seed| Trial { setting, seed }));
        trials.collect()
    }

    /// Checks that there is something to run, that no label or seed is listed twice, and that each
    /// setting can be trained.
    ///
    /// # Errors
    ///
    /// [`SweepError`] for the first thing that is wrong.
    pub fn validate(&self) -> Result<(), SweepError> {
        for (what, empty) in [
            ("settings", self.settings.is_empty()),
            ("seeds", self.seeds.is_empty()),
        ] {
            if empty {
                return Err(SweepError::Empty {
                    sweep: self.name.clone(),
                    what,
                });
            }
        }
        let mut labels = HashSet::new();
        if let Some(twice) = self.settings.iter().find(|s| !labels.insert(&s.label)) {
            return Err(SweepError::LabelTwice {
                sweep: self.name.clone(),
                label: twice.label.clone(),
            });
        }
        let mut seeds = HashSet::new();
        if let Some(&seed) = self.seeds.iter().find(|&seed| !seeds.insert(seed)) {
            return Err(SweepError::SeedTwice {
                sweep: self.name.clone(),
                seed,
            });
        }
        for setting in &self.settings {
            let wrong = |source: crate::TrainingError| SweepError::Setting {
                label: setting.label.clone(),
                source: Box::new(source),
            };
            setting.training.validate().map_err(|e| wrong(e.into()))?;
            setting.network.layer_table().map_err(|e| wrong(e.into()))?;
            let positive = setting.x > 0.0 || self.scale != Scale::Logarithmic;
            if !setting.x.is_finite() || !positive {
                return Err(SweepError::AxisValue {
                    label: setting.label.clone(),
                    found: setting.x,
                    scale: self.scale,
                });
            }
        }
        Ok(())
    }
}

/// The number of trials in a file of results.
#[cfg(fuzzing)]
pub(crate) fn finished_trials(
    path: &std::path::Path,
    sweep: &Sweep,
    images: &lenet_data::ImageDataset,
) -> Result<usize, SweepError> {
    let checkpoints = path.with_extension("checkpoints");
    let (_, trials) = store::Store::open(path, &checkpoints, sweep, images, images)?;
    Ok(trials.len())
}
