use std::collections::BTreeSet;
use std::fmt;

use lenet_data::ImageDataset;
use serde::{Deserialize, Serialize};

use super::{Scale, Sweep, Trial};
use crate::EpochMetrics;

/// What is known of a sweep; printing it gives the table.
///
/// It has an entry for every trial of the sweep, whether the trial was run or not. Tables, charts and
/// the conclusion read these entries and nothing else, so none of them can take a part for the whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SweepResult {
    /// Name of the sweep.
    pub name: String,
    /// What differs between the settings.
    pub parameter: String,
    /// How the settings are laid along an axis.
    pub scale: Scale,
    /// Which images judged: `test` or `validation`.
    pub held_out: String,
    /// Name of the data set that was learnt from.
    pub dataset: String,
    /// Whether its images are drawings of the project.
    pub synthetic: bool,
    /// One entry for each setting, in the order of the sweep.
    pub settings: Vec<SettingResult>,
}

/// What is known of one setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SettingResult {
    /// Label of the setting.
    pub label: String,
    /// Its place on the x-axis.
    pub x: f64,
    /// Parameters of the network.
    pub parameters: usize,
    /// One entry for each seed, in the order of the sweep.
    pub trials: Vec<TrialStatus>,
}

/// What is known of one trial: what it gave, or why there is nothing.
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
    /// It ended by itself, in whichever way.
    Ended(TrialResult),
    /// It has not been run to its end.
    Missing(MissingTrial),
}

/// What one training gave.
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
    /// The epochs that were finished, each judged by the held-out images.
    pub epochs: Vec<EpochMetrics>,
    /// Seconds for the whole training, judging included.
    pub seconds: f64,
    /// Threads it had, on a CPU.
    pub threads: usize,
    /// The kind of device that it was computed on, such as `flex` or `wgpu`.
    pub device: String,
}

/// How a training ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Outcome {
    /// After its last epoch.
    Finished,
    /// With a loss that was not finite. It would do so again, so it is not repeated.
    Diverged {
        /// What happened, and where.
        message: String,
    },
    /// Otherwise; a restarted sweep tries again.
    Failed {
        /// What happened.
        message: String,
    },
}

/// A trial without a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct MissingTrial {
    /// Label of the setting.
    pub label: String,
    /// The seed.
    pub seed: u64,
    /// Why there is no result.
    #[serde(rename = "outcome")]
    pub reason: Missing,
}

/// Why a trial has no result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Missing {
    /// Nothing of it is on disk.
    #[default]
    NotRun,
    /// It was stopped before its end.
    Interrupted {
        /// Steps that its last checkpoint holds, if there is one: it resumes from there.
        #[serde(default)]
        checkpoint: Option<u64>,
        /// Why no checkpoint of its last step could be written, if that was tried in vain.
        #[serde(default)]
        not_saved: Option<String>,
    },
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Interrupted {
            checkpoint,
            not_saved,
        } = self
        else {
            return f.write_str("not run");
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
                Missing::NotRun => "not-run",
                Missing::Interrupted { .. } => "interrupted",
            },
        }
    }

    /// Why there is no accuracy; none of a finished trial.
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

    /// What it gave, if it ended by itself.
    pub fn result(&self) -> Option<&TrialResult> {
        match self {
            Self::Ended(result) => Some(result),
            Self::Missing(_) => None,
        }
    }

    /// Whether there is nothing left to do: it finished or diverged. Any other is run again.
    pub fn is_done(&self) -> bool {
        self.result().is_some_and(TrialResult::is_done)
    }

    /// Accuracy on the held-out images after the last epoch, from 0 to 1, if training came there.
    pub fn accuracy(&self) -> Option<f64> {
        self.result()?.accuracy()
    }
}

impl TrialResult {
    /// Accuracy on the held-out images after the last epoch, from 0 to 1, if training came there.
    pub fn accuracy(&self) -> Option<f64> {
        match self.outcome {
            Outcome::Finished => self.epochs.last()?.validation_accuracy,
            _ => None,
        }
    }

    /// Accuracy on the held-out images after an epoch (from 1), if training came there.
    pub fn accuracy_after(&self, epoch: usize) -> Option<f64> {
        let metrics = self.epochs.iter().find(|metrics| metrics.epoch == epoch)?;
        metrics.validation_accuracy
    }

    /// Whether it would end the same if it were run again.
    pub(super) fn is_done(&self) -> bool {
        !matches!(self.outcome, Outcome::Failed { .. })
    }
}

impl SettingResult {
    /// What the trials gave that ended by themselves.
    pub fn results(&self) -> impl Iterator<Item = &TrialResult> {
        self.trials.iter().filter_map(TrialStatus::result)
    }

    /// Whether no trial is missing or failed: numbers of an incomplete setting may still change.
    pub fn is_complete(&self) -> bool {
        self.trials.iter().all(TrialStatus::is_done)
    }

    /// Accuracies of the trainings that came to their end.
    pub fn accuracies(&self) -> Vec<f64> {
        self.results().filter_map(TrialResult::accuracy).collect()
    }

    /// Mean accuracy over the seeds, if any training came to its end.
    pub fn mean(&self) -> Option<f64> {
        mean(&self.accuracies())
    }

    /// Standard deviation of the accuracy over the seeds (n − 1 in the denominator), of two
    /// trainings or more.
    pub fn standard_deviation(&self) -> Option<f64> {
        standard_deviation(&self.accuracies())
    }

    /// Mean seconds of a training that came to its end.
    pub fn mean_seconds(&self) -> Option<f64> {
        let finished = self.results().filter(|trial| trial.accuracy().is_some());
        mean(&finished.map(|trial| trial.seconds).collect::<Vec<_>>())
    }

    /// Mean accuracy over the seeds after an epoch (from 1), of the trainings that came there.
    pub fn mean_after(&self, epoch: usize) -> Option<f64> {
        mean(&self.after(epoch))
    }

    /// Standard deviation over the seeds after an epoch (from 1).
    pub fn standard_deviation_after(&self, epoch: usize) -> Option<f64> {
        standard_deviation(&self.after(epoch))
    }

    fn after(&self, epoch: usize) -> Vec<f64> {
        self.results()
            .filter_map(|trial| trial.accuracy_after(epoch))
            .collect()
    }

    /// Whether every trial finished: only then are its mean and another's comparable.
    fn is_finished(&self) -> bool {
        self.trials.iter().all(|trial| trial.accuracy().is_some())
    }
}

impl SweepResult {
    /// That of a sweep of which nothing has been run yet.
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

    /// Enters what a trial gave. A file may hold more seeds than the sweep: those are not entered.
    pub(super) fn set_result(&mut self, result: TrialResult) {
        if let Some(entry) = self.entry(&result.label, result.seed) {
            *entry = TrialStatus::Ended(result);
        }
    }

    /// Enters why a trial has no result.
    pub(super) fn set_missing(&mut self, trial: &Trial<'_>, reason: Missing) {
        let label = &trial.setting.label;
        if let Some(entry) = self.entry(label, trial.seed) {
            *entry = TrialStatus::Missing(MissingTrial {
                label: label.clone(),
                seed: trial.seed,
                reason,
            });
        }
    }

    fn entry(&mut self, label: &str, seed: u64) -> Option<&mut TrialStatus> {
        let setting = self.settings.iter_mut().find(|s| s.label == label)?;
        setting.trials.iter_mut().find(|trial| trial.seed() == seed)
    }

    /// Every trial of the sweep, setting by setting.
    pub fn trials(&self) -> impl Iterator<Item = &TrialStatus> {
        self.settings.iter().flat_map(|setting| &setting.trials)
    }

    /// What the trials gave that ended by themselves.
    pub fn results(&self) -> impl Iterator<Item = &TrialResult> {
        self.trials().filter_map(TrialStatus::result)
    }

    /// The trials without a result, with the reason for each.
    pub fn missing(&self) -> impl Iterator<Item = &MissingTrial> {
        self.trials().filter_map(|trial| match trial {
            TrialStatus::Ended(_) => None,
            TrialStatus::Missing(missing) => Some(missing),
        })
    }

    /// Whether no trial is missing or failed: running the sweep again would do nothing.
    pub fn is_complete(&self) -> bool {
        self.settings.iter().all(SettingResult::is_complete)
    }

    /// The kinds of devices that the trials were computed on, such as `flex`.
    pub fn devices(&self) -> BTreeSet<&str> {
        let done = self.results().filter(|trial| trial.is_done());
        done.map(|trial| trial.device.as_str()).collect()
    }

    /// The setting with the highest mean accuracy, of those whose every trial finished.
    pub fn best(&self) -> Option<&SettingResult> {
        self.ranking().into_iter().next()
    }

    /// One sentence that the numbers support: which setting has the highest mean accuracy, and
    /// whether the seeds' spread alone could explain its lead over the second.
    ///
    /// It could unless Welch's t-test tells the two apart at the 5 % level. The test takes no account
    /// of how many settings there were to choose from. Settings that lack trials are not compared; a
    /// second sentence names them.
    pub fn conclusion(&self) -> String {
        let incomplete = self
            .settings
            .iter()
            .filter(|setting| !setting.is_complete());
        let incomplete: Vec<&str> = incomplete.map(|setting| setting.label.as_str()).collect();
        match incomplete.as_slice() {
            [] => self.comparison(),
            labels => format!(
                "{} Incomplete, and so not compared: {}.",
                self.comparison(),
                labels.join(", ")
            ),
        }
    }

    fn comparison(&self) -> String {
        let ranking = self.ranking();
        let Some(best) = ranking.first() else {
            return "No setting completed all its trials.".to_owned();
        };
        let mean = |setting: &SettingResult| setting.mean().unwrap_or(f64::NAN);
        let lead = format!(
            "Highest mean {} accuracy: {:.4}, with {} {}",
            self.held_out,
            mean(best),
            self.parameter,
            best.label
        );
        let Some(second) = ranking.get(1) else {
            return format!("{lead}; there is nothing to compare it with.");
        };
        let difference = mean(best) - mean(second);
        let than = format!("{difference:.4} above {}", second.label);
        match welch(best, second) {
            None => format!("{lead}, {than}; one seed cannot tell luck from merit."),
            Some(limit) if difference > limit => {
                format!("{lead}, {than}: more than the seeds explain (limit {limit:.4}).")
            }
            Some(limit) => {
                format!("{lead}, {than}: the seeds alone could explain that (limit {limit:.4}).")
            }
        }
    }

    /// The settings whose every trial finished, best first.
    fn ranking(&self) -> Vec<&SettingResult> {
        let mut ranked: Vec<_> = self
            .settings
            .iter()
            .filter(|setting| setting.is_finished())
            .filter_map(|setting| Some((setting.mean()?, setting)))
            .collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
        ranked.into_iter().map(|(_, setting)| setting).collect()
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn standard_deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values).filter(|_| values.len() > 1)?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

/// The smallest difference of two means that Welch's t-test calls significant at the 5 % level.
fn welch(a: &SettingResult, b: &SettingResult) -> Option<f64> {
    let variance = |setting: &SettingResult| -> Option<(f64, f64)> {
        let count = setting.accuracies().len() as f64;
        Some((setting.standard_deviation()?.powi(2) / count, count - 1.0))
    };
    let ((a, a_freedom), (b, b_freedom)) = (variance(a)?, variance(b)?);
    let freedom = (a + b).powi(2) / (a.powi(2) / a_freedom + b.powi(2) / b_freedom);
    Some(students_t(freedom) * (a + b).sqrt())
}

/// Two-sided 5 % point of Student's t for at most this many degrees of freedom.
fn students_t(freedom: f64) -> f64 {
    const POINTS: [(f64, f64); 12] = [
        (30.0, 2.042),
        (20.0, 2.086),
        (15.0, 2.131),
        (10.0, 2.228),
        (8.0, 2.306),
        (7.0, 2.365),
        (6.0, 2.447),
        (5.0, 2.571),
        (4.0, 2.776),
        (3.0, 3.182),
        (2.0, 4.303),
        (1.0, 12.706),
    ];
    let point = POINTS.iter().find(|(at_least, _)| freedom >= *at_least);
    // Two identical accuracies in both settings leave no freedom to speak of.
    point.map_or(12.706, |(_, t)| *t)
}
