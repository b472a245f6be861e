use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
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
use crate::{EpochMetrics, Event, Observer, TrainingError, train};

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
    /// Trains what `file` does not hold yet, each worker one trial at a time, and gives the result
    /// of all.
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
    /// See the [module's documentation](crate::sweep) for an example.
    ///
    /// # Errors
    ///
    /// [`SweepError`] before the first trial if the sweep is empty or contradicts itself, a setting
    /// does not fit the images, there is no worker, or `file` is in use or holds anything else than
    /// results of this sweep; later if a result cannot be written.
    pub fn run(
        &self,
        train: &ImageDataset,
        held_out: &ImageDataset,
        workers: &[Worker],
        file: impl AsRef<Path>,
        observer: &mut dyn SweepObserver,
    ) -> Result<SweepResult, SweepError> {
        self.validate()?;
        if workers.is_empty() {
            return Err(SweepError::Empty {
                sweep: self.name.clone(),
                what: "workers",
            });
        }
        for setting in &self.settings {
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
        let (store, finished) = Store::open(file.as_ref(), self, train, held_out)?;

        let is_missing = |trial: &Trial<'_>| !finished.iter().any(|result| trial.gave(result));
        let mut missing: Vec<Trial<'_>> = self.trials().into_iter().filter(is_missing).collect();
        missing.sort_by_key(|trial| std::cmp::Reverse(trial.work(train.len())));
        let mut shared = Shared {
            missing: VecDeque::new(),
            finished,
            store,
            observer: Some(observer),
            error: None,
        };
        shared.tell(&SweepEvent::Started {
            sweep: self,
            finished: self.trials().len() - missing.len(),
            work: missing.iter().fold(0, |work: u64, trial| {
                work.saturating_add(trial.work(train.len()))
            }),
            workers: workers.len(),
        });
        shared.missing = missing.into();
        let shared = Mutex::new(shared);

        thread::scope(|scope| {
            for (worker, pool) in workers.iter().zip(&pools) {
                scope.spawn(|| {
                    while let Some(trial) = next(&shared) {
                        let result =
                            pool.install(|| run_trial(&trial, train, held_out, worker, &shared));
                        keep(&shared, &trial, &result);
                    }
                });
            }
        });

        let mut shared = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
        shared.tell(&SweepEvent::Finished);
        match shared.error {
            Some(error) => Err(error),
            None => Ok(self.result(train, shared.finished)),
        }
    }

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

fn keep(shared: &Mutex<Shared<'_>>, trial: &Trial<'_>, result: &TrialResult) {
    let shared = &mut *lock(shared);
    if shared.error.is_some() {
        return;
    }
    let result = match shared.store.append(result) {
        Ok(result) => result,
        Err(error) => {
            shared.error.get_or_insert(error);
            return;
        }
    };
    shared.tell(&SweepEvent::TrialFinished {
        trial,
        result: &result,
    });
    shared.finished.push(result);
}

fn run_trial(
    trial: &Trial<'_>,
    images: &ImageDataset,
    held_out: &ImageDataset,
    worker: &Worker,
    shared: &Mutex<Shared<'_>>,
) -> TrialResult {
    let setting = trial.setting;
    let training = setting.training.clone().with_seed(trial.seed);
    let mut relay = Relay {
        trial,
        shared,
        epochs: Vec::new(),
    };
    let start = Instant::now();
    // A panicking trial is a row of the table, as one that fails in any other way.
    let run = catch_unwind(AssertUnwindSafe(|| {
        train(
            &setting.network,
            &training,
            images,
            Some(held_out),
            &worker.device,
            &mut relay,
        )
    }));
    let outcome = match run {
        Ok(Ok(_)) => Outcome::Finished,
        Ok(Err(error @ TrainingError::NonFiniteLoss { .. })) => Outcome::Diverged {
            message: error.to_string(),
        },
        Ok(Err(error)) => Outcome::Failed {
            message: error.to_string(),
        },
        Err(panic) => Outcome::Failed {
            message: format!("panicked: {}", panic_message(panic.as_ref())),
        },
    };
    TrialResult {
        label: setting.label.clone(),
        seed: trial.seed,
        outcome,
        epochs: relay.epochs,
        seconds: start.elapsed().as_secs_f64(),
        threads: worker.threads,
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
}

impl Observer for Relay<'_, '_> {
    fn observe(&mut self, event: &Event<'_>) {
        if let Event::Epoch { metrics, .. } = event {
            self.epochs.push((*metrics).clone());
        }
        lock(self.shared).tell(&SweepEvent::Training {
            trial: self.trial,
            event,
        });
    }
}
