//! Sweeps: what is run, kept, resumed and refused.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use lenet_core::LeNetConfig;
use lenet_data::{Splits, synthetic};
use lenet_train::observer::{JsonLines, TextLines};
use lenet_train::sweep::{
    Missing, Scale, Sweep, SweepError, SweepResult, SweepRunner, TrialStatus, Worker,
};
use lenet_train::{Event, Interval, Observer, Trainer, TrainingConfig};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::chain;

fn data() -> Splits {
    synthetic::garment_splits(300, 100)
}

fn training() -> TrainingConfig {
    TrainingConfig::default().with_epochs(2).with_batch_size(32)
}

fn sweep() -> Sweep {
    let mut sweep = Sweep::new("kernels", "kernel size").with_seeds([4, 5]);
    for size in [3, 5] {
        let network = LeNetConfig::tweakable(10).with_kernel_size(size);
        sweep.push_setting(size.to_string(), network, training());
    }
    sweep
}

fn workers(count: usize) -> Vec<Worker> {
    Worker::share_cores(&Device::flex(), count)
}

fn run(sweep: &Sweep, file: &Path) -> Result<SweepResult, SweepError> {
    let (data, workers) = (data(), workers(2));
    SweepRunner::new(sweep, &workers).run(&data.train, &data.test, file)
}

fn run_observed(
    sweep: &Sweep,
    count: usize,
    file: &Path,
    observer: &mut dyn Observer,
) -> SweepResult {
    let (data, workers) = (data(), workers(count));
    let runner = SweepRunner::new(sweep, &workers).with_observer(observer);
    runner.run(&data.train, &data.test, file).unwrap()
}

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("trials.jsonl")
}

/// Everything but the seconds, which differ from run to run.
fn numbers(result: &SweepResult) -> Vec<(String, u64, Vec<f64>)> {
    result
        .results()
        .map(|trial| {
            let epochs = trial.epochs.iter();
            let losses = epochs.flat_map(|m| [m.mean_loss, m.validation_accuracy.unwrap()]);
            (trial.label.clone(), trial.seed, losses.collect())
        })
        .collect()
}

#[test]
fn a_trial_equals_a_run_alone_whatever_runs_beside_it() {
    let folder = TempDir::new().unwrap();
    let result = run(&sweep(), &file(&folder)).unwrap();
    assert_eq!(result.settings.len(), 2);
    let data = data();
    for (setting, size) in result.settings.iter().zip([3, 5]) {
        for (trial, seed) in setting.results().zip([4, 5]) {
            let network = LeNetConfig::tweakable(10).with_kernel_size(size);
            let training = training().with_seed(seed);
            let trainer = Trainer::new(&network, &training).with_validation(&data.test);
            let alone = trainer.fit(&data.train, &Device::flex()).unwrap();
            let losses = |epochs: &[lenet_train::EpochMetrics]| -> Vec<f32> {
                epochs.iter().map(|m| m.mean_loss as f32).collect()
            };
            assert_eq!(losses(&trial.epochs), losses(&alone.epochs));
            assert_eq!(trial.accuracy(), alone.epochs[1].validation_accuracy);
        }
        let accuracies = setting.accuracies();
        let mean = (accuracies[0] + accuracies[1]) / 2.0;
        assert!((setting.mean().unwrap() - mean).abs() < 1e-12);
        let deviation = (accuracies[0] - accuracies[1]).abs() / 2.0_f64.sqrt();
        assert!((setting.standard_deviation().unwrap() - deviation).abs() < 1e-12);
    }
}

/// Collects the trials that are run.
#[derive(Default)]
struct Count(Vec<(String, u64)>);

impl Observer for Count {
    fn observe(&mut self, event: &Event<'_>) {
        if let Event::TrialStarted { trial } = event {
            self.0.push((trial.setting.label.clone(), trial.seed));
        }
    }
}

/// Wherever the file is cut, the sweep runs what is missing and nothing else, and ends the same.
#[test]
fn a_file_cut_anywhere_is_resumed() {
    let folder = TempDir::new().unwrap();
    let file = file(&folder);
    let whole = run(&sweep(), &file).unwrap();
    let bytes = fs::read(&file).unwrap();
    let lines: Vec<usize> = bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'\n')
        .map(|(index, _)| index + 1)
        .collect();
    assert_eq!(lines.len(), 5, "a header and a line for each trial");
    let cuts = [
        0,
        7,
        lines[0] - 1,
        lines[0],
        lines[1] + 40,
        lines[2],
        lines[4] - 1,
        lines[4],
    ];
    for cut in cuts {
        fs::write(&file, &bytes[..cut]).unwrap();
        let left = lines[1..].iter().filter(|&&end| end <= cut).count();
        let mut count = Count::default();
        let result = run_observed(&sweep(), 2, &file, &mut count);
        assert_eq!(count.0.len(), 4 - left, "cut at {cut}");
        assert_eq!(numbers(&result), numbers(&whole), "cut at {cut}");
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(
            text.lines().count(),
            5,
            "no line twice after a cut at {cut}"
        );
    }
}

#[test]
fn more_seeds_run_only_the_new_ones() {
    let folder = TempDir::new().unwrap();
    let file = file(&folder);
    run(&sweep(), &file).unwrap();
    let mut count = Count::default();
    let more = sweep().with_seeds([4, 5, 9]);
    let result = run_observed(&more, 1, &file, &mut count);
    count.0.sort();
    assert_eq!(count.0, [("3".to_owned(), 9), ("5".to_owned(), 9)]);
    assert_eq!(result.settings[0].trials.len(), 3);
    // Fewer seeds are a subset of the file.
    let one = sweep().with_seeds([5]);
    assert_eq!(run(&one, &file).unwrap().settings[0].trials[0].seed(), 5);
}

#[test]
fn results_of_another_sweep_are_refused_and_kept() {
    let folder = TempDir::new().unwrap();
    let file = file(&folder);
    run(&sweep(), &file).unwrap();
    let before = fs::read(&file).unwrap();

    let mut other = sweep();
    other.settings[1].training.epochs = 3;
    other.settings[0].network = LeNetConfig::classic(10);
    let text = run(&other, &file).unwrap_err().to_string();
    for expected in [
        "results of another sweep",
        "settings[1].training.epochs: 2 in the file, 3 now",
        "settings[0].network.pooling: \"max\" in the file, \"average\" now",
        "remove the file",
    ] {
        assert!(text.contains(expected), "'{expected}' is not in:\n{text}");
    }
    let smaller = synthetic::garment_splits(200, 100);
    let (sweep, workers) = (sweep(), workers(1));
    let result = SweepRunner::new(&sweep, &workers).run(&smaller.train, &smaller.test, &file);
    let text = result.unwrap_err().to_string();
    assert!(
        text.contains("training_set.images: 300 in the file, 200 now"),
        "{text}"
    );
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn foreign_and_damaged_files_are_refused_and_kept() {
    let folder = TempDir::new().unwrap();
    let file = file(&folder);
    run(&sweep(), &file).unwrap();
    let good = fs::read_to_string(&file).unwrap();
    let mut lines: Vec<&str> = good.lines().collect();
    lines[2] = "{\"label\":\"3\"}";
    let damaged = lines.join("\n") + "\n";
    let cases = [
        (
            "a diary\nof mine\n".to_owned(),
            "line 1: this is not a file of sweep results",
        ),
        (
            "no newline".to_owned(),
            "line 1: this is not a file of sweep results",
        ),
        (
            "\n\n".to_owned(),
            "line 1: this is not a file of sweep results",
        ),
        (
            "{\"format\":\"lenet-sweep\"}\n".to_owned(),
            "results of another sweep",
        ),
        (damaged, "line 3: not a trial"),
    ];
    for (content, expected) in cases {
        fs::write(&file, &content).unwrap();
        let text = run(&sweep(), &file).unwrap_err().to_string();
        assert!(text.contains(expected), "'{expected}' is not in:\n{text}");
        assert_eq!(fs::read_to_string(&file).unwrap(), content);
    }
}

#[test]
fn a_diverged_trial_is_a_row_and_not_repeated() {
    let folder = TempDir::new().unwrap();
    let file = file(&folder);
    let network = LeNetConfig::modern(10);
    let wild = training().with_learning_rate(1e9);
    let mut sweep = Sweep::new("rates", "learning rate")
        .with_scale(Scale::Logarithmic)
        .with_seeds([0, 1]);
    let setting = sweep.push_setting("0.1", network.clone(), training());
    setting.at(0.1);
    sweep.push_setting("1e9", network, wild).at(1e9);
    let result = run(&sweep, &file).unwrap();
    assert!(result.settings[0].mean().is_some());
    assert_eq!(result.settings[1].mean(), None);
    for trial in &result.settings[1].trials {
        assert_eq!(trial.status(), "diverged");
    }
    let shown = result.to_string();
    assert!(shown.contains("diverged diverged"), "{shown}");
    assert!(shown.contains("1e9, seed 0: the loss became"), "{shown}");
    assert!(result.conclusion().contains("with learning rate 0.1"));

    let mut count = Count::default();
    run_observed(&sweep, 1, &file, &mut count);
    assert_eq!(count.0, []);
}

#[test]
fn contradictions_are_refused_before_anything_is_written() {
    let folder = TempDir::new().unwrap();
    let file = file(&folder);
    let network = LeNetConfig::modern(10);
    let empty = Sweep::new("nothing", "x");
    let with = |sweep: &Sweep, label: &str, network: &LeNetConfig, training, x| {
        let mut sweep = sweep.clone();
        sweep.push_setting(label, network.clone(), training).x = x;
        sweep
    };
    let logarithmic = empty.clone().with_scale(Scale::Logarithmic);
    let linear = empty.clone().with_scale(Scale::Linear);
    let impossible = LeNetConfig::modern(10).with_kernel_size(40).with_padding(0);
    let cases = [
        (empty.clone(), "the sweep 'nothing' has no settings"),
        (sweep().with_seeds([]), "has no seeds"),
        (sweep().with_seeds([1, 2, 1]), "lists seed 1 twice"),
        (
            with(&sweep(), "3", &network, training(), None),
            "two settings labelled '3'",
        ),
        (
            with(&empty, "big", &impossible, training(), None),
            "setting 'big': conv1",
        ),
        (
            with(&empty, "a", &network, training().with_epochs(0), None),
            "setting 'a': epochs is 0",
        ),
        (
            with(&logarithmic, "a", &network, training(), Some(0.0)),
            "setting 'a': 0 has no place on a logarithmic axis",
        ),
        (
            with(&linear, "a", &network, training(), Some(f64::INFINITY)),
            "setting 'a': inf has no place on a linear axis",
        ),
        (
            with(&linear, "a", &network, training(), None),
            "setting 'a': a setting without x has no place on a linear axis",
        ),
        (
            with(
                &empty,
                "a",
                &network.clone().with_classes(3),
                training(),
                None,
            ),
            "setting 'a': the data set 'synthetic garments' has 10 classes, the network 3",
        ),
    ];
    for (sweep, expected) in cases {
        let text = chain(&run(&sweep, &file).unwrap_err());
        assert!(text.contains(expected), "'{expected}' is not in:\n{text}");
    }
    let (data, sweep) = (data(), sweep());
    let nobody = SweepRunner::new(&sweep, &[]).run(&data.train, &data.test, &file);
    assert!(nobody.unwrap_err().to_string().contains("has no workers"));
    assert!(!file.exists());
    let nowhere = run(&sweep, &folder.path().join("no/such/folder/file"));
    assert!(matches!(nowhere, Err(SweepError::File(_))));
}

#[test]
fn two_processes_do_not_share_a_file() {
    let folder = TempDir::new().unwrap();
    let file = file(&folder);
    let other = fs::File::create(&file).unwrap();
    other.lock().unwrap();
    let text = run(&sweep(), &file).unwrap_err().to_string();
    assert!(
        text.contains("another process is running this sweep"),
        "{text}"
    );
    other.unlock().unwrap();
    run(&sweep(), &file).unwrap();
}

#[test]
fn results_are_a_table_and_survive_json() {
    let folder = TempDir::new().unwrap();
    let result = run(&sweep(), &file(&folder)).unwrap();
    let setting = &result.settings[1];
    let mean = format!("{:.4}", setting.mean().unwrap());
    let text = result.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].starts_with(" kernel size  trials  test accuracy  "));
    assert!(lines[2].contains(&mean), "{text}");
    let width = lines[0].chars().count();
    assert!(
        lines.iter().all(|line| line.chars().count() == width),
        "{text}"
    );
    let json = serde_json::to_string(&result).unwrap();
    let back: SweepResult = serde_json::from_str(&json).unwrap();
    assert_eq!(numbers(&back), numbers(&result));

    assert_eq!(setting.mean_after(2), setting.mean());
    let losses = setting.results().map(|trial| trial.epochs[0].mean_loss);
    let mean = losses.sum::<f64>() / 2.0;
    assert_eq!(
        setting.mean_of(1, |metrics| Some(metrics.mean_loss)),
        Some(mean)
    );
    assert_eq!(setting.mean_of(3, |metrics| Some(metrics.mean_loss)), None);
}

/// Earlier versions wrote a place on the axis for each setting, categories included.
#[test]
fn places_on_the_axis_are_compared_only_where_there_is_an_axis() {
    let folder = TempDir::new().unwrap();
    let file = file(&folder);
    let whole = run(&one_trial(), &file).unwrap();
    let text = fs::read_to_string(&file).unwrap();
    assert!(!text.contains("\"x\""), "{text}");
    let old = text.replacen("\"label\":\"3\",", "\"label\":\"3\",\"x\":7.0,", 1);
    fs::write(&file, &old).unwrap();
    assert_eq!(run(&one_trial(), &file).unwrap(), whole);
    assert_eq!(fs::read_to_string(&file).unwrap(), old);

    let mut sweep = one_trial().with_scale(Scale::Linear);
    sweep.settings[0].at(3.0);
    fs::write(&file, old.replacen("categories", "linear", 1)).unwrap();
    let text = run(&sweep, &file).unwrap_err().to_string();
    assert!(
        text.contains("settings[0].x: 7.0 in the file, 3.0 now"),
        "{text}"
    );
    sweep.settings[0].at(7.0);
    assert_eq!(numbers(&run(&sweep, &file).unwrap()), numbers(&whole));
}

#[test]
fn a_log_has_a_line_for_each_trial() {
    let folder = TempDir::new().unwrap();
    let file = file(&folder);
    for expected in [
        &["1/4  ", "4/4  "][..],
        &["all 4 trials are on disk already"],
    ] {
        let mut observers = (TextLines::<Vec<u8>>::default(), JsonLines::new(Vec::new()));
        run_observed(&sweep(), 2, &file, &mut observers);
        let log = String::from_utf8(observers.0.get_mut().clone()).unwrap();
        let json = String::from_utf8(observers.1.finish().unwrap()).unwrap();
        let mut events = json
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        assert_eq!(events.next().unwrap()["event"], "sweep-started");
        assert_eq!(events.next_back().unwrap()["event"], "sweep-finished");
        assert!(!json.contains("\"step\","), "{json}");
        for expected in expected {
            assert!(log.contains(expected), "'{expected}' is not in:\n{log}");
        }
    }
}

/// JSON may change the last of 17 digits of such a rate.
#[test]
fn a_rate_of_many_digits_is_the_same_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let file = file(&folder);
    let rates = [10_f64.powf(-1.6), 0.07 * 3.0, 1.0 / 3.0];
    let mut sweep = Sweep::new("rates", "learning rate").with_scale(Scale::Logarithmic);
    for rate in rates {
        let training = training().with_epochs(1).with_learning_rate(rate);
        let setting = sweep.push_setting(rate.to_string(), LeNetConfig::modern(10), training);
        setting.at(rate);
    }
    let first = run(&sweep, &file).unwrap();
    let again = run(&sweep, &file).unwrap();
    assert_eq!(first, again);
}

struct Panicking(usize);

impl Observer for Panicking {
    fn observe(&mut self, _event: &Event<'_>) {
        self.0 -= 1;
        assert!(self.0 > 0, "the observer panics on purpose");
    }
}

#[test]
fn a_panicking_observer_loses_no_result() {
    let folder = TempDir::new().unwrap();
    let whole = run(&sweep(), &file(&folder)).unwrap();
    for calls in [1, 2, 20] {
        let file = folder.path().join(format!("{calls}.jsonl"));
        let mut observer = Panicking(calls);
        let result = run_observed(&sweep(), 2, &file, &mut observer);
        assert_eq!(numbers(&result), numbers(&whole));
    }
}

/// Means 0.80 and 0.90; accuracies vary by 0.01 between seeds in the first case and by 0.1 in the second.
#[test]
fn a_lead_counts_if_the_seeds_cannot_explain_it() {
    let conclusion = |spread: f64| {
        let trial = |label: &str, seed: u64, accuracy: f64| {
            json!({
                "label": label, "seed": seed, "outcome": {"status": "finished"}, "seconds": 1.0, "threads": 1, "device": "flex",
                "epochs": [{"epoch": 1, "mean_loss": 0.5, "last_batch_loss": 0.5, "learning_rate": 0.1,
                            "seconds": 1.0, "validation_accuracy": accuracy, "validation_loss": 0.5}],
            })
        };
        let setting = |label: &str, mean: f64| {
            let trials = [-1.0, 0.0, 1.0].iter().enumerate();
            let trials: Vec<_> = trials
                .map(|(seed, step)| trial(label, seed as u64, mean + step * spread))
                .collect();
            json!({"label": label, "x": 1.0, "parameters": 1, "trials": trials})
        };
        let result: SweepResult = serde_json::from_value(json!({
            "name": "n", "parameter": "kernel size", "scale": "linear", "held_out": "test",
            "dataset": "d", "synthetic": false, "settings": [setting("3", 0.8), setting("5", 0.9)],
        }))
        .unwrap();
        result.conclusion()
    };
    let clear = conclusion(0.01);
    assert!(
        clear.contains("0.9000, with kernel size 5, 0.1000 above 3: more than the variation"),
        "{clear}"
    );
    // Welch: two standard errors of 0.01 / sqrt 3, four degrees of freedom, t = 2.776.
    assert!(clear.contains("limit 0.0227"), "{clear}");
    let unclear = conclusion(0.1);
    assert!(
        unclear.contains("the variation between seeds could explain that"),
        "{unclear}"
    );
}

/// Calls a closure for every event.
struct Watch<F>(F);

impl<F: FnMut(&Event<'_>) + Send> Observer for Watch<F> {
    fn observe(&mut self, event: &Event<'_>) {
        (self.0)(event);
    }
}

/// Runs with one worker, checkpoints at this interval, and a closure for every event, which may stop the sweep.
fn run_watched(
    sweep: &Sweep,
    file: &Path,
    interval: Option<Interval>,
    watch: impl Fn(&Event<'_>, &AtomicBool) + Send,
) -> Result<SweepResult, SweepError> {
    let (data, workers, stop) = (data(), workers(1), AtomicBool::new(false));
    let flag = &stop;
    let mut observer = Watch(move |event: &Event<'_>| watch(event, flag));
    let mut runner = SweepRunner::new(sweep, &workers)
        .with_observer(&mut observer)
        .with_stop(&stop);
    if let Some(interval) = interval {
        runner = runner.with_checkpoint_interval(interval);
    }
    runner.run(&data.train, &data.test, file)
}

/// Stops after this step of the first trial that reaches it.
fn stop_after(epoch: usize, step: usize) -> impl Fn(&Event<'_>, &AtomicBool) + Send {
    move |event, stop| {
        if let Event::Trial {
            event: Event::Step {
                epoch: e, step: s, ..
            },
            ..
        } = event
            && (*e, *s) == (epoch, step)
        {
            stop.store(true, Ordering::Relaxed);
        }
    }
}

/// Runs to the end; also returns the step after which each resumed trial resumed.
fn run_to_the_end(sweep: &Sweep, file: &Path) -> (SweepResult, Vec<usize>) {
    let resumed = std::sync::Mutex::new(Vec::new());
    let every = Some(Interval::Epochs(1));
    let result = run_watched(sweep, file, every, |event, _| {
        if let Event::Trial {
            event:
                Event::Resumed {
                    step,
                    steps,
                    epochs,
                    ..
                },
            ..
        } = event
        {
            resumed.lock().unwrap().push(epochs.len() * steps + step);
        }
    });
    (result.unwrap(), resumed.into_inner().unwrap())
}

fn stopped(result: Result<SweepResult, SweepError>) -> (Box<SweepResult>, String) {
    let error = result.unwrap_err();
    let text = error.to_string();
    let SweepError::Interrupted { result } = error else {
        panic!("{text}");
    };
    (result, text)
}

/// Stops the only trial of a sweep in its second epoch; returns the folder of its checkpoints.
fn stopped_in_the_middle(sweep: &Sweep, file: &Path) -> PathBuf {
    let every = Some(Interval::Epochs(1));
    let (result, text) = stopped(run_watched(sweep, file, every, stop_after(2, 5)));
    assert_eq!(
        text,
        "stopped with 0 of 1 trials complete and on disk, and checkpoints of 1 more"
    );
    assert_eq!(result.trials().next().unwrap().status(), "interrupted");
    let folder = file
        .with_extension("checkpoints")
        .join("setting-0-seed-4/flex");
    assert!(folder.join("checkpoint-000000015.safetensors").is_file());
    folder
}

/// A sweep of one trial.
fn one_trial() -> Sweep {
    let network = LeNetConfig::tweakable(10).with_kernel_size(3);
    let mut sweep = Sweep::new("one", "kernel size").with_seeds([4]);
    sweep.push_setting("3", network, training());
    sweep
}

/// The file holds more trials than the sweep has; none of them are the sweep's.
#[test]
fn trials_of_other_seeds_do_not_make_a_stopped_sweep_complete() {
    let folder = TempDir::new().unwrap();
    let file = file(&folder);
    run(&sweep().with_seeds([1, 2, 3]), &file).unwrap();
    let result = run_watched(&sweep().with_seeds([10, 11]), &file, None, |event, stop| {
        if let Event::TrialFinished { .. } = event {
            stop.store(true, Ordering::Relaxed);
        }
    });
    let (result, text) = stopped(result);
    assert_eq!(text, "stopped with 1 of 4 trials complete and on disk");
    let seeds: BTreeSet<u64> = result.trials().map(TrialStatus::seed).collect();
    assert_eq!(seeds, BTreeSet::from([10, 11]));
    let status: Vec<&str> = result.trials().map(TrialStatus::status).collect();
    // The more expensive setting is trained first.
    assert_eq!(status, ["not-run", "not-run", "finished", "not-run"]);
    assert!(
        result
            .missing()
            .all(|trial| trial.reason == Missing::NotRun)
    );
    assert!(!result.is_complete());
    assert!(result.best().is_none());
}

/// The setting with the highest accuracy has been trained with one seed of two.
#[test]
fn a_setting_that_lacks_trials_is_incomplete_and_never_the_best() {
    let finished = |label: &str, seed: u64, accuracy: f64| {
        json!({
            "label": label, "seed": seed, "outcome": {"status": "finished"}, "seconds": 1.0, "threads": 1, "device": "flex",
            "epochs": [{"epoch": 1, "mean_loss": 0.5, "last_batch_loss": 0.5, "learning_rate": 0.1,
                        "seconds": 1.0, "validation_accuracy": accuracy, "validation_loss": 0.5}],
        })
    };
    let ended = |outcome: Value| json!({"label": "3", "seed": 1, "outcome": outcome, "seconds": 1.0, "threads": 1, "epochs": [], "device": "flex"});
    let missing = |outcome: Value| json!({"label": "3", "seed": 1, "outcome": outcome});
    let failed = ended(json!({"status": "failed", "message": "the device failed"}));
    let unsaved = json!({"status": "interrupted", "checkpoint": 7, "not_saved": "disk full"});
    let cases = [
        (missing(json!({"status": "not-run"})), "not-run", "not run"),
        (
            missing(json!({"status": "interrupted", "checkpoint": 200})),
            "interrupted",
            "interrupted; resumes after step 200",
        ),
        (
            missing(json!({"status": "interrupted"})),
            "interrupted",
            "interrupted; starts again",
        ),
        (
            missing(unsaved),
            "interrupted",
            "interrupted, and no checkpoint could be written (disk full); resumes after step 7",
        ),
        (failed, "failed", "the device failed"),
    ];
    for (trial, status, message) in cases {
        let setting = |label: &str, trials: Value| json!({"label": label, "x": 1.0, "parameters": 1, "trials": trials});
        let settings = json!([
            setting("3", json!([finished("3", 0, 0.95), trial])),
            setting("5", json!([finished("5", 0, 0.8), finished("5", 1, 0.81)])),
            setting("7", json!([finished("7", 0, 0.7), finished("7", 1, 0.71)])),
        ]);
        let result: SweepResult = serde_json::from_value(json!({
            "name": "n", "parameter": "kernel size", "scale": "linear", "held_out": "test",
            "dataset": "d", "synthetic": false, "settings": settings,
        }))
        .unwrap();
        assert!(!result.is_complete() && !result.settings[0].is_complete());
        assert!(result.settings[1].is_complete());
        assert_eq!(result.best().unwrap().label, "5");
        let conclusion = result.conclusion();
        for expected in ["with kernel size 5, 0.1000 above 7", "not compared: 3."] {
            assert!(conclusion.contains(expected), "{conclusion}");
        }
        let note = format!("3, seed 1: {message}");
        let shown = result.to_string();
        for expected in ["1/2, incomplete", &format!("0.9500 {status}"), &note] {
            assert!(shown.contains(expected), "'{expected}' is not in:\n{shown}");
        }
        assert_eq!(shown.matches("incomplete").count(), 1);
        let json = serde_json::to_string(&result).unwrap();
        let back: SweepResult = serde_json::from_str(&json).unwrap();
        assert_eq!(back, result);
    }
}

/// With a folder in place of the lock file, the trial fails before its first step.
#[test]
fn a_failed_trial_keeps_its_checkpoint_and_resumes_from_it() {
    let folder = TempDir::new().unwrap();
    let (sweep, file) = (one_trial(), file(&folder));
    let whole = run(&sweep, &folder.path().join("whole.jsonl")).unwrap();
    let checkpoints = stopped_in_the_middle(&sweep, &file);
    let lock = checkpoints.join("lock");
    fs::remove_file(&lock).unwrap();
    fs::create_dir(&lock).unwrap();

    let (result, resumed) = run_to_the_end(&sweep, &file);
    assert_eq!(result.trials().next().unwrap().status(), "failed");
    assert!(!result.is_complete());
    assert!(result.to_string().contains("0/1, incomplete"), "{result}");
    assert!(resumed.is_empty(), "{resumed:?}");
    assert!(
        checkpoints
            .join("checkpoint-000000015.safetensors")
            .exists()
    );

    // It must run again: a sweep that is stopped before that is incomplete.
    let stop = |_: &Event<'_>, stop: &AtomicBool| stop.store(true, Ordering::Relaxed);
    let (result, _) = stopped(run_watched(&sweep, &file, None, stop));
    assert_eq!(result.trials().next().unwrap().status(), "failed");

    fs::remove_dir(&lock).unwrap();
    let (result, resumed) = run_to_the_end(&sweep, &file);
    assert_eq!(resumed, [15]);
    assert!(result.is_complete());
    assert_eq!(numbers(&result), numbers(&whole));
    assert!(!file.with_extension("checkpoints").exists());
}

#[test]
fn a_refused_checkpoint_is_removed_with_the_failure_it_causes() {
    let folder = TempDir::new().unwrap();
    let (sweep, file) = (one_trial(), file(&folder));
    let whole = run(&sweep, &folder.path().join("whole.jsonl")).unwrap();
    let checkpoints = stopped_in_the_middle(&sweep, &file);
    fs::write(checkpoints.join("checkpoint-000000015.safetensors"), "junk").unwrap();

    let (result, _) = run_to_the_end(&sweep, &file);
    let trial = result.trials().next().unwrap();
    assert_eq!(trial.status(), "failed");
    assert!(trial.message().unwrap().contains("readable checkpoint"));
    assert!(!checkpoints.exists());

    let (result, resumed) = run_to_the_end(&sweep, &file);
    assert!(resumed.is_empty(), "{resumed:?}");
    assert_eq!(numbers(&result), numbers(&whole));
}

/// A folder has the name of the checkpoint of the last step.
#[test]
fn a_stopped_trial_whose_checkpoint_cannot_be_written_is_no_result() {
    let folder = TempDir::new().unwrap();
    let (sweep, file) = (one_trial(), file(&folder));
    let whole = run(&sweep, &folder.path().join("whole.jsonl")).unwrap();
    let checkpoints = file
        .with_extension("checkpoints")
        .join("setting-0-seed-4/flex");
    let in_the_way = checkpoints.join("checkpoint-000000004.safetensors");
    let every = Some(Interval::Steps(3));
    let result = run_watched(&sweep, &file, every, |event, stop| {
        if let Event::Trial {
            event: Event::Step {
                epoch: 1, step: 4, ..
            },
            ..
        } = event
        {
            fs::create_dir_all(in_the_way.join("a folder")).unwrap();
            stop.store(true, Ordering::Relaxed);
        }
    });
    let (result, text) = stopped(result);
    for expected in [
        "stopped with 0 of 1 trials complete and on disk, and checkpoints of 1 more",
        "\n  3, seed 4: interrupted, and no checkpoint could be written (",
        "checkpoint-000000004.safetensors: ",
        "resumes after step 3",
    ] {
        assert!(text.contains(expected), "'{expected}' is not in:\n{text}");
    }
    let missing = result.missing().next().unwrap();
    let Missing::Interrupted {
        checkpoint: Some(3),
        not_saved: Some(_),
    } = &missing.reason
    else {
        panic!("{missing:?}");
    };
    assert!(
        checkpoints
            .join("checkpoint-000000003.safetensors")
            .is_file()
    );
    let lines = fs::read_to_string(&file).unwrap().lines().count();
    assert_eq!(lines, 1, "a row for a trial that was stopped");

    fs::remove_dir_all(&in_the_way).unwrap();
    let (result, resumed) = run_to_the_end(&sweep, &file);
    assert_eq!(resumed, [3]);
    assert_eq!(numbers(&result), numbers(&whole));
}

#[test]
fn a_stopped_sweep_without_checkpoints_says_what_starts_again() {
    let folder = TempDir::new().unwrap();
    let result = run_watched(&sweep(), &file(&folder), None, stop_after(1, 2));
    let (result, text) = stopped(result);
    assert_eq!(
        text,
        "stopped with 0 of 4 trials complete and on disk; interrupted trials start again, because \
         checkpoints are off"
    );
    let interrupted = result.trials().filter(|t| t.status() == "interrupted");
    assert_eq!(interrupted.count(), 1);
}

/// The message about another recipe advises this.
#[test]
fn a_new_file_of_results_starts_without_the_checkpoints_of_the_old_one() {
    let folder = TempDir::new().unwrap();
    let (sweep, file) = (one_trial(), file(&folder));
    stopped_in_the_middle(&sweep, &file);
    let mut other = sweep.clone();
    other.settings[0].training.epochs = 3;
    let text = run(&other, &file).unwrap_err().to_string();
    assert!(text.contains("remove the file to start over"), "{text}");

    fs::remove_file(&file).unwrap();
    let (result, resumed) = run_to_the_end(&other, &file);
    assert!(resumed.is_empty(), "{resumed:?}");
    assert!(result.is_complete(), "{result}");
}

#[test]
fn a_checkpoint_of_another_kind_of_device_is_not_resumed_from() {
    let folder = TempDir::new().unwrap();
    let (sweep, file) = (one_trial(), file(&folder));
    let checkpoints = stopped_in_the_middle(&sweep, &file);
    fs::rename(&checkpoints, checkpoints.with_file_name("wgpu")).unwrap();
    let (result, resumed) = run_to_the_end(&sweep, &file);
    assert!(resumed.is_empty(), "{resumed:?}");
    assert!(result.is_complete());
    assert!(!file.with_extension("checkpoints").exists());
}

#[test]
fn kinds_of_devices_mix_only_on_request() {
    let folder = TempDir::new().unwrap();
    let file = file(&folder);
    let one = sweep().with_seeds([4]);
    let result = run(&one, &file).unwrap();
    assert_eq!(result.devices(), BTreeSet::from(["flex"]));
    assert!(!result.to_string().contains("devices"));
    let text = fs::read_to_string(&file).unwrap();
    let elsewhere = text.replace("\"device\":\"flex\"", "\"device\":\"wgpu\"");
    assert_eq!(elsewhere.matches("wgpu").count(), 2);
    fs::write(&file, &elsewhere).unwrap();

    let text = run(&sweep(), &file).unwrap_err().to_string();
    for expected in ["computed on wgpu", "would be on flex", "--mixed-devices"] {
        assert!(text.contains(expected), "'{expected}' is not in:\n{text}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), elsewhere);
    // A complete sweep mixes nothing.
    let result = run(&one, &file).unwrap();
    assert_eq!(result.devices(), BTreeSet::from(["wgpu"]));

    let (data, sweep, workers) = (data(), sweep(), workers(1));
    let runner = SweepRunner::new(&sweep, &workers).with_mixed_devices(true);
    let result = runner.run(&data.train, &data.test, &file).unwrap();
    assert_eq!(result.devices(), BTreeSet::from(["flex", "wgpu"]));
    let table = result.to_string();
    assert!(table.lines().next().unwrap().contains("devices"), "{table}");
    assert_eq!(table.matches("flex, wgpu").count(), 2, "{table}");
}

#[test]
fn results_of_an_older_version_are_refused_and_kept() {
    let folder = TempDir::new().unwrap();
    let file = file(&folder);
    run(&one_trial(), &file).unwrap();
    let text = fs::read_to_string(&file).unwrap();
    let old = text
        .replacen("\"version\":2", "\"version\":1", 1)
        .replace(",\"device\":\"flex\"", "");
    fs::write(&file, &old).unwrap();
    let text = run(&one_trial(), &file).unwrap_err().to_string();
    assert!(
        text.contains("has version 1 of the format of sweep results, this program reads 2"),
        "{text}"
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), old);
}

#[test]
fn rows_that_this_sweep_cannot_have_written_are_refused() {
    let folder = TempDir::new().unwrap();
    let file = file(&folder);
    run(&one_trial(), &file).unwrap();
    let text = fs::read_to_string(&file).unwrap();
    let (header, row) = text.split_once('\n').unwrap();
    let row: Value = serde_json::from_str(row).unwrap();
    let first = json!([row["epochs"][0]]);
    let cases = [
        ("/label", json!("9"), "the sweep has no setting '9'"),
        ("/epochs", first, "a trial of 1 epochs, expected 2"),
        (
            "/epochs/1/validation_accuracy",
            Value::Null,
            "has no accuracy",
        ),
        ("/epochs/0/epoch", json!(2), "not numbered from 1"),
    ];
    for (place, value, expected) in cases {
        let mut row = row.clone();
        *row.pointer_mut(place).unwrap() = value;
        let content = format!("{header}\n{row}\n");
        fs::write(&file, &content).unwrap();
        let text = run(&one_trial(), &file).unwrap_err().to_string();
        assert!(text.contains(", line 2: "), "{text}");
        assert!(text.contains(expected), "'{expected}' is not in:\n{text}");
        assert_eq!(fs::read_to_string(&file).unwrap(), content);
    }
}
