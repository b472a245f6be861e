//! What the workers of a sweep do: take a trial, run it, keep its result. One trial is run by `trial.rs`.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lenet_core::file::remove_folder;
use lenet_data::ImageDataset;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::parts::Results;
use super::store::Store;
use super::trial::{End, TrialRun};
use super::{Missing, Partition, Sweep, SweepError, SweepResult, Trial, TrialResult, Worker};
use crate::checkpoint::files;
use crate::dataset::check_fit;
use crate::observer::Guard;
use crate::training::Ensembles;
use crate::{Event, Interval};

/// What all workers read.
#[derive(Clone, Copy)]
pub(super) struct Options<'a> {
    pub(super) sweep: &'a Sweep,
    pub(super) workers: &'a [Worker],
    pub(super) interval: Option<Interval>,
    pub(super) stop: Option<&'a AtomicBool>,
    pub(super) mixed_devices: bool,
    pub(super) partition: Option<Partition>,
}

pub(super) fn thread_pool(worker: &Worker) -> Result<ThreadPool, SweepError> {
    let pool = ThreadPoolBuilder::new().num_threads(worker.threads).build();
    pool.map_err(|error| SweepError::Threads {
        // As text, because rayon's error displays its source.
        source: error.to_string().into(),
    })
}

impl Options<'_> {
    /// Checks that there is something to run, and that it can be run on these images.
    pub(super) fn check(
        &self,
        train: &ImageDataset,
        held_out: &ImageDataset,
    ) -> Result<(), SweepError> {
        self.check_settings(train, held_out)?;
        if self.workers.is_empty() {
            return Err(SweepError::Empty {
                sweep: self.sweep.name.clone(),
                what: "workers",
            });
        }
        Ok(())
    }

    pub(super) fn check_settings(
        &self,
        train: &ImageDataset,
        held_out: &ImageDataset,
    ) -> Result<(), SweepError> {
        self.sweep.validate()?;
        for setting in &self.sweep.settings {
            for dataset in [train, held_out] {
                check_fit(&setting.network, dataset).map_err(|source| SweepError::Setting {
                    label: setting.label.clone(),
                    source: Box::new(source),
                })?;
            }
        }
        Ok(())
    }

    /// Runs one trial after the other until none is waiting, or the sweep is stopped.
    pub(super) fn work(
        &self,
        worker: &Worker,
        pool: &ThreadPool,
        sets: (&ImageDataset, &ImageDataset),
        checkpoints: &Path,
        ensembles: &Ensembles,
        shared: &Mutex<Shared<'_>>,
    ) {
        while !self.is_stopped()
            && let Some(trial) = next(shared)
        {
            let folder = self.trial_folder(checkpoints, &trial);
            let run = TrialRun {
                options: self,
                trial: &trial,
                checkpoints: folder.join(worker.kind()),
                sets,
                worker,
                ensembles,
                shared,
            };
            match pool.install(|| run.run()) {
                End::Result { result, refused } => {
                    let on_disk = keep(shared, &trial, &result);
                    // A folder that cannot be removed does no harm, or is refused again.
                    if on_disk && refused {
                        let _ = remove_folder(&run.checkpoints);
                    } else if on_disk && result.is_done() {
                        let _ = remove_folder(&folder);
                    }
                }
                End::Stopped { not_saved } => {
                    let checkpoint = self.last_checkpoint(checkpoints, &trial);
                    let reason = interrupted(checkpoint, not_saved);
                    lock(shared).result.set_missing(&trial, reason);
                    return;
                }
            }
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed))
    }

    /// Checks that the missing trials would be computed on the same kind of device as these rows.
    pub(super) fn check_devices(
        &self,
        path: &Path,
        results: &Results<'_>,
    ) -> Result<(), SweepError> {
        let done = results.trials().filter(|trial| trial.is_done());
        let found: BTreeSet<&str> = done.map(|trial| trial.device.as_str()).collect();
        let workers: BTreeSet<&str> = self.workers.iter().map(Worker::kind).collect();
        if self.mixed_devices || found.union(&workers).count() < 2 {
            return Ok(());
        }
        let names = |kinds: BTreeSet<&str>| kinds.into_iter().map(str::to_owned).collect();
        Err(SweepError::MixedDevices {
            path: results
                .file_of_another_kind(&workers)
                .unwrap_or(path)
                .to_owned(),
            found: names(found),
            workers: names(workers),
        })
    }

    /// The folder of a trial's checkpoints, with a subfolder for each kind of device: one kind computes a trial
    /// from beginning to end.
    fn trial_folder(&self, checkpoints: &Path, trial: &Trial<'_>) -> PathBuf {
        let mut settings = self.sweep.settings.iter();
        let Some(number) = settings.position(|setting| setting.label == trial.setting.label) else {
            unreachable!("the sweep has a setting '{}'", trial.setting.label)
        };
        checkpoints.join(format!("setting-{number}-seed-{}", trial.seed))
    }

    /// Steps in the last checkpoint from which this run would resume a trial.
    pub(super) fn last_checkpoint(&self, checkpoints: &Path, trial: &Trial<'_>) -> Option<u64> {
        self.interval?;
        let folder = self.trial_folder(checkpoints, trial);
        let kinds: BTreeSet<&str> = self.workers.iter().map(Worker::kind).collect();
        let files = kinds
            .into_iter()
            .filter_map(|kind| files(&folder.join(kind)).ok())
            .flatten();
        files.map(|(step, _)| step).max()
    }
}

/// What the workers share.
pub(super) struct Shared<'a> {
    /// Trials that no worker has taken yet.
    pub(super) waiting: VecDeque<Trial<'a>>,
    /// Trials that have ended, in this run or an earlier one.
    pub(super) finished: usize,
    /// Trials to run.
    pub(super) trials: usize,
    pub(super) result: SweepResult,
    pub(super) store: Store,
    pub(super) observer: Guard<'a>,
    /// The first error that ends the sweep.
    pub(super) error: Option<SweepError>,
}

pub(super) fn lock<'l, 'a>(shared: &'l Mutex<Shared<'a>>) -> MutexGuard<'l, Shared<'a>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn interrupted(checkpoint: Option<u64>, not_saved: Option<String>) -> Missing {
    Missing::Interrupted {
        checkpoint,
        not_saved,
    }
}

fn next<'a>(shared: &Mutex<Shared<'a>>) -> Option<Trial<'a>> {
    let mut shared = lock(shared);
    if shared.error.is_some() {
        return None;
    }
    let trial = shared.waiting.pop_front()?;
    let event = Event::TrialStarted { trial: &trial };
    shared.observer.observe(&event);
    Some(trial)
}

/// Stores a result and returns whether it is on disk. This is attempted even if an earlier one could not be
/// written: the disk may have room again.
fn keep(shared: &Mutex<Shared<'_>>, trial: &Trial<'_>, result: &TrialResult) -> bool {
    let shared = &mut *lock(shared);
    let result = match shared.store.append(result) {
        Ok(result) => result,
        Err(error) => {
            shared.error.get_or_insert(error);
            return false;
        }
    };
    shared.finished += 1;
    shared.observer.observe(&Event::TrialFinished {
        trial,
        result: &result,
        finished: shared.finished,
        trials: shared.trials,
    });
    shared.result.set_result(result);
    true
}
