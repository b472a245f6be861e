//! From the events of a training to its state, and to the weights that are explored in the meantime.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lenet_train::observer::CurrentNetwork;
use lenet_train::{Event, Observer};
use tokio::sync::watch;

use super::State;
use crate::networks::Network;

/// Time between two copies of the weights while somebody looks at them.
const WATCHED: Duration = Duration::from_millis(50);

/// Time between two copies while nobody does. Each costs the next step a copy, too.
const UNWATCHED: Duration = Duration::from_secs(1);

/// How long somebody who looked is expected to look again.
const ATTENTION: Duration = Duration::from_secs(2);

/// The observer of the training.
pub(super) struct Progress<'a> {
    state: &'a watch::Sender<Arc<State>>,
    network: &'a Network,
    /// Set by the user.
    stop_requested: &'a AtomicBool,
    /// Watched by the trainer: set after the last weights are copied, so that none are lost.
    stop: &'a AtomicBool,
    total_step: usize,
    loss: Option<f64>,
    copied: Instant,
}

impl<'a> Progress<'a> {
    pub(super) fn new(
        state: &'a watch::Sender<Arc<State>>,
        network: &'a Network,
        stop_requested: &'a AtomicBool,
        stop: &'a AtomicBool,
    ) -> Self {
        Self {
            state,
            network,
            stop_requested,
            stop,
            total_step: 0,
            loss: None,
            copied: Instant::now(),
        }
    }

    /// Completed steps.
    pub(super) fn total_step(&self) -> usize {
        self.total_step
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        self.state.send_modify(|state| change(Arc::make_mut(state)));
    }

    /// Whether it is time to copy the weights.
    fn is_due(&self) -> bool {
        let looked_at = self.network.looked_at();
        let is_watched = looked_at.is_some_and(|looked_at| looked_at.elapsed() < ATTENTION);
        self.copied.elapsed() >= if is_watched { WATCHED } else { UNWATCHED }
    }
}

impl Observer for Progress<'_> {
    fn observe(&mut self, event: &Event<'_>) {
        match *event {
            Event::Started { steps, .. } => self.change(|state| state.set_steps(steps)),
            Event::Step {
                epoch, step, loss, ..
            } => {
                self.total_step += 1;
                let total_step = self.total_step;
                // Losses are read from the device from time to time: one that changed is that of this step.
                let new = loss.filter(|_| loss != self.loss);
                self.loss = loss;
                self.change(|state| {
                    state.set_step(epoch, step, total_step);
                    if let Some(loss) = new {
                        state.push_loss(total_step, loss);
                    }
                });
            }
            Event::Epoch { metrics, .. } => {
                let (total_step, loss) = (self.total_step, Some(metrics.last_batch_loss));
                let new = loss.filter(|_| loss != self.loss);
                self.loss = None;
                self.change(|state| {
                    if let Some(loss) = new {
                        state.push_loss(total_step, loss);
                    }
                    state.push_epoch(metrics);
                });
            }
            _ => {}
        }
    }

    fn observe_network(&mut self, network: &CurrentNetwork<'_>) {
        let stops = self.stop_requested.load(Ordering::Relaxed);
        // A device that fails ends the training as well, which reports it.
        if (stops || self.is_due())
            && let Ok(lenet) = network.copy()
        {
            self.network.update(lenet, self.total_step);
            self.copied = Instant::now();
        }
        if stops {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}
