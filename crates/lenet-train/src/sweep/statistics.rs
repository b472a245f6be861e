//! Statistics over seeds, and the conclusion drawn from them.

use super::{SettingResult, SweepResult, TrialResult};
use crate::EpochMetrics;

impl SettingResult {
    /// Accuracies of the finished trials, in the order of the seeds.
    pub fn accuracies(&self) -> Vec<f64> {
        self.results().filter_map(TrialResult::accuracy).collect()
    }

    /// Mean accuracy of the finished trials.
    pub fn mean(&self) -> Option<f64> {
        mean(&self.accuracies())
    }

    /// Standard deviation of the accuracy (n − 1 in the denominator), if two trials or more finished.
    pub fn standard_deviation(&self) -> Option<f64> {
        standard_deviation(&self.accuracies())
    }

    /// Mean seconds of the finished trials.
    pub fn mean_seconds(&self) -> Option<f64> {
        let finished = self.results().filter(|trial| trial.accuracy().is_some());
        mean(&finished.map(|trial| trial.seconds).collect::<Vec<_>>())
    }

    /// Mean of a metric after this epoch (from 1), over the trials that completed the epoch and have the metric.
    pub fn mean_of(
        &self,
        epoch: usize,
        value: impl Fn(&EpochMetrics) -> Option<f64>,
    ) -> Option<f64> {
        mean(&self.values(epoch, value))
    }

    /// Mean accuracy after this epoch (from 1), over the trials that completed it.
    pub fn mean_after(&self, epoch: usize) -> Option<f64> {
        self.mean_of(epoch, |metrics| metrics.validation_accuracy)
    }

    /// Standard deviation of the accuracy after this epoch (from 1), over the trials that completed it.
    pub fn standard_deviation_after(&self, epoch: usize) -> Option<f64> {
        standard_deviation(&self.values(epoch, |metrics| metrics.validation_accuracy))
    }

    fn values(&self, epoch: usize, value: impl Fn(&EpochMetrics) -> Option<f64>) -> Vec<f64> {
        let epochs = self.results().flat_map(|trial| &trial.epochs);
        let epochs = epochs.filter(|metrics| metrics.epoch == epoch);
        epochs.filter_map(value).collect()
    }

    /// Whether every trial finished: only then is its mean comparable to another.
    fn is_finished(&self) -> bool {
        self.trials.iter().all(|trial| trial.accuracy().is_some())
    }
}

impl SweepResult {
    /// The setting with the highest mean accuracy among those whose trials all finished.
    pub fn best(&self) -> Option<&SettingResult> {
        self.ranking().into_iter().next()
    }

    /// A sentence that the numbers support: which setting has the highest mean accuracy, and whether the
    /// variation between seeds could explain its lead over the second.
    ///
    /// It could unless Welch's t-test finds a difference at the 5 % level. The test does not account for the
    /// number of settings compared. Incomplete settings are not compared; a second sentence names them.
    pub fn conclusion(&self) -> String {
        let incomplete = self
            .settings
            .iter()
            .filter(|setting| !setting.is_complete());
        let incomplete: Vec<&str> = incomplete.map(|setting| setting.label.as_str()).collect();
        match incomplete.as_slice() {
            [] => self.comparison(),
            labels => format!(
                "{} Incomplete and not compared: {}.",
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
            None => format!("{lead}, {than}; one seed cannot show whether that is chance."),
            Some(limit) if difference > limit => {
                format!(
                    "{lead}, {than}: more than the variation between seeds explains (limit {limit:.4})."
                )
            }
            Some(limit) => {
                format!(
                    "{lead}, {than}: the variation between seeds could explain that (limit {limit:.4})."
                )
            }
        }
    }

    /// The settings whose trials all finished, best first.
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

/// The smallest difference between two means that Welch's t-test finds significant at the 5 % level.
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
    // Without any variation the degrees of freedom are NaN.
    point.map_or(12.706, |(_, t)| *t)
}
