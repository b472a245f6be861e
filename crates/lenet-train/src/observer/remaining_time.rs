//! The estimate of the remaining time.

use std::time::{Duration, Instant};

use crate::Event;

/// Estimates the remaining time of a sweep from the multiply-adds that are done and those that remain, and that
/// of a single run from its steps.
///
/// Work that an earlier run completed does not count.
///
/// ```
/// use lenet_train::observer::RemainingTime;
/// use lenet_train::sweep::Sweep;
/// use lenet_train::Event;
///
/// let mut remaining = RemainingTime::default();
/// let sweep = Sweep::new("kernels", "kernel size");
/// remaining.observe(&Event::SweepStarted {
///     sweep: &sweep, partition: None, trials: 1, finished: 0, cost: 1_000, workers: 1,
/// });
/// assert_eq!((remaining.fraction(), remaining.left()), (0.0, None));
/// ```
#[derive(Clone, Debug, Default)]
pub struct RemainingTime {
    total: f64,
    done: f64,
    started: Option<Instant>,
    /// Training images of each trial.
    images: usize,
}

impl RemainingTime {
    /// Takes note of an event; pass every event of the run or sweep.
    pub fn observe(&mut self, event: &Event<'_>) {
        match event {
            Event::SweepStarted { cost, .. } => self.start(*cost as f64),
            Event::Started {
                training, steps, ..
            } => self.start(training.epochs as f64 * *steps as f64),
            Event::Resumed {
                step,
                steps,
                epochs,
                ..
            } => self.total -= (epochs.len() * steps + step) as f64,
            Event::Step { .. } => self.done += 1.0,
            Event::Trial { trial, event } => {
                let cost = trial.cost(self.images) as f64;
                let per_step = |steps: usize| {
                    cost / (trial.setting.training.epochs as f64 * steps as f64).max(1.0)
                };
                match event {
                    Event::Started { images, .. } => self.images = *images,
                    Event::Resumed {
                        step,
                        steps,
                        epochs,
                        ..
                    } => self.total -= (epochs.len() * steps + step) as f64 * per_step(*steps),
                    Event::Step { steps, .. } => self.done += per_step(*steps),
                    _ => {}
                }
            }
            Event::TrialFinished { trial, result, .. } => {
                // The epochs that a diverged trial skips need no time either.
                let epochs = trial.setting.training.epochs.max(1);
                let skipped = epochs.saturating_sub(result.epochs.len()) as f64 / epochs as f64;
                self.done += trial.cost(self.images) as f64 * skipped;
            }
            _ => {}
        }
    }

    fn start(&mut self, total: f64) {
        *self = Self {
            total,
            started: Some(Instant::now()),
            ..Self::default()
        };
    }

    /// The completed fraction of the work, from 0 to 1.
    pub fn fraction(&self) -> f64 {
        (self.done / self.total.max(1.0)).clamp(0.0, 1.0)
    }

    /// The remaining time, or `None` until one percent of the work is done.
    pub fn left(&self) -> Option<Duration> {
        let fraction = self.fraction();
        let elapsed = self.started?.elapsed();
        (fraction > 0.01).then(|| elapsed.mul_f64((1.0 - fraction) / fraction))
    }
}

/// A duration for people, such as `12 min`.
pub(super) fn rounded(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min", seconds / 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_rounded_to_what_people_read() {
        let texts = [59, 12 * 60 + 40, 3 * 3600 + 25 * 60]
            .map(Duration::from_secs)
            .map(rounded);
        assert_eq!(texts, ["59 s", "12 min", "3 h 25 min"]);
    }
}
