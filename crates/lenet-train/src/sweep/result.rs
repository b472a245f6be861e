//! The result of a sweep. Statistics are in `statistics.rs`, the table is in `table.rs`.

use std::collections::BTreeSet;
use std::fmt;

use lenet_data::ImageDataset;
use serde::{Deserialize, Serialize};

use super::{Partition, Scale, Sweep, Trial};
use crate::EpochMetrics;

/// The result of a sweep, complete or not; its [`Display`](fmt::Display) output is a table.
///
/// It has an entry for every trial of the sweep, including those that were not run. Tables, charts and the
/// conclusion are made from these entries, so an incomplete sweep never looks complete.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SweepResult {
    /// Name of the sweep.
    pub name: String,
    /// What differs between the settings.
    pub parameter: String,
    /// How the settings are placed along the x-axis.
    pub scale: Scale,
    /// What the held-out images are: `test` or `validation`.
    pub held_out: String,
    /// Name of the training set.
    pub dataset: String,
    /// Whether its images are synthetic.
    pub synthetic: bool,
    /// One entry per setting, in the order of the sweep.
    pub settings: Vec<SettingResult>,
}

/// The result of one setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SettingResult {
    /// Label of the setting.
    pub label: String,
    /// Its place on a linear or logarithmic x-axis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<f64>,
    /// Number of parameters of the network.
    pub parameters: usize,
    /// One entry per seed, in the order of the sweep.
    pub trials: Vec<TrialStatus>,
}

/// The result of one trial, or why there is none.
///
/// ```
/// use lenet_train::sweep::{Missing, TrialStatus};
///
/// let json = r#"{ "label": "5", "seed": 3, "outcome": { "status": "interrupted", "checkpoint": 200 } }"#;
/// let trial: TrialStatus = serde_json::from_str(json)?;
/// assert_eq!((trial.label(), trial.seed(), trial.status()), ("5", 3, "interrupted"));
/// assert!(!trial.is_done());
/// assert_eq!(trial.message().as_deref(), Some("interrupted; resumes after step 200"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TrialStatus {
    /// It ended by itself: it is complete, diverged or failed.
    Ended(TrialResult),
    /// It was not run, or interrupted.
    Missing(MissingTrial),
}

/// The result of one trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TrialResult {
    /// Label of the setting.
    pub label: String,
    /// The seed.
    pub seed: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// The completed epochs, with metrics on the held-out images.
    pub epochs: Vec<EpochMetrics>,
    /// Seconds for the whole trial, including evaluation.
    pub seconds: f64,
    /// Threads of its worker.
    pub threads: usize,
    /// The kind of device that computed it, such as `flex` or `wgpu`.
    pub device: String,
}

/// How a trial ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Outcome {
    /// It completed its last epoch.
    Finished,
    /// Its loss, a weight or the network's output became infinite or NaN. It would do so again, so a later run
    /// does not repeat it.
    Diverged {
        /// What happened, and where.
        message: String,
    },
    /// Any other error. A later run of the sweep repeats it.
    Failed {
        /// What happened.
        message: String,
    },
}

/// A trial that has no result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct MissingTrial {
    /// Label of the setting.
    pub label: String,
    /// The seed.
    pub seed: u64,
    /// Why it has no result.
    #[serde(rename = "outcome")]
    pub reason: Missing,
}

/// Why a trial has no result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Missing {
    /// It was never started.
    #[default]
    NotRun,
    /// It was stopped before it was complete.
    Interrupted {
        /// Steps in its last checkpoint, from which it resumes.
        #[serde(default)]
        checkpoint: Option<u64>,
        /// Why the checkpoint of its last step could not be written, if that was attempted.
        #[serde(default)]
        not_saved: Option<String>,
    },
    /// It belongs to a part of the sweep that another process runs, and is not in its file.
    OfPart {
        /// The part.
        part: Partition,
    },
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (checkpoint, not_saved) = match self {
            Self::NotRun => return f.write_str("not run"),
            Self::OfPart { part } => return write!(f, "not run yet by part {part}"),
            Self::Interrupted {
                checkpoint,
                not_saved,
            } => (checkpoint, not_saved),
        };
        f.write_str("interrupted")?;
        if let Some(reason) = not_saved {
            write!(f, ", and no checkpoint could be written ({reason})")?;
        }
        match checkpoint {
            Some(step) => write!(f, "; resumes after step {step}"),
            None => f.write_str("; starts again"),
        }
    }
}

impl TrialStatus {
    /// Label of the setting.
    pub fn label(&self) -> &str {
        match self {
            Self::Ended(result) => &result.label,
            Self::Missing(missing) => &missing.label,
        }
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        match self {
            Self::Ended(result) => result.seed,
            Self::Missing(missing) => missing.seed,
        }
    }

    /// One of `finished`, `diverged`, `failed`, `interrupted` and `not-run`.
    pub fn status(&self) -> &'static str {
        match self {
            Self::Ended(result) => match result.outcome {
                Outcome::Finished => "finished",
                Outcome::Diverged { .. } => "diverged",
                Outcome::Failed { .. } => "failed",
            },
            Self::Missing(missing) => match missing.reason {
                Missing::NotRun | Missing::OfPart { .. } => "not-run",
                Missing::Interrupted { .. } => "interrupted",
            },
        }
    }

    /// Why it has no accuracy; `None` for a finished trial.
    pub fn message(&self) -> Option<String> {
        match self {
            Self::Ended(result) => match &result.outcome {
                Outcome::Finished => None,
                Outcome::Diverged { message } | Outcome::Failed { message } => {
                    Some(message.clone())
                }
            },
            Self::Missing(missing) => Some(missing.reason.to_string()),
        }
    }

    /// Its result, if it ended by itself.
    pub fn result(&self) -> Option<&TrialResult> {
        match self {
            Self::Ended(result) => Some(result),
            Self::Missing(_) => None,
        }
    }

    /// Whether it finished or diverged. Any other trial is run again.
    pub fn is_done(&self) -> bool {
        self.result().is_some_and(TrialResult::is_done)
    }

    /// Accuracy on the held-out images after the last epoch, from 0 to 1, if it finished.
    pub fn accuracy(&self) -> Option<f64> {
        self.result()?.accuracy()
    }
}

/// Label and seed, which identify a trial in its sweep.
pub(super) type TrialKey = (String, u64);

impl Trial<'_> {
    pub(super) fn key(&self) -> TrialKey {
        (self.setting.label.clone(), self.seed)
    }
}

impl TrialResult {
    pub(super) fn key(&self) -> TrialKey {
        (self.label.clone(), self.seed)
    }

    /// Accuracy on the held-out images after the last epoch, from 0 to 1, if it finished.
    pub fn accuracy(&self) -> Option<f64> {
        match self.outcome {
            Outcome::Finished => self.epochs.last()?.validation_accuracy,
            _ => None,
        }
    }

    /// Accuracy on the held-out images after this epoch (from 1), if it completed that epoch.
    pub fn accuracy_after(&self, epoch: usize) -> Option<f64> {
        let metrics = self.epochs.iter().find(|metrics| metrics.epoch == epoch)?;
        metrics.validation_accuracy
    }

    /// Whether a repetition would end the same.
    pub(super) fn is_done(&self) -> bool {
        !matches!(self.outcome, Outcome::Failed { .. })
    }
}

impl SettingResult {
    /// The results of the trials that ended by themselves.
    pub fn results(&self) -> impl Iterator<Item = &TrialResult> {
        self.trials.iter().filter_map(TrialStatus::result)
    }

    /// Whether no trial is missing or failed. The numbers of an incomplete setting may still change.
    pub fn is_complete(&self) -> bool {
        self.trials.iter().all(TrialStatus::is_done)
    }
}

impl SweepResult {
    /// The result before anything was run.
    pub(super) fn not_run(sweep: &Sweep, train: &ImageDataset) -> Self {
        let settings = sweep.settings.iter().map(|setting| SettingResult {
            label: setting.label.clone(),
            x: setting.x,
            parameters: setting.network.layer_table().map_or(0, |t| t.parameters()),
            trials: sweep
                .seeds
                .iter()
                .map(|&seed| {
                    TrialStatus::Missing(MissingTrial {
                        label: setting.label.clone(),
                        seed,
                        reason: Missing::NotRun,
                    })
                })
                .collect(),
        });
        Self {
            name: sweep.name.clone(),
            parameter: sweep.parameter.clone(),
            scale: sweep.scale,
            held_out: sweep.held_out.clone(),
            dataset: train.name().to_owned(),
            synthetic: train.is_synthetic(),
            settings: settings.collect(),
        }
    }

    /// Enters the result of a trial. A file may hold seeds that are not part of the sweep; they are ignored.
    pub(super) fn set_result(&mut self, result: TrialResult) {
        if let Some(entry) = self.entry(&result.label, result.seed) {
            *entry = TrialStatus::Ended(result);
        }
    }

    /// Says of every trial which part runs it.
    pub(super) fn leave_to_parts(&mut self, parts: &[Vec<Trial<'_>>]) {
        for (index, trials) in (1..).zip(parts) {
            let Ok(part) = Partition::new(index, parts.len()) else {
                unreachable!("part {index} of {} exists", parts.len())
            };
            for trial in trials {
                self.set_missing(trial, Missing::OfPart { part });
            }
        }
    }

    /// Enters why a trial of the sweep has no result.
    pub(super) fn set_missing(&mut self, trial: &Trial<'_>, reason: Missing) {
        let label = &trial.setting.label;
        let Some(entry) = self.entry(label, trial.seed) else {
            unreachable!("the result has an entry for {label}, seed {}", trial.seed)
        };
        *entry = TrialStatus::Missing(MissingTrial {
            label: label.clone(),
            seed: trial.seed,
            reason,
        });
    }

    fn entry(&mut self, label: &str, seed: u64) -> Option<&mut TrialStatus> {
        let setting = self.settings.iter_mut().find(|s| s.label == label)?;
        setting.trials.iter_mut().find(|trial| trial.seed() == seed)
    }

    /// Every trial of the sweep, setting by setting.
    pub fn trials(&self) -> impl Iterator<Item = &TrialStatus> {
        self.settings.iter().flat_map(|setting| &setting.trials)
    }

    /// The results of the trials that ended by themselves.
    pub fn results(&self) -> impl Iterator<Item = &TrialResult> {
        self.trials().filter_map(TrialStatus::result)
    }

    /// The trials that have no result.
    pub fn missing(&self) -> impl Iterator<Item = &MissingTrial> {
        self.trials().filter_map(|trial| match trial {
            TrialStatus::Ended(_) => None,
            TrialStatus::Missing(missing) => Some(missing),
        })
    }

    /// Whether no trial is missing or failed. Running a complete sweep again does nothing.
    pub fn is_complete(&self) -> bool {
        self.settings.iter().all(SettingResult::is_complete)
    }

    /// The kinds of devices that computed the trials, such as `flex`.
    pub fn devices(&self) -> BTreeSet<&str> {
        let done = self.results().filter(|trial| trial.is_done());
        done.map(|trial| trial.device.as_str()).collect()
    }
}
