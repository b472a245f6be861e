use std::any::Any;
use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use burn::tensor::Device;
use lenet_core::device_kind;
use lenet_core::file::remove_folder;
use lenet_data::ImageDataset;

use super::store::Store;
use super::{
    Missing, Outcome, Sweep, SweepError, SweepEvent, SweepObserver, SweepResult, Trial, TrialResult,
};
use crate::training::check_fit;
use crate::{
    Checkpoints, EpochMetrics, Event, Interval, Observer, Trainer, TrainingError, checkpoint,
};

/// One place where a trial can run: a device, and the threads it may use on a CPU.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Worker {
    /// Where tensors live.
    pub device: Device,
    /// Threads for work on the host.
    pub threads: usize,
}

impl Worker {
    /// A worker on `device` with this many threads; 0 counts as 1.
    pub fn new(device: Device, threads: usize) -> Self {
        Self {
            device,
            threads: threads.max(1),
        }
    }

    /// The kind of its device, as each result records it.
    fn kind(&self) -> &'static str {
        device_kind(&self.device)
    }

    /// `jobs` workers on one device that share the machine's cores.
    ///
    /// Networks as small as these give the most trials an hour with one worker for each core: one
    /// thread never waits for another. More workers than cores only use more memory.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use lenet_train::sweep::Worker;
    ///
    /// let workers = Worker::share_cores(&Device::flex(), 2);
    /// assert_eq!(workers.len(), 2);
    /// assert!(workers[0].threads >= 1);
    /// ```
    pub fn share_cores(device: &Device, jobs: usize) -> Vec<Self> {
        let jobs = jobs.max(1);
        let cores = thread::available_parallelism().map_or(1, usize::from);
        // The first few take what does not divide.
        (0..jobs)
            .map(|job| {
                let more = usize::from(job < cores % jobs);
                Self::new(device.clone(), cores / jobs + more)
            })
            .collect()
    }
}

impl Sweep {
    /// Trains what `file` does not hold yet: a [`SweepRunner`] with these workers and nothing else.
    ///
    /// See the [module's documentation](crate::sweep) for an example.
    ///
    /// # Errors
    ///
    /// As [`SweepRunner::run`].
    pub fn run(
        &self,
        train: &ImageDataset,
        held_out: &ImageDataset,
        workers: &[Worker],
        file: impl AsRef<Path>,
        observer: &mut dyn SweepObserver,
    ) -> Result<SweepResult, SweepError> {
        SweepRunner::new(self, workers).run(train, held_out, file, observer)
    }
}

/// A sweep's run, and what goes with it.
///
/// ```
/// use std::sync::atomic::AtomicBool;
///
/// use burn::tensor::Device;
/// use lenet_core::LeNetConfig;
/// use lenet_data::synthetic;
/// use lenet_train::sweep::{SilentSweep, Sweep, SweepError, SweepRunner, Worker};
/// use lenet_train::{Interval, TrainingConfig};
///
/// let training = TrainingConfig::default().with_epochs(1);
/// let sweep = Sweep::new("one", "network").with_setting("modern", 0.0, LeNetConfig::modern(10), training);
/// let workers = Worker::share_cores(&Device::flex(), 1);
/// let stop = AtomicBool::new(true);
/// let runner = SweepRunner::new(&sweep, &workers)
///     .with_checkpoint_interval(Interval::Epochs(5))
///     .with_stop(&stop);
///
/// let data = synthetic::garment_splits(256, 100);
/// let folder = tempfile::tempdir()?;
/// let file = folder.path().join("trials.jsonl");
/// let result = runner.run(&data.train, &data.test, &file, &mut SilentSweep);
/// let Err(SweepError::Interrupted { result }) = result else { panic!("it was not stopped") };
/// assert_eq!(result.missing().count(), 1);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SweepRunner<'a> {
    sweep: &'a Sweep,
    workers: &'a [Worker],
    interval: Option<Interval>,
    stop: Option<&'a AtomicBool>,
    with_mixed_devices: bool,
}

impl<'a> SweepRunner<'a> {
    /// Trains the sweep's trials, each worker one at a time.
    pub fn new(sweep: &'a Sweep, workers: &'a [Worker]) -> Self {
        Self {
            sweep,
            workers,
            interval: None,
            stop: None,
            with_mixed_devices: false,
        }
    }

    /// Leaves a checkpoint of each trial in a folder beside the file of results, with `checkpoints` for its
    /// ending, from which a later run of the sweep on the same kind of device resumes. It is removed when
    /// the trial is finished, and kept when it fails, unless the checkpoint itself was refused. With a new
    /// file of results begins an empty folder.
    #[must_use]
    pub fn with_checkpoint_interval(mut self, interval: Interval) -> Self {
        self.interval = Some(interval);
        self
    }

    /// Stops all trials after the step during which this becomes true, each with a checkpoint if there are
    /// any.
    #[must_use]
    pub fn with_stop(mut self, stop: &'a AtomicBool) -> Self {
        self.stop = Some(stop);
        self
    }

    /// Allows `file` to hold trials that were computed on different kinds of devices, whose numbers differ
    /// in the last digits. Each says on which, and the table does where they are mixed.
    #[must_use]
    pub fn with_mixed_devices(mut self, is_allowed: bool) -> Self {
        self.with_mixed_devices = is_allowed;
        self
    }

    /// Trains what `file` does not hold yet and gives the result of all trials. What else it holds, such
    /// as trials with seeds of an earlier run, stays there and does not count.
    ///
    /// `held_out` is judged after every epoch and never learnt from: a validation set to choose
    /// by, or the test set to report. The costliest trials begin first, so that no worker idles
    /// long at the end. Each finished trial is a line of `file`, on disk before the worker's next
    /// one begins; a sweep that was killed takes up what is missing when it is started again. A
    /// trial's result depends on its setting, its seed, the images and the kind of device, not on the
    /// number of workers.
    ///
    /// A trial that diverges or fails is a result that says so, and ends nothing else.
    ///
    /// # Errors
    ///
    /// [`SweepError`] before the first trial if the sweep is empty or contradicts itself, a setting
    /// does not fit the images, there is no worker, or `file` is in use, holds anything else than results
    /// of this sweep, or would mix kinds of devices; later if a result cannot be written, or the sweep is
    /// stopped.
    pub fn run(
        &self,
        train: &ImageDataset,
        held_out: &ImageDataset,
        file: impl AsRef<Path>,
        observer: &mut dyn SweepObserver,
    ) -> Result<SweepResult, SweepError> {
        let Self { sweep, workers, .. } = *self;
        let path = file.as_ref();
        self.check(train, held_out)?;
        self.check_devices(path, &[])?;
        let pools = workers
            .iter()
            .map(|worker| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(worker.threads);
                pool.build().map_err(|error| SweepError::Threads {
                    message: error.to_string(),
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let checkpoints = path.with_extension("checkpoints");
        let (store, rows) = Store::open(path, &checkpoints, sweep, train, held_out)?;

        // The file may hold more than this sweep asks for: only its own trials count.
        let is_done = |trial: &Trial<'_>| rows.iter().any(|row| trial.gave(row) && row.is_done());
        let (done, mut waiting): (Vec<_>, Vec<_>) = sweep.trials().into_iter().partition(is_done);
        if !waiting.is_empty() {
            self.check_devices(path, &rows)?;
        }
        let mut result = SweepResult::not_run(sweep, train);
        for trial in &waiting {
            if let Some(step) = self.last_checkpoint(&checkpoints, trial) {
                result.set_missing(trial, interrupted(Some(step), None));
            }
        }
        for row in rows {
            result.set_result(row);
        }
        waiting.sort_by_key(|trial| std::cmp::Reverse(trial.work(train.len())));
        let mut shared = Shared {
            waiting: VecDeque::new(),
            result,
            store,
            observer: Some(observer),
            error: None,
        };
        shared.tell(&SweepEvent::Started {
            sweep,
            finished: done.len(),
            work: waiting.iter().fold(0, |work: u64, trial| {
                work.saturating_add(trial.work(train.len()))
            }),
            workers: workers.len(),
        });
        shared.waiting = waiting.into();
        let shared = Mutex::new(shared);

        thread::scope(|scope| {
            for (worker, pool) in workers.iter().zip(&pools) {
                let (sets, checkpoints, shared) = ((train, held_out), &checkpoints, &shared);
                scope.spawn(move || self.work(worker, pool, sets, checkpoints, shared));
            }
        });

        let mut shared = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
        shared.tell(&SweepEvent::Finished);
        // Gone with its last folder.
        let _ = fs::remove_dir(&checkpoints);
        if let Some(error) = shared.error {
            return Err(error);
        }
        // One that failed in an earlier run and still waits was not run either.
        let is_run = shared.waiting.is_empty() && shared.result.missing().next().is_none();
        match is_run {
            true => Ok(shared.result),
            false => Err(SweepError::Interrupted {
                result: Box::new(shared.result),
            }),
        }
    }

    /// Whether there is something to run, and it can be.
    fn check(&self, train: &ImageDataset, held_out: &ImageDataset) -> Result<(), SweepError> {
        self.sweep.validate()?;
        if self.workers.is_empty() {
            return Err(SweepError::Empty {
                sweep: self.sweep.name.clone(),
                what: "workers",
            });
        }
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

    /// Runs one trial after the other until none waits, or the sweep is stopped.
    fn work(
        &self,
        worker: &Worker,
        pool: &rayon::ThreadPool,
        sets: (&ImageDataset, &ImageDataset),
        checkpoints: &Path,
        shared: &Mutex<Shared<'_>>,
    ) {
        while !self.is_stopped()
            && let Some(trial) = next(shared)
        {
            let folder = self.trial_folder(checkpoints, &trial);
            let run = TrialRun {
                runner: self,
                trial: &trial,
                checkpoints: folder.join(worker.kind()),
                sets,
                worker,
                shared,
            };
            match pool.install(|| run.run()) {
                End::Result { result, refused } => {
                    let is_kept = keep(shared, &trial, &result);
                    // What cannot be removed is in nobody's way, or is refused again.
                    let _ = match is_kept {
                        true if refused => remove_folder(&run.checkpoints),
                        true if result.is_done() => remove_folder(&folder),
                        _ => Ok(()),
                    };
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

    fn is_stopped(&self) -> bool {
        self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed))
    }

    /// Whether trials that these rows do not hold may be computed on the workers' devices.
    fn check_devices(&self, path: &Path, rows: &[TrialResult]) -> Result<(), SweepError> {
        let done = rows.iter().filter(|row| row.is_done());
        let found: BTreeSet<&str> = done.map(|row| row.device.as_str()).collect();
        let workers: BTreeSet<&str> = self.workers.iter().map(Worker::kind).collect();
        if self.with_mixed_devices || found.union(&workers).count() < 2 {
            return Ok(());
        }
        let names = |kinds: BTreeSet<&str>| kinds.into_iter().map(str::to_owned).collect();
        Err(SweepError::MixedDevices {
            path: path.to_owned(),
            found: names(found),
            workers: names(workers),
        })
    }

    /// The folder of a trial's checkpoints, with one in it for each kind of device: a trial is computed on
    /// one kind from its beginning to its end.
    fn trial_folder(&self, checkpoints: &Path, trial: &Trial<'_>) -> PathBuf {
        let mut settings = self.sweep.settings.iter();
        let Some(number) = settings.position(|setting| setting.label == trial.setting.label) else {
            unreachable!("the trial of '{}' is the sweep's", trial.setting.label)
        };
        checkpoints.join(format!("setting-{number}-seed-{}", trial.seed))
    }

    /// Steps that the last checkpoint of a trial holds, if this run would resume from one.
    fn last_checkpoint(&self, checkpoints: &Path, trial: &Trial<'_>) -> Option<u64> {
        self.interval?;
        let folder = self.trial_folder(checkpoints, trial);
        let kinds: BTreeSet<&str> = self.workers.iter().map(Worker::kind).collect();
        let files = kinds
            .into_iter()
            .filter_map(|kind| checkpoint::files(&folder.join(kind)).ok())
            .flatten();
        let steps = files
            .filter(|(_, path)| path.is_file())
            .map(|(step, _)| step);
        steps.max()
    }
}

impl Trial<'_> {
    /// Whether this is its result.
    fn gave(&self, result: &TrialResult) -> bool {
        result.label == self.setting.label && result.seed == self.seed
    }

    /// Multiply-adds of all epochs' forward passes: what the time left is estimated by.
    pub(super) fn work(&self, images: usize) -> u64 {
        let table = self.setting.network.layer_table();
        let image = table.map_or(0, |table| table.multiply_adds());
        let epochs = self.setting.training.epochs as u64;
        image.saturating_mul(images as u64).saturating_mul(epochs)
    }
}

/// What the workers share.
struct Shared<'a> {
    /// Trials that no worker has taken yet.
    waiting: VecDeque<Trial<'a>>,
    result: SweepResult,
    store: Store,
    /// None once it panicked.
    observer: Option<&'a mut dyn SweepObserver>,
    /// The first error that ends the sweep.
    error: Option<SweepError>,
}

impl Shared<'_> {
    /// Tells the observer. One that panics is told nothing more: it must not cost a result.
    fn tell(&mut self, event: &SweepEvent<'_>) {
        if let Some(observer) = &mut self.observer
            && catch_unwind(AssertUnwindSafe(|| observer.observe(event))).is_err()
        {
            self.observer = None;
        }
    }
}

fn lock<'l, 'a>(shared: &'l Mutex<Shared<'a>>) -> MutexGuard<'l, Shared<'a>> {
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
    shared.tell(&SweepEvent::TrialStarted { trial: &trial });
    Some(trial)
}

/// Enters a result, and says whether it is on disk. It is tried also after an earlier one could not be
/// written: there may be room again.
fn keep(shared: &Mutex<Shared<'_>>, trial: &Trial<'_>, result: &TrialResult) -> bool {
    let shared = &mut *lock(shared);
    let result = match shared.store.append(result) {
        Ok(result) => result,
        Err(error) => {
            shared.error.get_or_insert(error);
            return false;
        }
    };
    shared.tell(&SweepEvent::TrialFinished {
        trial,
        result: &result,
    });
    shared.result.set_result(result);
    true
}

/// How a trial came to its end.
enum End {
    /// By itself.
    Result {
        result: TrialResult,
        /// Whether it could not begin because of what its last checkpoint is.
        refused: bool,
    },
    /// Because the sweep was stopped.
    Stopped {
        /// Why no checkpoint could be written then.
        not_saved: Option<String>,
    },
}

/// One trial on its worker.
struct TrialRun<'r, 'a> {
    runner: &'r SweepRunner<'r>,
    trial: &'r Trial<'a>,
    /// The folder of its checkpoints, if there are any.
    checkpoints: PathBuf,
    sets: (&'r ImageDataset, &'r ImageDataset),
    worker: &'r Worker,
    shared: &'r Mutex<Shared<'a>>,
}

impl TrialRun<'_, '_> {
    fn run(&self) -> End {
        let setting = self.trial.setting;
        let training = setting.training.clone().with_seed(self.trial.seed);
        let (images, held_out) = self.sets;
        let mut trainer = Trainer::new(&setting.network, &training).with_validation(held_out);
        if let Some(interval) = self.runner.interval {
            let checkpoints = Checkpoints::new(&self.checkpoints).with_interval(interval);
            trainer = trainer.with_checkpoints(checkpoints.with_kept(1).with_resume(true));
        }
        if let Some(stop) = self.runner.stop {
            trainer = trainer.with_stop(stop);
        }
        let mut relay = Relay {
            trial: self.trial,
            shared: self.shared,
            epochs: Vec::new(),
            earlier: 0.0,
        };
        let start = Instant::now();
        // A panicking trial is a row of the table, as one that fails in any other way.
        let run = catch_unwind(AssertUnwindSafe(|| {
            trainer.fit(images, &self.worker.device, &mut relay)
        }));
        let mut refused = false;
        let outcome = match run {
            Ok(Ok(_)) => Outcome::Finished,
            Ok(Err(error)) => {
                refused = error.is_refused_checkpoint();
                let message = error.to_string();
                match error {
                    TrainingError::Interrupted { unsaved, .. } => {
                        let not_saved = unsaved.map(|error| error.to_string());
                        return End::Stopped { not_saved };
                    }
                    // The folder of its checkpoints could not be used, and it was stopped as well.
                    TrainingError::Checkpoint(_) if self.runner.is_stopped() && !refused => {
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
            seconds: relay.earlier + start.elapsed().as_secs_f64(),
            threads: self.worker.threads,
            device: self.worker.kind().to_owned(),
        };
        End::Result { result, refused }
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

/// Tells the sweep's observer of one trial's training, and remembers its epochs.
struct Relay<'s, 'a> {
    trial: &'s Trial<'s>,
    shared: &'s Mutex<Shared<'a>>,
    epochs: Vec<EpochMetrics>,
    /// Seconds that the trial took before it was resumed.
    earlier: f64,
}

impl Observer for Relay<'_, '_> {
    fn observe(&mut self, event: &Event<'_>) {
        match event {
            Event::Epoch { metrics, .. } => self.epochs.push((*metrics).clone()),
            Event::Resumed {
                epochs, seconds, ..
            } => {
                self.epochs = epochs.to_vec();
                self.earlier = *seconds;
            }
            _ => {}
        }
        lock(self.shared).tell(&SweepEvent::Training {
            trial: self.trial,
            event,
        });
    }
}
