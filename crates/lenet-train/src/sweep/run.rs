use std::any::Any;
use std::collections::VecDeque;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use burn::tensor::Device;
use lenet_data::ImageDataset;

use super::store::Store;
use super::{
    Outcome, SettingResult, Sweep, SweepError, SweepEvent, SweepObserver, SweepResult, Trial,
    TrialResult,
};
use crate::training::check_fit;
use crate::{Checkpoints, EpochMetrics, Event, Interval, Observer, Trainer, TrainingError};

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
/// assert!(matches!(result, Err(SweepError::Interrupted { finished: 0, .. })));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SweepRunner<'a> {
    sweep: &'a Sweep,
    workers: &'a [Worker],
    interval: Option<Interval>,
    stop: Option<&'a AtomicBool>,
}

impl<'a> SweepRunner<'a> {
    /// Trains the sweep's trials, each worker one at a time.
    pub fn new(sweep: &'a Sweep, workers: &'a [Worker]) -> Self {
        Self {
            sweep,
            workers,
            interval: None,
            stop: None,
        }
    }

    /// Leaves a checkpoint of each trial in a folder beside the file of results, from which a later run of
    /// the sweep goes on; it is removed when the trial is finished.
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

    /// Trains what `file` does not hold yet and gives the result of all trials.
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
    /// does not fit the images, there is no worker, or `file` is in use or holds anything else than
    /// results of this sweep; later if a result cannot be written, or the sweep is stopped.
    pub fn run(
        &self,
        train: &ImageDataset,
        held_out: &ImageDataset,
        file: impl AsRef<Path>,
        observer: &mut dyn SweepObserver,
    ) -> Result<SweepResult, SweepError> {
        let Self { sweep, workers, .. } = *self;
        sweep.validate()?;
        if workers.is_empty() {
            return Err(SweepError::Empty {
                sweep: sweep.name.clone(),
                what: "workers",
            });
        }
        for setting in &sweep.settings {
            for dataset in [train, held_out] {
                check_fit(&setting.network, dataset).map_err(|source| SweepError::Setting {
                    label: setting.label.clone(),
                    source: Box::new(source),
                })?;
            }
        }
        let pools = workers
            .iter()
            .map(|worker| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(worker.threads);
                pool.build().map_err(|error| SweepError::Threads {
                    message: error.to_string(),
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let (store, finished) = Store::open(file.as_ref(), sweep, train, held_out)?;

        let is_missing = |trial: &Trial<'_>| !finished.iter().any(|result| trial.gave(result));
        let mut missing: Vec<Trial<'_>> = sweep.trials().into_iter().filter(is_missing).collect();
        missing.sort_by_key(|trial| std::cmp::Reverse(trial.work(train.len())));
        let mut shared = Shared {
            missing: VecDeque::new(),
            finished,
            store,
            observer: Some(observer),
            error: None,
        };
        shared.tell(&SweepEvent::Started {
            sweep,
            finished: sweep.trials().len() - missing.len(),
            work: missing.iter().fold(0, |work: u64, trial| {
                work.saturating_add(trial.work(train.len()))
            }),
            workers: workers.len(),
        });
        shared.missing = missing.into();
        let shared = Mutex::new(shared);
        let checkpoints = file.as_ref().with_extension("checkpoints");

        thread::scope(|scope| {
            for (worker, pool) in workers.iter().zip(&pools) {
                scope.spawn(|| {
                    while !self.is_stopped()
                        && let Some(trial) = next(&shared)
                    {
                        let folder = self.checkpoint_folder(&checkpoints, &trial);
                        let run = TrialRun {
                            runner: self,
                            trial: &trial,
                            folder: folder.as_deref(),
                            sets: (train, held_out),
                            worker,
                            shared: &shared,
                        };
                        let Some(result) = pool.install(|| run.run()) else {
                            return;
                        };
                        let is_kept = keep(&shared, &trial, &result);
                        if let (Some(folder), true) = (folder, is_kept) {
                            // What stays is in nobody's way: the trial is not run again.
                            let _ = fs::remove_dir_all(folder);
                        }
                    }
                });
            }
        });

        let mut shared = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
        shared.tell(&SweepEvent::Finished);
        // Gone with its last folder.
        let _ = fs::remove_dir(&checkpoints);
        let (finished, trials) = (shared.finished.len(), sweep.trials().len());
        match shared.error {
            Some(error) => Err(error),
            None if finished < trials => Err(SweepError::Interrupted {
                finished,
                trials,
                has_checkpoints: self.interval.is_some(),
            }),
            None => Ok(sweep.result(train, shared.finished)),
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed))
    }

    fn checkpoint_folder(&self, checkpoints: &Path, trial: &Trial<'_>) -> Option<PathBuf> {
        self.interval?;
        let mut settings = self.sweep.settings.iter();
        let number = settings.position(|setting| setting.label == trial.setting.label)?;
        Some(checkpoints.join(format!("setting-{number}-seed-{}", trial.seed)))
    }
}

impl Sweep {
    fn result(&self, train: &ImageDataset, finished: Vec<TrialResult>) -> SweepResult {
        let settings = self.settings.iter().map(|setting| SettingResult {
            label: setting.label.clone(),
            x: setting.x,
            parameters: setting.network.layer_table().map_or(0, |t| t.parameters()),
            trials: self
                .seeds
                .iter()
                .filter_map(|&seed| {
                    let trial = Trial { setting, seed };
                    finished.iter().find(|result| trial.gave(result)).cloned()
                })
                .collect(),
        });
        SweepResult {
            name: self.name.clone(),
            parameter: self.parameter.clone(),
            scale: self.scale,
            held_out: self.held_out.clone(),
            dataset: train.name().to_owned(),
            synthetic: train.is_synthetic(),
            settings: settings.collect(),
        }
    }
}

impl Trial<'_> {
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
    missing: VecDeque<Trial<'a>>,
    finished: Vec<TrialResult>,
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

fn next<'a>(shared: &Mutex<Shared<'a>>) -> Option<Trial<'a>> {
    let mut shared = lock(shared);
    if shared.error.is_some() {
        return None;
    }
    let trial = shared.missing.pop_front()?;
    shared.tell(&SweepEvent::TrialStarted { trial: &trial });
    Some(trial)
}

/// Whether the result is on disk.
fn keep(shared: &Mutex<Shared<'_>>, trial: &Trial<'_>, result: &TrialResult) -> bool {
    let shared = &mut *lock(shared);
    if shared.error.is_some() {
        return false;
    }
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
    shared.finished.push(result);
    true
}

/// One trial on its worker.
struct TrialRun<'r, 'a> {
    runner: &'r SweepRunner<'r>,
    trial: &'r Trial<'a>,
    /// Of its checkpoints.
    folder: Option<&'r Path>,
    sets: (&'r ImageDataset, &'r ImageDataset),
    worker: &'r Worker,
    shared: &'r Mutex<Shared<'a>>,
}

impl TrialRun<'_, '_> {
    /// The result; none if the sweep was stopped before its end.
    fn run(&self) -> Option<TrialResult> {
        let setting = self.trial.setting;
        let training = setting.training.clone().with_seed(self.trial.seed);
        let (images, held_out) = self.sets;
        let mut trainer = Trainer::new(&setting.network, &training).with_validation(held_out);
        if let (Some(interval), Some(folder)) = (self.runner.interval, self.folder) {
            let checkpoints = Checkpoints::new(folder).with_interval(interval);
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
        let outcome = match run {
            Ok(Ok(_)) => Outcome::Finished,
            Ok(Err(TrainingError::Interrupted { .. })) => return None,
            Ok(Err(error)) => match error {
                TrainingError::NonFiniteLoss { .. }
                | TrainingError::NonFiniteWeight { .. }
                | TrainingError::NonFiniteOutput { .. } => {
                    let message = error.to_string();
                    Outcome::Diverged { message }
                }
                _ => Outcome::Failed {
                    message: error.to_string(),
                },
            },
            Err(panic) => Outcome::Failed {
                message: format!("panicked: {}", panic_message(panic.as_ref())),
            },
        };
        Some(TrialResult {
            label: setting.label.clone(),
            seed: self.trial.seed,
            outcome,
            epochs: relay.epochs,
            seconds: relay.earlier + start.elapsed().as_secs_f64(),
            threads: self.worker.threads,
        })
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
    /// Seconds that those took of which a checkpoint told.
    earlier: f64,
}

impl Observer for Relay<'_, '_> {
    fn observe(&mut self, event: &Event<'_>) {
        match event {
            Event::Epoch { metrics, .. } => self.epochs.push((*metrics).clone()),
            Event::Resumed { epochs, .. } => {
                self.epochs = epochs.to_vec();
                self.earlier = epochs.iter().map(|epoch| epoch.seconds).sum();
            }
            _ => {}
        }
        lock(self.shared).tell(&SweepEvent::Training {
            trial: self.trial,
            event,
        });
    }
}
