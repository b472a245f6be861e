//! Running a sweep: which trials are missing, which worker takes which, what is kept. One trial is run by
//! `trial.rs`.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use lenet_core::file::remove_folder;
use lenet_data::ImageDataset;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::file_format::FileFormat;
use super::partition::{by_cost, cut};
use super::parts::Results;
use super::store::{Store, Wait};
use super::trial::{End, TrialRun};
use super::{
    Missing, MissingTrial, Partition, Sweep, SweepError, SweepResult, Trial, TrialResult, Worker,
};
use crate::checkpoint::files;
use crate::dataset::check_fit;
use crate::error::chain;
use crate::observer::Guard;
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

/// What all workers read.
#[derive(Clone, Copy)]
pub(super) struct Options<'a> {
    sweep: &'a Sweep,
    workers: &'a [Worker],
    pub(super) interval: Option<Interval>,
    pub(super) stop: Option<&'a AtomicBool>,
    mixed_devices: bool,
    partition: Option<Partition>,
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

        thread::scope(|scope| {
            for (worker, pool) in options.workers.iter().zip(&pools) {
                let (checkpoints, shared) = (&checkpoints, &shared);
                let sets = (train, held_out);
                scope.spawn(move || options.work(worker, pool, sets, checkpoints, shared));
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

fn thread_pool(worker: &Worker) -> Result<ThreadPool, SweepError> {
    let pool = ThreadPoolBuilder::new().num_threads(worker.threads).build();
    pool.map_err(|error| SweepError::Threads {
        // As text, because rayon's error displays its source.
        source: error.to_string().into(),
    })
}

impl Options<'_> {
    /// Checks that there is something to run, and that it can be run on these images.
    fn check(&self, train: &ImageDataset, held_out: &ImageDataset) -> Result<(), SweepError> {
        self.check_settings(train, held_out)?;
        if self.workers.is_empty() {
            return Err(SweepError::Empty {
                sweep: self.sweep.name.clone(),
                what: "workers",
            });
        }
        Ok(())
    }

    fn check_settings(
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
    fn work(
        &self,
        worker: &Worker,
        pool: &ThreadPool,
        sets: (&ImageDataset, &ImageDataset),
        checkpoints: &Path,
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
    fn check_devices(&self, path: &Path, results: &Results<'_>) -> Result<(), SweepError> {
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
    fn last_checkpoint(&self, checkpoints: &Path, trial: &Trial<'_>) -> Option<u64> {
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
    waiting: VecDeque<Trial<'a>>,
    /// Trials that have ended, in this run or an earlier one.
    finished: usize,
    /// Trials to run.
    trials: usize,
    result: SweepResult,
    store: Store,
    pub(super) observer: Guard<'a>,
    /// The first error that ends the sweep.
    error: Option<SweepError>,
}

pub(super) fn lock<'l, 'a>(shared: &'l Mutex<Shared<'a>>) -> MutexGuard<'l, Shared<'a>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn interrupted(checkpoint: Option<u64>, not_saved: Option<String>) -> Missing {
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
