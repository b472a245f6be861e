use serde::{Deserialize, Serialize};

use super::Scale;
use crate::EpochMetrics;

/// What a sweep gave; printing it gives the table.
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

/// What one setting gave.
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
    pub trials: Vec<TrialResult>,
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
}

impl SettingResult {
    /// Accuracies of the trainings that came to their end.
    pub fn accuracies(&self) -> Vec<f64> {
        self.trials
            .iter()
            .filter_map(TrialResult::accuracy)
            .collect()
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
        let finished = self.trials.iter().filter(|t| t.accuracy().is_some());
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
        let trials = self.trials.iter();
        trials
            .filter_map(|trial| trial.accuracy_after(epoch))
            .collect()
    }
}

impl SweepResult {
    /// The setting with the highest mean accuracy.
    pub fn best(&self) -> Option<&SettingResult> {
        self.ranking().into_iter().next()
    }

    /// One sentence that the numbers support: which setting is best, and whether the seeds' spread
    /// could explain its lead.
    ///
    /// The lead counts if it exceeds two standard errors of the difference between the two means.
    pub fn conclusion(&self) -> String {
        let ranking = self.ranking();
        let parameter = &self.parameter;
        let Some(best) = ranking.first() else {
            return "No training came to its end.".to_owned();
        };
        let mean = |setting: &SettingResult| setting.mean().unwrap_or(f64::NAN);
        let lead = format!("{parameter} {} is best with {:.4}", best.label, mean(best));
        let Some(second) = ranking.get(1) else {
            return format!("{lead}; there is nothing to compare it with.");
        };
        let difference = mean(best) - mean(second);
        let than = format!("{difference:.4} above {}", second.label);
        let error = match (standard_error(best), standard_error(second)) {
            (Some(a), Some(b)) => a.hypot(b),
            _ => return format!("{lead}, {than}; one seed each cannot tell luck from merit."),
        };
        let limit = 2.0 * error;
        match difference > limit {
            true => format!(
                "{lead}, {than}: more than the seeds explain (two standard errors are {limit:.4})."
            ),
            false => format!(
                "{lead}, {than}: the seeds alone could explain that (two standard errors are {limit:.4})."
            ),
        }
    }

    /// The settings with a result, best first.
    fn ranking(&self) -> Vec<&SettingResult> {
        let mut ranked: Vec<_> = self
            .settings
            .iter()
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

fn standard_error(setting: &SettingResult) -> Option<f64> {
    let deviation = setting.standard_deviation()?;
    Some(deviation / (setting.accuracies().len() as f64).sqrt())
}
