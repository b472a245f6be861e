//! Sweeps: what is run, kept, taken up again and refused.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use lenet_core::LeNetConfig;
use lenet_data::{Splits, synthetic};
use lenet_train::sweep::{
    Outcome, Scale, SilentSweep, Sweep, SweepError, SweepEvent, SweepLines, SweepObserver,
    SweepResult, Worker,
};
use lenet_train::{TrainingConfig, observer::Silent, train};
use tempfile::TempDir;

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
        sweep = sweep.with_setting(size.to_string(), size as f64, network, training());
    }
    sweep
}

fn workers(count: usize) -> Vec<Worker> {
    Worker::share_cores(&Device::flex(), count)
}

fn run(sweep: &Sweep, file: &Path) -> Result<SweepResult, SweepError> {
    let data = data();
    sweep.run(&data.train, &data.test, &workers(2), file, &mut SilentSweep)
}

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("trials.jsonl")
}

/// Everything but the seconds, which differ from run to run.
fn numbers(result: &SweepResult) -> Vec<(String, u64, Vec<f64>)> {
    let trials = result.settings.iter().flat_map(|setting| &setting.trials);
    trials
        .map(|trial| {
            let epochs = trial.epochs.iter();
            let losses = epochs.flat_map(|m| [m.mean_loss, m.validation_accuracy.unwrap()]);
            (trial.label.clone(), trial.seed, losses.collect())
        })
        .collect()
}

#[test]
fn a_trial_gives_what_training_alone_gives_whatever_runs_beside_it() {
    let folder = TempDir::new().unwrap();
    let result = run(&sweep(), &file(&folder)).unwrap();
    assert_eq!(result.settings.len(), 2);
    let data = data();
    for (setting, size) in result.settings.iter().zip([3, 5]) {
        for (trial, seed) in setting.trials.iter().zip([4, 5]) {
            let network = LeNetConfig::tweakable(10).with_kernel_size(size);
            let alone = train(
                &network,
                &training().with_seed(seed),
                &data.train,
                Some(&data.test),
                &Device::flex(),
                &mut Silent,
            )
            .unwrap();
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

/// Counts the trials that are really trained.
#[derive(Default)]
struct Count(Vec<(String, u64)>);

impl SweepObserver for Count {
    fn observe(&mut self, event: &SweepEvent<'_>) {
        if let SweepEvent::TrialStarted { trial } = event {
            self.0.push((trial.setting.label.clone(), trial.seed));
        }
    }
}

/// Wherever the file is cut, the sweep runs what is missing and nothing else, and ends the same.
#[test]
fn a_file_cut_anywhere_is_taken_up_again() {
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
    assert_eq!(
        lines.len(),
        5,
        "a line of circumstances and one for each trial"
    );
    let data = data();
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
        let result = sweep()
            .run(&data.train, &data.test, &workers(2), &file, &mut count)
            .unwrap();
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
    let data = data();
    let mut count = Count::default();
    let more = sweep().with_seeds([4, 5, 9]);
    let result = more
        .run(&data.train, &data.test, &workers(1), &file, &mut count)
        .unwrap();
    count.0.sort();
    assert_eq!(count.0, [("3".to_owned(), 9), ("5".to_owned(), 9)]);
    assert_eq!(result.settings[0].trials.len(), 3);
    // Fewer are a part of what is there.
    let one = sweep().with_seeds([5]);
    assert_eq!(run(&one, &file).unwrap().settings[0].trials[0].seed, 5);
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
    let told = run(&other, &file).unwrap_err().to_string();
    for expected in [
        "results of another sweep",
        "settings[1].training.epochs: 2 in the file, 3 now",
        "settings[0].network.pooling: \"max\" in the file, \"average\" now",
        "remove the file",
    ] {
        assert!(told.contains(expected), "'{expected}' is not in:\n{told}");
    }
    let smaller = synthetic::garment_splits(200, 100);
    let run_on = |data: &Splits| {
        sweep().run(
            &data.train,
            &data.test,
            &workers(1),
            &file,
            &mut SilentSweep,
        )
    };
    let told = run_on(&smaller).unwrap_err().to_string();
    assert!(
        told.contains("training_set.images: 300 in the file, 200 now"),
        "{told}"
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
        let told = run(&sweep(), &file).unwrap_err().to_string();
        assert!(told.contains(expected), "'{expected}' is not in:\n{told}");
        assert_eq!(fs::read_to_string(&file).unwrap(), content);
    }
}

#[test]
fn a_diverged_trial_is_a_row_and_not_repeated() {
    let folder = TempDir::new().unwrap();
    let file = file(&folder);
    let network = LeNetConfig::modern(10);
    let wild = training().with_learning_rate(1e9);
    let sweep = Sweep::new("rates", "learning rate")
        .with_scale(Scale::Logarithmic)
        .with_seeds([0, 1])
        .with_setting("0.1", 0.1, network.clone(), training())
        .with_setting("1e9", 1e9, network, wild);
    let result = run(&sweep, &file).unwrap();
    assert!(result.settings[0].mean().is_some());
    assert_eq!(result.settings[1].mean(), None);
    for trial in &result.settings[1].trials {
        assert!(matches!(trial.outcome, Outcome::Diverged { .. }));
    }
    let shown = result.to_string();
    assert!(shown.contains("diverged diverged"), "{shown}");
    assert!(shown.contains("1e9, seed 0: the loss became"), "{shown}");
    assert_eq!(result.to_csv().matches("diverged,").count(), 2);
    assert!(result.conclusion().contains("with learning rate 0.1"));

    let data = data();
    let mut count = Count::default();
    sweep
        .run(&data.train, &data.test, &workers(1), &file, &mut count)
        .unwrap();
    assert_eq!(count.0, []);
}

#[test]
fn contradictions_are_refused_before_anything_is_written() {
    let folder = TempDir::new().unwrap();
    let file = file(&folder);
    let network = LeNetConfig::modern(10);
    let empty = Sweep::new("nothing", "x");
    let impossible = LeNetConfig::modern(10).with_kernel_size(40).with_padding(0);
    let cases = [
        (empty.clone(), "the sweep 'nothing' has no settings"),
        (sweep().with_seeds([]), "has no seeds"),
        (sweep().with_seeds([1, 2, 1]), "lists seed 1 twice"),
        (
            sweep().with_setting("3", 9.0, network.clone(), training()),
            "two settings labelled '3'",
        ),
        (
            empty
                .clone()
                .with_setting("big", 1.0, impossible, training()),
            "setting 'big': conv1",
        ),
        (
            empty
                .clone()
                .with_setting("a", 1.0, network.clone(), training().with_epochs(0)),
            "setting 'a': epochs is 0",
        ),
        (
            empty.clone().with_scale(Scale::Logarithmic).with_setting(
                "a",
                0.0,
                network.clone(),
                training(),
            ),
            "setting 'a': 0 has no place on a logarithmic axis",
        ),
        (
            empty.with_setting("a", 0.0, network.with_classes(3), training()),
            "setting 'a': the data set 'synthetic garments' has 10 classes, the network 3",
        ),
    ];
    for (sweep, expected) in cases {
        let told = run(&sweep, &file).unwrap_err().to_string();
        assert!(told.contains(expected), "'{expected}' is not in:\n{told}");
    }
    let data = data();
    let nobody = sweep().run(&data.train, &data.test, &[], &file, &mut SilentSweep);
    assert!(nobody.unwrap_err().to_string().contains("has no workers"));
    assert!(!file.exists());
    let nowhere = run(&sweep(), &folder.path().join("no/such/folder/file"));
    assert!(matches!(nowhere, Err(SweepError::Io { .. })));
}

#[test]
fn two_processes_do_not_share_a_file() {
    let folder = TempDir::new().unwrap();
    let file = file(&folder);
    let other = fs::File::create(&file).unwrap();
    other.lock().unwrap();
    let told = run(&sweep(), &file).unwrap_err().to_string();
    assert!(
        told.contains("another process is running this sweep"),
        "{told}"
    );
    other.unlock().unwrap();
    run(&sweep(), &file).unwrap();
}

#[test]
fn tables_tell_the_same_in_every_form() {
    let folder = TempDir::new().unwrap();
    let result = run(&sweep(), &file(&folder)).unwrap();
    let mean = format!("{:.4}", result.settings[1].mean().unwrap());
    let text = result.to_string();
    assert!(text.lines().nth(2).unwrap().contains(&mean), "{text}");
    let markdown = result.to_markdown();
    assert_eq!(markdown.lines().count(), 4);
    assert!(markdown.lines().nth(3).unwrap().contains(&mean));
    let back: SweepResult = serde_json::from_str(&result.to_json().unwrap()).unwrap();
    assert_eq!(numbers(&back), numbers(&result));
    let csv = result.to_csv();
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.len(), 5);
    assert_eq!(rows[0][..5], ["label", "x", "seed", "status", "accuracy"]);
    assert_eq!(rows[4][..4], ["5", "5", "5", "finished"]);
    let accuracy: f64 = rows[4][4].parse().unwrap();
    assert_eq!(Some(accuracy), result.settings[1].trials[1].accuracy());
}

#[test]
fn a_log_has_a_line_for_each_trial() {
    let folder = TempDir::new().unwrap();
    let file = file(&folder);
    let data = data();
    for expected in [&["1/4  ", "4/4  "][..], &["all 4 nets are on disk already"]] {
        let mut log = Vec::new();
        let mut lines = SweepLines::new(&mut log);
        sweep()
            .run(&data.train, &data.test, &workers(2), &file, &mut lines)
            .unwrap();
        let log = String::from_utf8(log).unwrap();
        for expected in expected {
            assert!(log.contains(expected), "'{expected}' is not in:\n{log}");
        }
    }
}

/// 17 digits of such a rate may come back from JSON with another last one.
#[test]
fn a_rate_of_many_digits_is_the_same_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let file = file(&folder);
    let rates = [10_f64.powf(-1.6), 0.07 * 3.0, 1.0 / 3.0];
    let mut sweep = Sweep::new("rates", "learning rate").with_scale(Scale::Logarithmic);
    for rate in rates {
        let training = training().with_epochs(1).with_learning_rate(rate);
        sweep = sweep.with_setting(rate.to_string(), rate, LeNetConfig::modern(10), training);
    }
    let first = run(&sweep, &file).unwrap();
    let again = run(&sweep, &file).unwrap();
    assert_eq!(first, again);
}

struct Panicking(usize);

impl SweepObserver for Panicking {
    fn observe(&mut self, _event: &SweepEvent<'_>) {
        self.0 -= 1;
        assert!(self.0 > 0, "the observer panics on purpose");
    }
}

#[test]
fn a_panicking_observer_costs_no_result() {
    let folder = TempDir::new().unwrap();
    let whole = run(&sweep(), &file(&folder)).unwrap();
    let data = data();
    for calls in [1, 2, 20] {
        let file = folder.path().join(format!("{calls}.jsonl"));
        let mut observer = Panicking(calls);
        let result = sweep()
            .run(&data.train, &data.test, &workers(2), &file, &mut observer)
            .unwrap();
        assert_eq!(numbers(&result), numbers(&whole));
    }
}

/// Means 0.80 and 0.90; the seeds lie 0.01 apart in the first case and 0.2 in the second.
#[test]
fn a_lead_counts_if_the_seeds_cannot_explain_it() {
    let conclusion = |spread: f64| {
        let trial = |label: &str, seed: u64, accuracy: f64| {
            serde_json::json!({
                "label": label, "seed": seed, "outcome": {"status": "finished"}, "seconds": 1.0, "threads": 1,
                "epochs": [{"epoch": 1, "mean_loss": 0.5, "last_batch_loss": 0.5, "learning_rate": 0.1,
                            "seconds": 1.0, "validation_accuracy": accuracy, "validation_loss": 0.5}],
            })
        };
        let setting = |label: &str, mean: f64| {
            let trials = [-1.0, 0.0, 1.0].iter().enumerate();
            let trials: Vec<_> = trials
                .map(|(seed, step)| trial(label, seed as u64, mean + step * spread))
                .collect();
            serde_json::json!({"label": label, "x": 1.0, "parameters": 1, "trials": trials})
        };
        let result: SweepResult = serde_json::from_value(serde_json::json!({
            "name": "n", "parameter": "kernel size", "scale": "linear", "held_out": "test",
            "dataset": "d", "synthetic": false, "settings": [setting("3", 0.8), setting("5", 0.9)],
        }))
        .unwrap();
        result.conclusion()
    };
    let clear = conclusion(0.01);
    assert!(
        clear.contains("0.9000, with kernel size 5, 0.1000 above 3: more than"),
        "{clear}"
    );
    // Welch: two standard errors of 0.01 / sqrt 3, four degrees of freedom, t = 2.776.
    assert!(clear.contains("limit 0.0227"), "{clear}");
    let unclear = conclusion(0.1);
    assert!(
        unclear.contains("the seeds alone could explain that"),
        "{unclear}"
    );
}
