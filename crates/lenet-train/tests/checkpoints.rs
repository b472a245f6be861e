//! Runs that are stopped and resumed, and files that are not checkpoints.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use burn::tensor::Device;
use lenet_core::LeNetConfig;
use lenet_data::{Augmentation, ImageDataset, synthetic};
use lenet_train::sweep::{Sweep, SweepError, SweepRunner};
use lenet_train::{
    CheckpointError, Checkpoints, Event, Interval, Observer, Schedule, Trainer, TrainingConfig,
    TrainingError, TrainingRun,
};

const STEPS: usize = 5;

fn network() -> LeNetConfig {
    LeNetConfig::modern(10)
}

/// Uses everything that has state or depends on the step.
pub(crate) fn config() -> TrainingConfig {
    TrainingConfig::default()
        .with_epochs(3)
        .with_batch_size(32)
        .with_momentum(0.9)
        .with_learning_rate(0.02)
        .with_weight_decay(1e-4)
        .with_gradient_clipping(1.0)
        .with_schedule(Schedule::Cosine { final_rate: 0.001 })
        .with_augmentation(Augmentation::default().with_max_shift(2))
        .with_seed(3)
}

fn images() -> ImageDataset {
    synthetic::garments(32 * STEPS - 7, 0)
}

/// Sets the flag after so many steps, counted over all runs.
pub(crate) struct StopAfter<'a> {
    pub(crate) stop: &'a AtomicBool,
    pub(crate) left: usize,
}

impl Observer for StopAfter<'_> {
    fn observe(&mut self, event: &Event<'_>) {
        if let Event::Step { .. } = event {
            self.left = self.left.saturating_sub(1);
            self.stop.store(self.left == 0, Ordering::Relaxed);
        }
    }
}

fn fit(checkpoints: Option<Checkpoints>, stop_after: usize) -> Result<TrainingRun, TrainingError> {
    let (network, config, validation) = (network(), config(), synthetic::garments(50, 1));
    let stop = AtomicBool::new(false);
    let mut observer = StopAfter {
        stop: &stop,
        left: stop_after,
    };
    let mut trainer = Trainer::new(&network, &config)
        .with_validation(&validation)
        .with_observer(&mut observer)
        .with_stop(&stop);
    if let Some(checkpoints) = checkpoints {
        trainer = trainer.with_checkpoints(checkpoints);
    }
    trainer.fit(&images(), &Device::flex())
}

/// Everything except the seconds.
pub(crate) fn outcome(run: &TrainingRun) -> (Vec<u8>, Vec<[u64; 5]>) {
    let epochs = run.epochs.iter().map(|epoch| {
        [
            epoch.mean_loss,
            epoch.last_batch_loss,
            epoch.learning_rate,
            epoch.validation_accuracy.unwrap(),
            epoch.validation_loss.unwrap(),
        ]
        .map(f64::to_bits)
    });
    (run.lenet.to_safetensors().unwrap(), epochs.collect())
}

/// Every file except the lock.
pub(crate) fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name != "lock").collect();
    names.sort();
    names
}

#[test]
fn a_run_that_is_stopped_after_any_step_ends_as_one_that_is_not() {
    let expected = outcome(&fit(None, usize::MAX).unwrap());
    for steps in [1, 2, 5, 7] {
        let folder = tempfile::tempdir().unwrap();
        let mut stops = 0;
        let run = loop {
            let checkpoints = Checkpoints::new(folder.path()).with_resume(true);
            match fit(Some(checkpoints), steps) {
                Ok(run) => break run,
                Err(TrainingError::Interrupted {
                    epochs,
                    step,
                    checkpoint,
                    ..
                }) => {
                    stops += 1;
                    assert_eq!(epochs * STEPS + step, stops * steps);
                    assert!(checkpoint.unwrap().exists());
                }
                Err(error) => panic!("{error}"),
            }
        };
        assert_eq!(stops, (3 * STEPS - 1) / steps);
        assert!(outcome(&run) == expected, "stopped every {steps} steps");
    }
}

#[test]
fn the_last_few_are_kept_and_the_end_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(folder.path());
    let every = |interval| checkpoints.clone().with_interval(interval);
    let run = fit(Some(every(Interval::Steps(4)).with_kept(2)), usize::MAX).unwrap();
    assert_eq!(
        files(folder.path()),
        [
            "checkpoint-000000012.safetensors",
            "checkpoint-000000015.safetensors"
        ]
    );

    // The same run again has nothing left to do.
    let again = every(Interval::Epochs(2)).with_resume(true);
    assert!(outcome(&fit(Some(again), 1).unwrap()) == outcome(&run));

    // A run that does not resume must not mix its checkpoints with these.
    let error = fit(Some(checkpoints), usize::MAX).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("resume it, or remove its folder"),
        "{error}"
    );
}

#[test]
fn a_run_without_checkpoints_can_be_stopped_too() {
    let error = fit(None, 7).unwrap_err();
    assert_eq!(
        error.to_string(),
        "stopped after 1 epochs and 2 of 5 steps: nothing was saved, because checkpoints are off"
    );
}

#[test]
fn another_run_is_refused_with_all_that_differs() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(folder.path()).with_resume(true);
    fit(Some(checkpoints.clone()), 4).unwrap_err();
    let network = network().with_kernel_size(3);
    let config = config().with_seed(4).with_momentum(0.5);
    let trainer = Trainer::new(&network, &config).with_checkpoints(checkpoints);
    let error = trainer.fit(&synthetic::garments(100, 0), &Device::flex());
    let Err(TrainingError::Checkpoint(CheckpointError::OtherRun { differences, .. })) = error
    else {
        panic!("{error:?}");
    };
    for what in [
        "network.kernel_size",
        "training.momentum: 0.9 in the file, 0.5 now",
        "training.seed: 3 in the file, 4 now",
        "training_set.images: 153 in the file, 100 now",
        "training_set.digest",
        "validation_set",
    ] {
        let found = differences.iter().any(|line| line.starts_with(what));
        assert!(found, "{what} is not in {differences:#?}");
    }
}

#[test]
fn a_folder_has_one_run_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let lock = fs::File::create(folder.path().join("lock")).unwrap();
    lock.lock().unwrap();
    let error = fit(Some(Checkpoints::new(folder.path())), 1).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("another run writes its checkpoints here")
    );
}

/// A checkpoint in the middle of an epoch.
fn checkpoint(folder: &Path) -> PathBuf {
    match fit(Some(Checkpoints::new(folder)), 7) {
        Err(TrainingError::Interrupted { checkpoint, .. }) => checkpoint.unwrap(),
        other => panic!("{other:?}"),
    }
}

fn resume(folder: &Path) -> CheckpointError {
    match fit(Some(Checkpoints::new(folder).with_resume(true)), 1) {
        Err(TrainingError::Checkpoint(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_damaged_file_is_reported_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let path = checkpoint(folder.path());
    let whole = fs::read(&path).unwrap();
    for length in [0, 1, 7, 8, 9, 100, 1000, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        let error = resume(folder.path());
        let is_format = matches!(error, CheckpointError::Format { .. });
        assert!(is_format, "{length} bytes: {error}");
        assert!(error.is_refusal());
        assert!(
            error
                .to_string()
                .contains("remove it to resume from an earlier one")
        );
    }
    let changed = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let found = whole.windows(from.len()).position(|w| w == from.as_bytes());
        let at = found.unwrap();
        let mut bytes = whole.clone();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        fs::write(&path, bytes).unwrap();
        resume(folder.path()).to_string()
    };
    let escaped = |text: &str| text.replace('"', "\\\"");
    for other in [1, 9] {
        let other_version = format!("\"version\":{other}");
        let version = changed(&escaped("\"version\":2"), &escaped(&other_version));
        let expected = format!("version {other} of the checkpoint format, this program reads 2: ");
        assert!(version.contains(&expected), "{version}");
    }
    let step = changed(&escaped("\"step\":2"), &escaped("\"step\":5"));
    assert!(
        step.contains("after epoch 1 of 3 and step 5 of 5"),
        "{step}"
    );
    let epoch = changed(&escaped("\"epoch\":1,"), &escaped("\"epoch\":2,"));
    assert!(
        epoch.contains("'epochs' has 6 values, expected 12"),
        "{epoch}"
    );
    let format = changed("lenet-checkpoint", "lenet-weightfile");
    assert!(format.contains("its format is"), "{format}");
    let no_clock = changed("total_seconds", "other_seconds");
    assert!(no_clock.contains("total_seconds"), "{no_clock}");
}

#[test]
fn only_problems_of_the_checkpoint_itself_are_refusals() {
    let folder = tempfile::tempdir().unwrap();
    let path = checkpoint(folder.path());

    let exists = fit(Some(Checkpoints::new(folder.path())), 1).unwrap_err();
    assert!(!exists.is_refused_checkpoint(), "{exists}");

    let lock = fs::File::open(folder.path().join("lock")).unwrap();
    lock.lock().unwrap();
    assert!(!resume(folder.path()).is_refusal());
    drop(lock);

    // Longer than any checkpoint of this run.
    let file = fs::File::create(&path).unwrap();
    file.set_len(1 << 30).unwrap();
    let too_long = resume(folder.path());
    assert!(too_long.is_refusal(), "{too_long}");
}

#[test]
fn leftovers_of_killed_writes_are_removed_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    checkpoint(folder.path());
    let leftover = folder.path().join(".lenet-1aB2cD3e.tmp");
    fs::write(&leftover, "half a checkpoint").unwrap();
    fit(Some(Checkpoints::new(folder.path()).with_resume(true)), 1).unwrap_err();
    assert!(!leftover.exists());
}

/// Stops after so many steps, at which no checkpoint can be written.
struct StopUnsaved<'a> {
    stop: &'a AtomicBool,
    left: usize,
    /// Where the checkpoint would be.
    path: PathBuf,
}

impl Observer for StopUnsaved<'_> {
    fn observe(&mut self, event: &Event<'_>) {
        if let Event::Step { .. } = event {
            self.left = self.left.saturating_sub(1);
            if self.left == 0 {
                // A file cannot replace a folder.
                fs::create_dir(&self.path).unwrap();
                self.stop.store(true, Ordering::Relaxed);
            }
        }
    }
}

#[test]
fn a_stopped_run_that_cannot_be_saved_is_a_stopped_run_and_says_what_is_on_disk() {
    let expected = outcome(&fit(None, usize::MAX).unwrap());
    let validation = synthetic::garments(50, 1);
    for (steps, earlier) in [(3, None), (STEPS + 2, Some(STEPS))] {
        let folder = tempfile::tempdir().unwrap();
        let at = |steps: usize| {
            folder
                .path()
                .join(format!("checkpoint-{steps:09}.safetensors"))
        };
        let stop = AtomicBool::new(false);
        let mut observer = StopUnsaved {
            stop: &stop,
            left: steps,
            path: at(steps),
        };
        let (network, config) = (network(), config());
        let result = Trainer::new(&network, &config)
            .with_validation(&validation)
            .with_checkpoints(Checkpoints::new(folder.path()))
            .with_observer(&mut observer)
            .with_stop(&stop)
            .fit(&images(), &Device::flex());
        let error = result.unwrap_err();
        let message = error.to_string();
        let TrainingError::Interrupted {
            epochs,
            step,
            checkpoint,
            ..
        } = error
        else {
            panic!("{message}");
        };
        assert_eq!(epochs * STEPS + step, steps);
        assert_eq!(checkpoint, earlier.map(at));
        assert!(message.contains("this could not be saved"), "{message}");
        assert!(
            message.contains(&at(steps).display().to_string()),
            "{message}"
        );
        match earlier.map(at) {
            Some(path) => assert!(message.ends_with(&path.display().to_string()), "{message}"),
            None => assert!(
                message.ends_with("there is no earlier checkpoint"),
                "{message}"
            ),
        }

        fs::remove_dir(at(steps)).unwrap();
        let again = fit(
            Some(Checkpoints::new(folder.path()).with_resume(true)),
            usize::MAX,
        );
        assert!(outcome(&again.unwrap()) == expected);
    }
}

/// Sleeps at each step and after each epoch, and records the seconds that a resumed run took before.
struct Slow<'a> {
    stop_after: StopAfter<'a>,
    resumed: Option<f64>,
    /// Seconds of the epochs that this run completed; an earlier run may have started the first.
    epochs: Vec<f64>,
}

const STEP: Duration = Duration::from_millis(20);
const END_OF_EPOCH: Duration = Duration::from_millis(100);

impl Observer for Slow<'_> {
    fn observe(&mut self, event: &Event<'_>) {
        match event {
            Event::Resumed { seconds, .. } => self.resumed = Some(*seconds),
            Event::Step { .. } => thread::sleep(STEP),
            Event::Epoch { metrics, .. } => {
                self.epochs.push(metrics.seconds);
                thread::sleep(END_OF_EPOCH);
            }
            _ => {}
        }
        self.stop_after.observe(event);
    }
}

#[test]
fn a_resumed_run_counts_all_its_seconds_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let (network, config, validation) = (network(), config(), synthetic::garments(50, 1));
    // The seconds before the run was resumed, those of the epochs, and the elapsed time.
    let run = |steps: usize| {
        let stop = AtomicBool::new(false);
        let mut observer = Slow {
            stop_after: StopAfter {
                stop: &stop,
                left: steps,
            },
            resumed: None,
            epochs: Vec::new(),
        };
        let start = Instant::now();
        let trainer = Trainer::new(&network, &config)
            .with_validation(&validation)
            .with_observer(&mut observer)
            .with_checkpoints(Checkpoints::new(folder.path()).with_resume(true))
            .with_stop(&stop);
        let _ = trainer.fit(&images(), &Device::flex());
        (
            observer.resumed,
            observer.epochs,
            start.elapsed().as_secs_f64(),
        )
    };
    let (step, end) = (STEP.as_secs_f64(), END_OF_EPOCH.as_secs_f64());
    let steps = STEPS as f64;

    let (resumed, _, first) = run(STEPS + 2);
    assert_eq!(resumed, None);
    thread::sleep(Duration::from_millis(500));

    // The completed epoch, its end, and two steps of the next one.
    let (resumed, epochs, second) = run(usize::MAX);
    let resumed = resumed.unwrap();
    assert!(resumed > (steps + 2.0) * step + end, "{resumed}");
    assert!(resumed < first, "{resumed} {first}");
    assert_eq!(epochs.len(), 2);
    assert!(epochs[0] > steps * step, "{epochs:?}");
    thread::sleep(Duration::from_millis(500));

    let (resumed, ..) = run(usize::MAX);
    let resumed = resumed.unwrap();
    assert!(resumed > 3.0 * (steps * step + end), "{resumed}");
    assert!(resumed < first + second, "{resumed} {first} {second}");
}

#[test]
fn checkpoints_that_cannot_be_written_do_not_end_the_training() {
    struct Remove(PathBuf, Vec<String>);
    impl Observer for Remove {
        fn observe(&mut self, event: &Event<'_>) {
            match event {
                Event::Step { step: 2, .. } => drop(fs::remove_dir_all(&self.0)),
                Event::CheckpointFailed { message } => self.1.push((*message).to_owned()),
                _ => {}
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("checkpoints");
    let (network, config) = (network(), config());
    let mut observer = Remove(folder.clone(), Vec::new());
    let trainer = Trainer::new(&network, &config)
        .with_observer(&mut observer)
        .with_checkpoints(Checkpoints::new(&folder));
    let run = trainer.fit(&images(), &Device::flex()).unwrap();
    assert_eq!(run.epochs.len(), 3);
    assert_eq!(observer.1.len(), 3, "{:?}", observer.1);
}

#[test]
fn an_observer_that_panics_does_not_end_the_training() {
    struct Panics(usize);
    impl Observer for Panics {
        fn observe(&mut self, event: &Event<'_>) {
            if let Event::Step { step: 3, .. } = event {
                self.0 += 1;
                panic!("on purpose");
            }
        }
    }
    let (network, config) = (network(), config());
    let mut observer = Panics(0);
    let trainer = Trainer::new(&network, &config).with_observer(&mut observer);
    let run = trainer.fit(&images(), &Device::flex()).unwrap();
    assert_eq!(run.epochs.len(), 3);
    assert_eq!(observer.0, 1);
}

/// Sets the flag when the first trial of a run is in the middle of its second epoch.
struct StopSweep<'a>(&'a AtomicBool);

impl Observer for StopSweep<'_> {
    fn observe(&mut self, event: &Event<'_>) {
        if let Event::Trial { event, .. } = event
            && matches!(
                event,
                Event::Step {
                    epoch: 2,
                    step: 3,
                    ..
                }
            )
        {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

#[test]
fn a_stopped_sweep_resumes_inside_its_trials() {
    let folder = tempfile::tempdir().unwrap();
    let mut sweep = Sweep::new("sizes", "kernel size").with_seeds(0..2);
    for size in [3, 5] {
        let network = LeNetConfig::tweakable(10).with_kernel_size(size);
        sweep.push_setting(size.to_string(), network, config());
    }
    let (train, test) = (images(), synthetic::garments(50, 1));
    let workers = [lenet_train::sweep::Worker::new(Device::flex(), 1)];
    let plain = folder.path().join("plain.jsonl");
    let expected = SweepRunner::new(&sweep, &workers)
        .run(&train, &test, &plain)
        .unwrap();

    let file = folder.path().join("trials.jsonl");
    let checkpoints = folder.path().join("trials.checkpoints");
    let mut stops = 0;
    let result = loop {
        let stop = AtomicBool::new(false);
        let mut observer = StopSweep(&stop);
        let runner = SweepRunner::new(&sweep, &workers)
            .with_observer(&mut observer)
            .with_checkpoint_interval(Interval::Epochs(1))
            .with_stop(&stop);
        match runner.run(&train, &test, &file) {
            Ok(result) => break result,
            Err(SweepError::Interrupted { result }) => {
                let done = result.trials().filter(|trial| trial.is_done()).count();
                assert_eq!((done, result.trials().count()), (stops, 4));
                assert_eq!(files(&checkpoints).len(), 1);
                stops += 1;
            }
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(stops, 4);
    assert!(!checkpoints.exists());
    let losses = |result: &lenet_train::sweep::SweepResult| -> Vec<f64> {
        let epochs = result.results().flat_map(|trial| &trial.epochs);
        epochs.map(|epoch| epoch.mean_loss).collect()
    };
    assert_eq!(losses(&result), losses(&expected));
    assert_eq!(losses(&result).len(), 4 * 3);
}
