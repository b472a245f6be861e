//! Sweeps in parts: what each part runs, what the merge makes of their files, and what it refuses.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use lenet_core::LeNetConfig;
use lenet_data::{Splits, synthetic};
use lenet_train::observer::TextLines;
use lenet_train::sweep::{Missing, Partition, Sweep, SweepError, SweepResult, SweepRunner, Worker};
use lenet_train::{Event, Interval, Observer, TrainingConfig};
use serde_json::{Value, json};
use tempfile::TempDir;

fn data() -> Splits {
    synthetic::garment_splits(200, 100)
}

/// Eight trials of three different costs.
fn sweep() -> Sweep {
    let training = TrainingConfig::default().with_epochs(2).with_batch_size(32);
    let mut sweep = Sweep::new("kernels", "kernel size").with_seeds([4, 5]);
    for size in [1, 3, 5, 7] {
        let network = LeNetConfig::tweakable(10).with_kernel_size(size);
        sweep.push_setting(size.to_string(), network, training.clone());
    }
    sweep
}

fn workers() -> Vec<Worker> {
    Worker::share_cores(&Device::flex(), 2)
}

fn run(
    part: Option<&str>,
    file: &Path,
    observer: &mut dyn Observer,
) -> Result<SweepResult, SweepError> {
    let (sweep, data, workers) = (sweep(), data(), workers());
    let mut runner = SweepRunner::new(&sweep, &workers).with_observer(observer);
    if let Some(part) = part {
        runner = runner.with_partition(part.parse().unwrap());
    }
    runner.run(&data.train, &data.test, file)
}

fn read(file: &Path) -> Result<SweepResult, SweepError> {
    let (sweep, data) = (sweep(), data());
    SweepRunner::new(&sweep, &[]).read(&data.train, &data.test, file)
}

/// The trials that are run.
#[derive(Default)]
struct Started(Vec<(String, u64)>);

impl Observer for Started {
    fn observe(&mut self, event: &Event<'_>) {
        if let Event::TrialStarted { trial } = event {
            self.0.push((trial.setting.label.clone(), trial.seed));
        }
    }
}

fn started(part: Option<&str>, file: &Path) -> Vec<(String, u64)> {
    let mut started = Started::default();
    run(part, file, &mut started).unwrap();
    started.0.sort();
    started.0
}

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("trials.jsonl")
}

fn part_file(file: &Path, part: &str) -> PathBuf {
    part.parse::<Partition>().unwrap().file(file)
}

/// The result without what differs from run to run: seconds and threads.
fn numbers(result: &SweepResult) -> Value {
    let mut value = serde_json::to_value(result).unwrap();
    for setting in value["settings"].as_array_mut().unwrap() {
        for trial in setting["trials"].as_array_mut().unwrap() {
            trial["seconds"] = json!(0);
            trial["threads"] = json!(0);
            for epoch in trial["epochs"].as_array_mut().into_iter().flatten() {
                epoch["seconds"] = json!(0);
            }
        }
    }
    value
}

#[test]
fn parts_give_the_result_of_one_process_and_run_every_trial_once() {
    let (folder, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (parts, whole) = (file(&folder), file(&other));
    let expected = run(None, &whole, &mut Started::default()).unwrap();

    let mut all = Vec::new();
    for part in ["3/3", "1/3", "2/3"] {
        let trials = started(Some(part), &parts);
        assert!((2..=3).contains(&trials.len()), "{part}: {trials:?}");
        all.extend(trials);
        assert_eq!(started(Some(part), &parts), [], "{part} is complete");
    }
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 8);

    assert_eq!(numbers(&read(&parts).unwrap()), numbers(&expected));
    assert!(!parts.exists(), "reading writes nothing");
    assert_eq!(started(None, &parts), [], "nothing is missing");
    let merged = run(None, &parts, &mut Started::default()).unwrap();
    assert_eq!(numbers(&merged), numbers(&expected));
}

#[test]
fn what_a_part_did_not_do_is_named_and_done_by_the_merge() {
    let folder = TempDir::new().unwrap();
    let file = file(&folder);
    let part = run(Some("2/4"), &file, &mut Started::default()).unwrap();
    assert_eq!(part.missing().count(), 6);
    run(Some("4/4"), &file, &mut Started::default()).unwrap();

    let result = read(&file).unwrap();
    assert!(!result.is_complete());
    let missing: Vec<String> = result
        .missing()
        .map(|trial| trial.reason.to_string())
        .collect();
    assert_eq!(missing.len(), 4);
    for reason in &missing {
        assert!(
            ["not run yet by part 1/4", "not run yet by part 3/4"].contains(&reason.as_str()),
            "{reason}"
        );
    }

    let mut log = Vec::new();
    let mut lines = TextLines::new(&mut log);
    assert!(run(None, &file, &mut lines).unwrap().is_complete());
    let log = String::from_utf8(log).unwrap();
    for expected in [
        "2 of 4 parts have a results file; 4 of 8 trials are complete",
        "part 1/4: 2 of 2 trials missing",
        "trials.3-of-4.jsonl does not exist",
        "4 of 8 trials are on disk already",
    ] {
        assert!(log.contains(expected), "'{expected}' is not in:\n{log}");
    }
    // The part that comes back late finds its trials in the file of the merge.
    assert_eq!(started(Some("1/4"), &file), []);
}

#[test]
fn parts_of_another_cut_are_merged_too() {
    let folder = TempDir::new().unwrap();
    let file = file(&folder);
    let first = started(Some("1/2"), &file);
    let second = started(Some("1/4"), &file);
    let rest = started(None, &file);
    assert_eq!(first.len() + second.len() + rest.len(), 8);
    assert!(read(&file).unwrap().is_complete());
}

#[test]
fn equal_results_are_one_and_different_ones_name_both_files() {
    let folder = TempDir::new().unwrap();
    let file = file(&folder);
    run(Some("1/4"), &file, &mut Started::default()).unwrap();
    let (first, second) = (part_file(&file, "1/4"), part_file(&file, "1/2"));
    let text = fs::read_to_string(&first).unwrap();
    let slower = text.replace("\"seconds\":", "\"seconds\":1");
    assert_ne!(slower, text);
    fs::write(&second, slower).unwrap();
    assert_eq!(read(&file).unwrap().results().count(), 2);

    let changed = text.replacen("\"mean_loss\":", "\"mean_loss\":1", 1);
    assert_ne!(changed, text);
    fs::write(&second, changed).unwrap();
    let error = read(&file).unwrap_err();
    let text = error.to_string();
    let SweepError::Conflict(conflict) = error else {
        panic!("{text}")
    };
    let mut named = [conflict.first, conflict.second];
    named.sort();
    assert_eq!(named, [second.clone(), first.clone()]);
    assert!(
        conflict.difference.starts_with("epoch 1: training loss "),
        "{text}"
    );
    let error = run(None, &file, &mut Started::default()).unwrap_err();
    assert!(matches!(error, SweepError::Conflict(_)), "{error}");

    // Another part only warns, and does its own trials.
    let mut log = Vec::new();
    let mut lines = TextLines::new(&mut log);
    run(Some("2/4"), &file, &mut lines).unwrap();
    let log = String::from_utf8(log).unwrap();
    assert!(log.contains("warning: "), "{log}");

    // On different kinds of devices, different numbers are no conflict if that is allowed.
    let text = fs::read_to_string(&second).unwrap();
    fs::write(&second, text.replace("\"flex\"", "\"wgpu\"")).unwrap();
    let (sweep, data) = (sweep(), data());
    let runner = SweepRunner::new(&sweep, &[]).with_mixed_devices(true);
    let result = runner.read(&data.train, &data.test, &file).unwrap();
    assert_eq!(result.results().count(), 4);
}

#[test]
fn a_failed_trial_of_a_part_gives_way_to_a_finished_one() {
    let folder = TempDir::new().unwrap();
    let file = file(&folder);
    run(Some("1/4"), &file, &mut Started::default()).unwrap();
    let path = part_file(&file, "1/4");
    let text = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    lines[1]["outcome"] = json!({ "status": "failed", "message": "the device was lost" });
    let failed: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(&path, failed).unwrap();
    assert_eq!(read(&file).unwrap().results().count(), 2);
    // Another part leaves it alone, the merge runs it again.
    assert_eq!(
        run(Some("2/4"), &file, &mut Started::default())
            .unwrap()
            .results()
            .count(),
        3
    );
    assert_eq!(started(None, &file).len(), 5);
    assert!(read(&file).unwrap().is_complete());
}

#[test]
fn what_another_process_is_writing_is_not_an_error() {
    let folder = TempDir::new().unwrap();
    let file = file(&folder);
    run(Some("1/4"), &file, &mut Started::default()).unwrap();
    let path = part_file(&file, "1/4");
    let text = fs::read_to_string(&path).unwrap();
    let header = text.find('\n').unwrap() + 1;
    for (len, results) in [
        (0, 0),
        (20, 0),
        (header, 0),
        (text.len() - 5, 1),
        (text.len(), 2),
    ] {
        fs::write(&path, &text[..len]).unwrap();
        assert_eq!(
            read(&file).unwrap().results().count(),
            results,
            "{len} bytes"
        );
        // Only its own process may cut the file.
        assert_eq!(fs::read_to_string(&path).unwrap(), text[..len]);
    }
}

#[test]
fn the_file_of_another_sweep_version_or_device_is_refused_and_named() {
    let folder = TempDir::new().unwrap();
    let file = file(&folder);
    run(Some("1/4"), &file, &mut Started::default()).unwrap();
    let path = part_file(&file, "1/4");
    let text = fs::read_to_string(&path).unwrap();
    let cases = [
        ("\"epochs\":2", "\"epochs\":3", "another sweep"),
        ("\"program\":\"", "\"program\":\"0.0.", "version 0.0."),
        ("\"version\":2", "\"version\":9", "version 9"),
        ("\"device\":\"flex\"", "\"device\":\"wgpu\"", "wgpu"),
        ("\"outcome\":", "\"result\":", "not a trial"),
        ("{\"format\"", "{\"former\"", "not a file of sweep results"),
    ];
    for (from, to, expected) in cases {
        let changed = text.replace(from, to);
        assert_ne!(changed, text, "{from}");
        fs::write(&path, &changed).unwrap();
        let error = run(None, &file, &mut Started::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "'{expected}' is not in: {error}");
        assert!(error.contains("trials.1-of-4.jsonl"), "{error}");

        // A part does without it, but says so; only devices must not be mixed.
        let mut log = Vec::new();
        let part = run(Some("2/4"), &file, &mut TextLines::new(&mut log));
        let log = String::from_utf8(log).unwrap();
        if expected == "wgpu" {
            assert!(
                matches!(part, Err(SweepError::MixedDevices { .. })),
                "{part:?}"
            );
        } else {
            assert!(part.is_ok(), "{part:?}");
            assert!(
                log.contains(&format!("warning: {}", path.display())),
                "{log}"
            );
        }
        let _ = fs::remove_file(part_file(&file, "2/4"));
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            changed,
            "the file stays as it was"
        );
    }
}

/// Stops the sweep after some steps.
struct StopAfter<'a> {
    steps: usize,
    stop: &'a AtomicBool,
    seen: Mutex<usize>,
}

impl Observer for StopAfter<'_> {
    fn observe(&mut self, event: &Event<'_>) {
        if let Event::Trial {
            event: Event::Step { .. },
            ..
        } = event
        {
            let mut seen = self.seen.lock().unwrap();
            *seen += 1;
            self.stop.store(*seen >= self.steps, Ordering::Relaxed);
        }
    }
}

#[test]
fn a_stopped_part_resumes_from_its_own_checkpoints() {
    let (folder, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (file, whole) = (file(&folder), file(&other));
    let expected = run(None, &whole, &mut Started::default()).unwrap();
    let (sweep, data, workers) = (sweep(), data(), workers());
    let part: Partition = "2/3".parse().unwrap();
    let mut stops = 0;
    loop {
        let stop = AtomicBool::new(false);
        let mut observer = StopAfter {
            steps: 5,
            stop: &stop,
            seen: Mutex::new(0),
        };
        let runner = SweepRunner::new(&sweep, &workers)
            .with_partition(part)
            .with_checkpoint_interval(Interval::Epochs(1))
            .with_observer(&mut observer)
            .with_stop(&stop);
        match runner.run(&data.train, &data.test, &file) {
            Ok(_) => break,
            Err(SweepError::Interrupted { result }) => {
                stops += 1;
                let mut missing = result.missing();
                assert!(missing.any(|trial| matches!(trial.reason, Missing::OfPart { .. })));
            }
            Err(error) => panic!("{error}"),
        }
        assert!(stops < 50);
    }
    assert!(stops > 1, "{stops}");
    assert!(!part.file(&file).with_extension("checkpoints").exists());
    let merged = run(None, &file, &mut Started::default()).unwrap();
    assert_eq!(numbers(&merged), numbers(&expected));
}
