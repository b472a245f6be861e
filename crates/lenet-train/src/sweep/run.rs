//! Running a sweep: which trials are missing, and what its result is. The workers are in `work.rs`.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};
use std::thread;

use lenet_core::file::remove_folder;
use lenet_data::ImageDataset;

use super::file_format::FileFormat;
use super::partition::{by_cost, cut};
use super::parts::Results;
use super::store::{Store, Wait};
use super::work::{Options, Shared, interrupted, thread_pool};
use super::{Missing, MissingTrial, Partition, Sweep, SweepError, SweepResult, Trial, Worker};
use crate::error::chain;
use crate::observer::Guard;
use crate::training::Ensembles;
use crate::{Event, Interval, Observer};

/// Runs a sweep.
///
/// ```
/// use std::sync::atomic::AtomicBool;
///
/// use burn::tensor::Device;
/// use lenet_core::LeNetConfig;
/// use lenet_data::synthetic;
/// use lenet_train::sweep::{Sweep, SweepError, SweepRunner, Worker};
/// use lenet_train::{Interval, TrainingConfig};
///
/// let mut sweep = Sweep::new("one", "network");
/// sweep.push_setting("modern", LeNetConfig::modern(10), TrainingConfig::default());
/// let workers = Worker::share_cores(&Device::flex(), 1);
/// let stop = AtomicBool::new(true);
/// let runner = SweepRunner::new(&sweep, &workers)
///     .with_checkpoint_interval(Interval::Epochs(5))
///     .with_stop(&stop);
///
/// let data = synthetic::garment_splits(256, 100);
/// let folder = tempfile::tempdir()?;
/// let file = folder.path().join("trials.jsonl");
/// let result = runner.run(&data.train, &data.test, &file);
/// let Err(SweepError::Interrupted { result }) = result else { panic!("expected an interruption") };
/// assert_eq!(result.missing().count(), 1);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct SweepRunner<'a> {
    options: Options<'a>,
    observer: Guard<'a>,
}

impl<'a> SweepRunner<'a> {
    /// Runs the trials of the sweep; each worker runs one at a time.
    pub fn new(sweep: &'a Sweep, workers: &'a [Worker]) -> Self {
        Self {
            options: Options {
                sweep,
                workers,
                interval: None,
                stop: None,
                mixed_devices: false,
                partition: None,
            },
            observer: Guard(None),
        }
    }

    /// Sets the observer of the sweep; without one, it is silent.
    #[must_use]
    pub fn with_observer(mut self, observer: &'a mut dyn Observer) -> Self {
        self.observer = Guard(Some(observer));
        self
    }

    /// Writes checkpoints of each trial to a folder beside the results file, with the extension `checkpoints`.
    /// A later run of the sweep on the same kind of device resumes from them. They are removed when the trial
    /// is complete, and kept when it fails, unless the checkpoint itself was refused. A new results file starts
    /// with an empty folder.
    #[must_use]
    pub fn with_checkpoint_interval(mut self, interval: Interval) -> Self {
        self.options.interval = Some(interval);
        self
    }

    /// Stops all trials after their current step once this flag is true, each with a checkpoint if there are
    /// any.
    #[must_use]
    pub fn with_stop(mut self, stop: &'a AtomicBool) -> Self {
        self.options.stop = Some(stop);
        self
    }

    /// Sets whether the results file may hold trials that were computed on different kinds of devices, whose
    /// numbers differ in the last digits. Each trial records its device, and the table shows the devices if
    /// they are mixed.
    #[must_use]
    pub fn with_mixed_devices(mut self, allowed: bool) -> Self {
        self.options.mixed_devices = allowed;
        self
    }

    /// Runs only this part of the sweep, as one of several processes, which may be on different machines.
    ///
    /// Results are then written to [the part's own file](Partition::file), beside `file` and locked like it. What
    /// the other files hold already is read and skipped; trials of other parts are never run, and the result says
    /// which of them are [missing](Missing::OfPart). Run the sweep without a partition to merge: that reads all
    /// files and runs what is still missing.
    #[must_use]
    pub fn with_partition(mut self, partition: Partition) -> Self {
        self.options.partition = Some(partition);
        self
    }

    /// Runs the trials that `file` does not hold yet, and returns the result of all trials. Other contents of
    /// the file, such as trials with the seeds of an earlier run, are kept and ignored.
    ///
    /// After every epoch, the network is evaluated on `held_out`, on which it is never trained: a validation set
    /// to choose by, or the test set to report. The most expensive trials start first, so that no worker is
    /// idle for long at the end. Each completed trial is a line of `file`, on disk before the worker starts its
    /// next one; rerun an interrupted sweep and it resumes where it stopped. The result of a trial depends on
    /// its setting, its seed, the images and the kind of device, not on the number of workers.
    ///
    /// A trial that diverges or fails is reported in the result; the other trials continue.
    ///
    /// # Errors
    ///
    /// [`SweepError`] before the first trial if the sweep is empty or contradicts itself, a setting does not fit
    /// the images, there is no worker, or `file` is in use, is not a results file of this sweep, or would mix
    /// kinds of devices; later if a result cannot be written, or the sweep is stopped.
    pub fn run(
        self,
        train: &ImageDataset,
        held_out: &ImageDataset,
        file: impl AsRef<Path>,
    ) -> Result<SweepResult, SweepError> {
        let (options, whole) = (self.options, file.as_ref());
        let (sweep, images) = (options.sweep, train.len());
        options.check(train, held_out)?;
        let (path, wait) = match options.partition {
            Some(part) => (part.file(whole), Wait::UntilStopped(options.stop)),
            None => (whole.to_owned(), Wait::No),
        };
        let format = FileFormat::new(sweep, train, held_out);
        let mut results = Results::new(&format, options.mixed_devices);
        options.check_devices(&path, &results)?;
        let workers = options.workers.iter();
        let pools = workers.map(thread_pool).collect::<Result<Vec<_>, _>>()?;
        let checkpoints = checkpoint_folder(whole, options.partition);
        let (store, trials) = Store::open(&path, &checkpoints, &format, wait)?;
        results.add(&path, trials)?;
        let mut observer = self.observer;
        results.read_others(whole, Some(&path), |error| {
            // A part needs none of the other files: without them, it at most repeats a trial.
            if options.partition.is_none() {
                return Err(error);
            }
            let message = chain(&error);
            observer.observe(&Event::ResultsIgnored { message: &message });
            Ok(())
        })?;

        let trials = match options.partition {
            Some(part) => part.trials(sweep, images),
            None => by_cost(sweep.trials(), images),
        };
        let total = trials.len();
        let (done, waiting): (Vec<_>, Vec<_>) = trials
            .into_iter()
            .partition(|trial| results.is_done(&trial.key()));
        if !waiting.is_empty() {
            options.check_devices(&path, &results)?;
        }
        let mut result = SweepResult::not_run(sweep, train);
        if let Some(part) = options.partition {
            result.leave_to_parts(&cut(sweep, images, part.count()));
            for trial in &waiting {
                result.set_missing(trial, Missing::NotRun);
            }
        }
        for trial in &waiting {
            if let Some(step) = options.last_checkpoint(&checkpoints, trial) {
                result.set_missing(trial, interrupted(Some(step), None));
            }
        }
        let costs = waiting.iter().map(|trial| trial.cost(images));
        let cost = costs.fold(0, u64::saturating_add);
        let parts = match options.partition {
            Some(_) => Vec::new(),
            None => results.parts(sweep, images, whole),
        };
        if !parts.is_empty() {
            observer.observe(&Event::PartsRead { parts: &parts });
        }
        let own: HashSet<_> = done.iter().chain(&waiting).map(Trial::key).collect();
        for trial in results.into_trials() {
            // A trial that failed in another part is run again by that part.
            if trial.is_done() || own.contains(&trial.key()) {
                result.set_result(trial);
            }
        }
        observer.observe(&Event::SweepStarted {
            sweep,
            partition: options.partition,
            trials: total,
            finished: done.len(),
            cost,
            workers: options.workers.len(),
        });
        let shared = Mutex::new(Shared {
            waiting: waiting.into(),
            finished: done.len(),
            trials: total,
            result,
            store,
            observer,
            error: None,
        });

        let ensembles = Ensembles::default();
        thread::scope(|scope| {
            for (worker, pool) in options.workers.iter().zip(&pools) {
                let (checkpoints, ensembles, shared) = (&checkpoints, &ensembles, &shared);
                let sets = (train, held_out);
                scope.spawn(move || {
                    options.work(worker, pool, sets, checkpoints, ensembles, shared);
                });
            }
        });

        let mut shared = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
        shared.observer.observe(&Event::SweepFinished);
        // Succeeds once the folder is empty.
        let _ = fs::remove_dir(&checkpoints);
        for part in &parts {
            // What a part left that never came back; its trials are complete by now.
            if part.trials == part.done || shared.result.is_complete() {
                let _ = remove_folder(checkpoint_folder(whole, Some(part.partition)));
            }
        }
        if let Some(error) = shared.error {
            return Err(error);
        }
        // A trial that failed in an earlier run and is still waiting was not run either.
        let is_left = |missing: &MissingTrial| !matches!(missing.reason, Missing::OfPart { .. });
        if shared.waiting.is_empty() && !shared.result.missing().any(is_left) {
            return Ok(shared.result);
        }
        Err(SweepError::Interrupted {
            result: Box::new(shared.result),
        })
    }

    /// Reads the results in `file` and in those of all parts, and returns the result of all trials. Nothing is run,
    /// written or locked, and no worker is needed. A trial that a part has not finished yet is
    /// [`Missing::OfPart`]. Results of different kinds of devices are not refused; the table shows which ran where.
    ///
    /// # Errors
    ///
    /// [`SweepError`] as for [`run`](Self::run), except for what is about workers.
    pub fn read(
        self,
        train: &ImageDataset,
        held_out: &ImageDataset,
        file: impl AsRef<Path>,
    ) -> Result<SweepResult, SweepError> {
        let (options, whole) = (self.options, file.as_ref());
        let (sweep, images) = (options.sweep, train.len());
        options.check_settings(train, held_out)?;
        let format = FileFormat::new(sweep, train, held_out);
        let mut results = Results::new(&format, options.mixed_devices);
        results.read_others(whole, None, Err)?;
        let mut result = SweepResult::not_run(sweep, train);
        let parts = results.parts(sweep, images, whole);
        if !parts.is_empty() {
            let mut observer = self.observer;
            observer.observe(&Event::PartsRead { parts: &parts });
            result.leave_to_parts(&cut(sweep, images, parts.len()));
        }
        for trial in results.into_trials() {
            result.set_result(trial);
        }
        Ok(result)
    }
}

/// The folder of the checkpoints that a run of the whole sweep, or of a part, writes.
fn checkpoint_folder(whole: &Path, partition: Option<Partition>) -> PathBuf {
    let folder = whole.with_extension("checkpoints");
    partition.map_or(folder.clone(), |part| part.file(&folder))
}
