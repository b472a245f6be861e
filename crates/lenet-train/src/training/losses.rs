//! The losses of the unfinished epoch. Completed epochs are [`EpochMetrics`](crate::EpochMetrics).

use std::time::Instant;

use crate::TrainingError;
use crate::checkpoint::PartialEpoch;

/// Steps between two transfers: often enough to stop a diverged run soon, rarely enough that a GPU never waits.
const STEPS_PER_READ: usize = 50;

/// The losses of an epoch. Those of the last few steps are still on the device.
pub(super) struct Losses {
    /// Epoch, from 1.
    epoch: usize,
    steps: usize,
    /// The steps whose losses were read.
    known: PartialEpoch,
    pending: Vec<Pending>,
    /// Learning rate of the last step that was read.
    pub(super) rate: f64,
    /// When this process began to train the epoch.
    start: Option<Instant>,
}

/// A step whose loss was not read yet.
struct Pending {
    images: usize,
    rate: f64,
}

impl Losses {
    /// An epoch (from 1) of which this much is done.
    pub(super) fn new(epoch: usize, steps: usize, known: PartialEpoch) -> Self {
        Self {
            epoch,
            steps,
            known,
            pending: Vec::with_capacity(STEPS_PER_READ),
            rate: f64::NAN,
            start: None,
        }
    }

    /// Starts the clock.
    pub(super) fn start(&mut self) {
        self.start = Some(Instant::now());
    }

    /// Seconds spent on this epoch, by this process and earlier ones.
    pub(super) fn seconds(&self) -> f64 {
        let now = self
            .start
            .map_or(0.0, |start| start.elapsed().as_secs_f64());
        self.known.seconds + now
    }

    /// Completed steps.
    pub(super) fn step(&self) -> usize {
        self.known.step + self.pending.len()
    }

    /// The most recent loss that was read.
    pub(super) fn latest(&self) -> Option<f64> {
        self.known.latest_loss
    }

    /// Mean over the images of all steps that were read.
    pub(super) fn mean(&self) -> f64 {
        self.known.weighted_loss / self.known.images.max(1) as f64
    }

    /// The state for a checkpoint; all losses must have been read.
    pub(super) fn partial_epoch(&self) -> PartialEpoch {
        assert!(
            self.pending.is_empty(),
            "losses must be read before they are saved"
        );
        PartialEpoch {
            seconds: self.seconds(),
            ..self.known.clone()
        }
    }

    /// Adds a step.
    pub(super) fn push(&mut self, images: usize, rate: f64) {
        self.pending.push(Pending { images, rate });
    }

    /// Whether there are enough steps to read their losses.
    pub(super) fn are_due(&self) -> bool {
        self.pending.len() >= STEPS_PER_READ
    }

    /// Takes the losses of all pending steps; the first that is not finite is an error.
    pub(super) fn read(&mut self, losses: Vec<f32>) -> Result<(), TrainingError> {
        assert_eq!(
            losses.len(),
            self.pending.len(),
            "there must be a loss for each step"
        );
        for (pending, loss) in self.pending.drain(..).zip(losses) {
            let loss = f64::from(loss);
            self.known.step += 1;
            if !loss.is_finite() {
                return Err(TrainingError::NonFiniteLoss {
                    epoch: self.epoch,
                    step: self.known.step,
                    steps: self.steps,
                    loss,
                    learning_rate: pending.rate,
                });
            }
            self.known.weighted_loss += loss * pending.images as f64;
            self.known.images += pending.images;
            self.known.latest_loss = Some(loss);
            self.rate = pending.rate;
        }
        Ok(())
    }
}
