//! One trial on its worker, and how it ends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Instant;

use lenet_data::ImageDataset;

use super::work::{Options, Shared, lock};
use super::{Outcome, Trial, TrialResult, Worker};
use crate::error::{chain, panic_message};
use crate::training::Ensembles;
use crate::{Checkpoints, EpochMetrics, Event, Observer, Trainer, TrainingError};

/// How a trial ended.
pub(super) enum End {
    /// With a result.
    Result {
        result: TrialResult,
        /// Whether its last checkpoint was refused.
        refused: bool,
    },
    /// Because the sweep was stopped.
    Stopped {
        /// Why no checkpoint could be written, if that was attempted.
        not_saved: Option<String>,
    },
}

/// One trial and what it needs.
pub(super) struct TrialRun<'r, 'a> {
    pub(super) options: &'r Options<'r>,
    pub(super) trial: &'r Trial<'a>,
    /// Folder of its checkpoints, if there are any.
    pub(super) checkpoints: PathBuf,
    /// Training set and held-out set.
    pub(super) sets: (&'r ImageDataset, &'r ImageDataset),
    pub(super) worker: &'r Worker,
    pub(super) ensembles: &'r Ensembles,
    pub(super) shared: &'r Mutex<Shared<'a>>,
}

impl TrialRun<'_, '_> {
    pub(super) fn run(&self) -> End {
        let setting = self.trial.setting;
        let training = setting.training.clone().with_seed(self.trial.seed);
        let (train, held_out) = self.sets;
        let mut relay = Relay {
            trial: self.trial,
            shared: self.shared,
            epochs: Vec::new(),
            earlier_seconds: 0.0,
        };
        let mut trainer = Trainer::new(&setting.network, &training)
            .with_validation(held_out)
            .with_ensembles(self.ensembles)
            .with_observer(&mut relay);
        if let Some(interval) = self.options.interval {
            let checkpoints = Checkpoints::new(&self.checkpoints).with_interval(interval);
            trainer = trainer.with_checkpoints(checkpoints.with_kept(1).with_resume(true));
        }
        if let Some(stop) = self.options.stop {
            trainer = trainer.with_stop(stop);
        }
        let start = Instant::now();
        // A panic fails the trial, not the sweep.
        let fit = AssertUnwindSafe(|| trainer.fit(train, &self.worker.device));
        let mut refused = false;
        let outcome = match catch_unwind(fit) {
            Ok(Ok(_)) => Outcome::Finished,
            Ok(Err(error)) => {
                refused = error.is_refused_checkpoint();
                let message = chain(&error);
                match error {
                    TrainingError::Interrupted { unsaved, .. } => {
                        let not_saved = unsaved.map(|error| chain(&error));
                        return End::Stopped { not_saved };
                    }
                    // The sweep was stopped, and the checkpoint folder could not be used either.
                    TrainingError::Checkpoint(_) if self.options.is_stopped() && !refused => {
                        let not_saved = Some(message);
                        return End::Stopped { not_saved };
                    }
                    TrainingError::NonFiniteLoss { .. }
                    | TrainingError::NonFiniteWeight { .. }
                    | TrainingError::NonFiniteOutput { .. } => Outcome::Diverged { message },
                    _ => Outcome::Failed { message },
                }
            }
            Err(panic) => Outcome::Failed {
                message: format!("panicked: {}", panic_message(panic.as_ref())),
            },
        };
        let result = TrialResult {
            label: setting.label.clone(),
            seed: self.trial.seed,
            outcome,
            epochs: relay.epochs,
            seconds: relay.earlier_seconds + start.elapsed().as_secs_f64(),
            threads: self.worker.threads,
            device: self.worker.kind().to_owned(),
        };
        End::Result { result, refused }
    }
}

/// Passes the events of a trial to the observer of the sweep, and collects the epochs.
struct Relay<'s, 'a> {
    trial: &'s Trial<'s>,
    shared: &'s Mutex<Shared<'a>>,
    epochs: Vec<EpochMetrics>,
    /// Seconds that the trial took before it was resumed.
    earlier_seconds: f64,
}

impl Observer for Relay<'_, '_> {
    fn observe(&mut self, event: &Event<'_>) {
        match event {
            Event::Epoch { metrics, .. } => self.epochs.push((*metrics).clone()),
            Event::Resumed {
                epochs, seconds, ..
            } => {
                self.epochs = epochs.to_vec();
                self.earlier_seconds = *seconds;
            }
            _ => {}
        }
        lock(self.shared).observer.observe(&Event::Trial {
            trial: self.trial,
            event,
        });
    }
}
