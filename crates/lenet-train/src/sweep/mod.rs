//! Sweeps: every setting trained with every seed, results in a file, a table at the end.
//!
//! ```
//! use burn::tensor::Device;
//! use lenet_core::LeNetConfig;
//! use lenet_data::synthetic;
//! use lenet_train::TrainingConfig;
//! use lenet_train::sweep::{Sweep, SweepRunner, Worker};
//!
//! let training = TrainingConfig::default().with_epochs(1);
//! let mut sweep = Sweep::new("kernels", "kernel size").with_seeds(0..2);
//! for size in [3, 5] {
//!     let network = LeNetConfig::tweakable(10).with_kernel_size(size);
//!     sweep.push_setting(size.to_string(), network, training.clone());
//! }
//!
//! let data = synthetic::garment_splits(256, 100);
//! let workers = Worker::share_cores(&Device::flex(), 2);
//! let folder = tempfile::tempdir()?;
//! let file = folder.path().join("trials.jsonl");
//! let result = SweepRunner::new(&sweep, &workers).run(&data.train, &data.test, &file)?;
//! println!("{result}\n{}", result.conclusion());
//! assert!(result.is_complete());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A sweep for several machines is cut into parts: each process runs one ([`SweepRunner::with_partition`]) and
//! writes a results file of its own, and a run of the whole sweep reads them all. No process writes another's file,
//! so a shared folder needs no working locks: only that files appear whole lines at a time, as appending by one
//! writer and `fsync` give.
//!
//! The types here describe a sweep. `run.rs` finds those that are missing, `work.rs`
//! distributes them, `trial.rs` trains one, `store.rs`
//! keeps the results file, `parts.rs` reads those of other processes, `result.rs` and its neighbours evaluate and
//! print the result. Charts are in `lenet-plot`.

mod error;
mod file_format;
mod partition;
mod parts;
mod result;
mod run;
mod statistics;
mod store;
mod table;
mod trial;
mod work;
mod worker;

use std::collections::HashSet;

use lenet_core::LeNetConfig;
use serde::{Deserialize, Serialize};

use crate::{TrainingConfig, TrainingError};

pub use error::{Conflict, SweepError};
pub use partition::{InvalidPartition, Partition};
pub use parts::PartStatus;
pub use result::{
    Missing, MissingTrial, Outcome, SettingResult, SweepResult, TrialResult, TrialStatus,
};
pub use run::SweepRunner;
pub use worker::Worker;

/// An experiment: every setting is trained once with every seed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Sweep {
    /// Name of the experiment.
    pub name: String,
    /// What differs between the settings, such as `kernel size`: the title of the x-axis.
    pub parameter: String,
    /// How the settings are placed along the x-axis.
    pub scale: Scale,
    /// What the held-out images are: `test`, or `validation` if their accuracy decides between settings.
    pub held_out: String,
    /// The settings to compare, in the order of the table.
    pub settings: Vec<Setting>,
    /// The seeds with which each setting is trained.
    pub seeds: Vec<u64>,
}

/// How settings are placed along an axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Scale {
    /// By their value.
    Linear,
    /// By the logarithm of their value, which must be above 0.
    Logarithmic,
    /// One after the other.
    #[default]
    Categories,
}

/// A network and a recipe to compare with others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Setting {
    /// Its name in tables and charts, unique in the sweep.
    pub label: String,
    /// Its place on a linear or logarithmic axis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<f64>,
    /// The network.
    pub network: LeNetConfig,
    /// The recipe. Its seed is replaced by those of the sweep.
    pub training: TrainingConfig,
}

impl Setting {
    /// Places the setting on the linear or logarithmic x-axis.
    pub fn at(&mut self, x: f64) -> &mut Self {
        self.x = Some(x);
        self
    }
}

/// One training run of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Trial<'a> {
    /// The network and the recipe.
    pub setting: &'a Setting,
    /// The seed.
    pub seed: u64,
}

impl Trial<'_> {
    /// Multiply-adds of the forward passes of all epochs, from which the remaining time is estimated.
    pub(crate) fn cost(&self, images: usize) -> u64 {
        let table = self.setting.network.layer_table();
        let image = table.map_or(0, |table| table.multiply_adds());
        let epochs = self.setting.training.epochs as u64;
        image.saturating_mul(images as u64).saturating_mul(epochs)
    }
}

impl Sweep {
    /// A sweep without settings, with seed 0 and a categorical axis. `parameter` is what differs between the
    /// settings.
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

    /// Sets how the settings are placed along the x-axis. Linear and logarithmic scales need an
    /// [`x`](Setting::at) for each setting.
    #[must_use]
    pub fn with_scale(mut self, scale: Scale) -> Self {
        self.scale = scale;
        self
    }

    /// Sets what the held-out images are; the default is `test`.
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
    ///
    /// ```
    /// use lenet_core::LeNetConfig;
    /// use lenet_train::TrainingConfig;
    /// use lenet_train::sweep::{Scale, Sweep};
    ///
    /// let mut sweep = Sweep::new("rates", "learning rate").with_scale(Scale::Logarithmic);
    /// for rate in [0.01, 0.1] {
    ///     let training = TrainingConfig::default().with_learning_rate(rate);
    ///     sweep.push_setting(rate.to_string(), LeNetConfig::modern(10), training).at(rate);
    /// }
    /// sweep.validate()?;
    /// # Ok::<(), lenet_train::sweep::SweepError>(())
    /// ```
    pub fn push_setting(
        &mut self,
        label: impl Into<String>,
        network: LeNetConfig,
        training: TrainingConfig,
    ) -> &mut Setting {
        self.settings.push(Setting {
            label: label.into(),
            x: None,
            network,
            training: training.with_seed(0),
        });
        let Some(setting) = self.settings.last_mut() else {
            unreachable!("a setting was just added")
        };
        setting
    }

    /// Every setting with every seed, in the order of the table.
    pub fn trials(&self) -> Vec<Trial<'_>> {
        let settings = self.settings.iter();
        let trials = settings
            .flat_map(|setting| self.seeds.iter().map(move |&seed| Trial { setting, seed }));
        trials.collect()
    }

    /// Checks that there is something to run, that labels and seeds are unique, and that each setting can be
    /// trained and has its place on the axis.
    ///
    /// # Errors
    ///
    /// [`SweepError`] for the first problem found.
    pub fn validate(&self) -> Result<(), SweepError> {
        for (what, is_empty) in [
            ("settings", self.settings.is_empty()),
            ("seeds", self.seeds.is_empty()),
        ] {
            if is_empty {
                let sweep = self.name.clone();
                return Err(SweepError::Empty { sweep, what });
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
            let invalid = |source: TrainingError| SweepError::Setting {
                label: setting.label.clone(),
                source: Box::new(source),
            };
            setting.training.validate().map_err(|e| invalid(e.into()))?;
            setting
                .network
                .layer_table()
                .map_err(|e| invalid(e.into()))?;
            let has_place = match self.scale {
                Scale::Linear => setting.x.is_some_and(f64::is_finite),
                Scale::Logarithmic => setting.x.is_some_and(|x| x.is_finite() && x > 0.0),
                Scale::Categories => true,
            };
            if !has_place {
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

/// The number of trials in a results file.
#[cfg(fuzzing)]
pub(crate) fn finished_trials(
    path: &std::path::Path,
    sweep: &Sweep,
    images: &lenet_data::ImageDataset,
) -> Result<usize, SweepError> {
    let checkpoints = path.with_extension("checkpoints");
    let format = file_format::FileFormat::new(sweep, images, images);
    let (_, trials) = store::Store::open(path, &checkpoints, &format, store::Wait::No)?;
    Ok(trials.len())
}
