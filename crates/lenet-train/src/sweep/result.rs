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
    /// The setting with the highest mean accuracy, of those whose every training came to its end.
    pub fn best(&self) -> Option<&SettingResult> {
        self.ranking().into_iter().next()
    }

    /// One sentence that the numbers support: which setting has the highest mean accuracy, and
    /// whether the seeds' spread alone could explain its lead over the second.
    ///
    /// It could unless Welch's t-test tells the two apart at the 5 % level. The test takes no account
    /// of how many settings there were to choose from.
    pub fn conclusion(&self) -> String {
        let ranking = self.ranking();
        let Some(best) = ranking.first() else {
            return "No setting had all its trainings come to their end.".to_owned();
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

    /// The settings whose every training came to its end, best first.
    fn ranking(&self) -> Vec<&SettingResult> {
        let whole = |setting: &&SettingResult| {
            setting
                .trials
                .iter()
                .all(|trial| trial.accuracy().is_some())
        };
        let mut ranked: Vec<_> = self
            .settings
            .iter()
            .filter(whole)
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
