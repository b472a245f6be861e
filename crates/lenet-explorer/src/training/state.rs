//! The state of a training, as the page receives it.

use lenet_train::EpochMetrics;
use serde::Serialize;

use super::Plan;
use crate::gallery::DatasetId;
use crate::networks::Network;

/// Points of the loss curve. When there are twice as many, every second one is dropped.
const POINTS: usize = 400;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// Nothing was trained yet.
    #[default]
    Idle,
    Running,
    Finished,
    Stopped,
    Failed,
}

/// The state of the training that runs, or of the last one.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct State {
    status: Status,
    network: Option<String>,
    name: Option<String>,
    dataset: Option<DatasetId>,
    /// Whether the images are generated.
    synthetic: bool,
    /// From 1.
    epoch: usize,
    epochs: usize,
    /// Of the epoch, from 1.
    step: usize,
    /// Of an epoch.
    steps: usize,
    total_step: usize,
    /// Steps since the beginning, and their training losses.
    losses: Vec<(usize, f64)>,
    /// One entry for each epoch.
    validation: Vec<Validation>,
    test_accuracy: Option<f64>,
    message: Option<String>,
    /// Losses come with a distance of so many reports.
    #[serde(skip)]
    thinning: usize,
    #[serde(skip)]
    reports: usize,
}

/// The numbers of an epoch.
#[derive(Clone, Debug, Serialize)]
struct Validation {
    epoch: usize,
    accuracy: Option<f64>,
    /// On the validation images.
    loss: Option<f64>,
    /// On the training images.
    mean_loss: f64,
    seconds: f64,
}

impl State {
    pub(super) fn started(network: &Network, plan: &Plan) -> Self {
        Self {
            status: Status::Running,
            network: Some(network.id().to_owned()),
            name: Some(network.name().to_owned()),
            dataset: Some(plan.dataset),
            synthetic: plan.dataset.known().is_none(),
            epochs: plan.training.epochs,
            thinning: 1,
            ..Self::default()
        }
    }

    pub(super) fn status(&self) -> Status {
        self.status
    }

    pub(super) fn set_steps(&mut self, steps: usize) {
        self.steps = steps;
    }

    pub(super) fn set_step(&mut self, epoch: usize, step: usize, total_step: usize) {
        (self.epoch, self.step, self.total_step) = (epoch, step, total_step);
    }

    pub(super) fn push_loss(&mut self, total_step: usize, loss: f64) {
        if self.reports.is_multiple_of(self.thinning) {
            self.losses.push((total_step, loss));
        }
        self.reports += 1;
        if self.losses.len() == 2 * POINTS {
            let mut index = 0;
            self.losses.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.thinning *= 2;
        }
    }

    pub(super) fn push_epoch(&mut self, metrics: &EpochMetrics) {
        self.validation.push(Validation {
            epoch: metrics.epoch,
            accuracy: metrics.validation_accuracy,
            loss: metrics.validation_loss,
            mean_loss: metrics.mean_loss,
            seconds: metrics.seconds,
        });
    }

    pub(super) fn set_test_accuracy(&mut self, accuracy: f64) {
        self.test_accuracy = Some(accuracy);
    }

    pub(super) fn end(&mut self, status: Status, message: Option<String>) {
        self.status = status;
        self.message = message;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_loss_curve_is_thinned_evenly() {
        let mut state = State {
            thinning: 1,
            ..State::default()
        };
        for step in 0..10_000 {
            state.push_loss(step, 0.0);
        }
        assert!((POINTS..2 * POINTS).contains(&state.losses.len()));
        let distances = state.losses.windows(2).map(|pair| pair[1].0 - pair[0].0);
        assert!(
            distances
                .into_iter()
                .all(|distance| distance == state.thinning)
        );
    }
}
