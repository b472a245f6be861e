//! Each write, sync, rename and removal of a run fails in turn: what is lost, and what is reported.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use lenet_core::LeNetConfig;
use lenet_core::file::faults::{self, Fault};
use lenet_data::synthetic;
use lenet_train::sweep::{Sweep, SweepError, SweepResult, SweepRunner, TrialStatus, Worker};
use lenet_train::{
    CheckpointError, Checkpoints, Event, Interval, Observer, Trainer, TrainingError, TrainingRun,
};
use safetensors::SafeTensors;

use crate::chain;
use crate::checkpoints::{StopAfter, config, files, outcome};

/// Collects the warnings about checkpoints.
#[derive(Default)]
struct Warnings(Vec<String>);

impl Observer for Warnings {
    fn observe(&mut self, event: &Event<'_>) {
        if let Event::CheckpointFailed { message } | Event::CheckpointNotRemoved { message } = event
        {
            self.0.push((*message).to_owned());
        }
    }
}

/// A small network for two epochs of five steps, with a checkpoint every four steps, or the rest of it.
fn fit(folder: &Path, stop_after: usize) -> (Result<TrainingRun, TrainingError>, Vec<String>) {
    let network = LeNetConfig::tweakable(10)
        .with_out_channels(vec![2, 3])
        .with_hidden_dims(vec![8]);
    let config = config().with_epochs(2);
    let (images, validation) = (synthetic::garments(153, 0), synthetic::garments(20, 1));
    let stop = AtomicBool::new(false);
    let left = stop_after;
    let mut observer = (StopAfter { stop: &stop, left }, Warnings::default());
    let checkpoints = Checkpoints::new(folder.join("checkpoints"))
        .with_interval(Interval::Steps(4))
        .with_kept(2)
        .with_resume(true);
    let run = Trainer::new(&network, &config)
        .with_validation(&validation)
        .with_checkpoints(checkpoints)
        .with_observer(&mut observer)
        .with_stop(&stop)
        .fit(&images, &Device::flex());
    (run, observer.1.0)
}

fn fault(text: &str) -> Fault {
    text.parse().unwrap()
}

/// Runs `earlier` steps without faults, then resumes with a fault and stops after `stop_after` steps. Returns
/// whether the faulty operation was attempted.
fn loses_only_work(earlier: usize, stop_after: usize, fault: &str, expected: &TrainingRun) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = folder.path().join("checkpoints");
    if earlier > 0 {
        fit(folder.path(), earlier).0.unwrap_err();
    }
    let last = || files(&checkpoints).pop();
    let before = checkpoints.exists().then(last).flatten();

    let injection = faults::inject(folder.path(), fault.parse().unwrap());
    let (result, warnings) = fit(folder.path(), stop_after);
    let failed = injection.failed();
    drop(injection);
    let Some((operation, path)) = failed.first() else {
        return false;
    };
    let what = format!(
        "{earlier} steps before, {fault} ({operation} of '{}')",
        path.strip_prefix(folder.path()).unwrap().display()
    );

    // What was reported.
    let report = match &result {
        Ok(run) => {
            assert!(outcome(run) == outcome(expected), "{what}");
            assert!(!warnings.is_empty(), "{what}: nothing was reported");
            format!("training is complete; {}", warnings.join("; "))
        }
        Err(error) => {
            match error {
                TrainingError::Interrupted {
                    checkpoint,
                    unsaved,
                    ..
                } => {
                    assert!(unsaved.is_some() || !warnings.is_empty(), "{what}");
                    let expected = last().map(|name| checkpoints.join(name));
                    assert_eq!(*checkpoint, expected, "{what}");
                }
                TrainingError::Checkpoint(error @ CheckpointError::File(_)) => {
                    assert!(!error.is_refusal(), "{what}");
                }
                error => panic!("{what}: {error}"),
            }
            chain(error)
        }
    };
    let report = report.replace(&folder.path().display().to_string(), "");
    println!("{what}: {report}");

    // What is on disk.
    if checkpoints.exists() {
        assert!(last() >= before, "{what}: {:?}", files(&checkpoints));
        for name in files(&checkpoints) {
            assert!(name.ends_with(".safetensors"), "{what}: {name} is left");
            let bytes = fs::read(checkpoints.join(&name)).unwrap();
            assert!(SafeTensors::deserialize(&bytes).is_ok(), "{what}: {name}");
        }
    }
    let (again, warnings) = fit(folder.path(), usize::MAX);
    assert!(outcome(&again.unwrap()) == outcome(expected), "{what}");
    assert!(warnings.is_empty(), "{what}: {warnings:?}");
    // One more if the last was written but no old one could be removed after it.
    let kept = files(&checkpoints).len();
    assert!((2..=3).contains(&kept), "{what}: {kept} are kept");
    true
}

#[test]
fn whatever_fails_a_run_loses_only_the_work_since_its_last_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let expected = fit(folder.path(), usize::MAX).0.unwrap();
    for (earlier, stop_after) in [(0, usize::MAX), (0, 3), (0, 7), (6, usize::MAX), (6, 1)] {
        // One operation, or that and all after it.
        for lasting in ["", "+"] {
            let faults = (1..).map(|number| format!("any:{number}{lasting}"));
            let happened = faults
                .take_while(|fault| loses_only_work(earlier, stop_after, fault, &expected))
                .count();
            assert!(happened > 5, "only {happened} operations");
        }
    }
}

/// Runs two trials of a small network, one after the other, with checkpoints.
fn run_sweep(folder: &Path) -> Result<SweepResult, SweepError> {
    let network = LeNetConfig::tweakable(10)
        .with_out_channels(vec![2, 3])
        .with_hidden_dims(vec![8]);
    let mut sweep = Sweep::new("faults", "network").with_seeds([0, 1]);
    sweep.push_setting("small", network, config().with_epochs(1));
    let (images, validation) = (synthetic::garments(153, 0), synthetic::garments(20, 1));
    let workers = [Worker::new(Device::flex(), 1)];
    SweepRunner::new(&sweep, &workers)
        .with_checkpoint_interval(Interval::Steps(2))
        .run(&images, &validation, folder.join("trials.jsonl"))
}

/// Seed, loss and accuracy of each epoch of the trials.
fn losses(result: &SweepResult) -> Vec<(u64, f64, Option<f64>)> {
    let epochs = result.results().flat_map(|trial| {
        let epochs = trial.epochs.iter();
        epochs.map(|epoch| (trial.seed, epoch.mean_loss, epoch.validation_accuracy))
    });
    epochs.collect()
}

#[test]
fn whatever_fails_a_sweep_loses_no_finished_trial_and_a_rerun_completes_it() {
    let folder = tempfile::tempdir().unwrap();
    let expected = losses(&run_sweep(folder.path()).unwrap());
    for lasting in ["", "+"] {
        for number in 1.. {
            let folder = tempfile::tempdir().unwrap();
            let text = format!("any:{number}{lasting}");
            let injection = faults::inject(folder.path(), fault(&text));
            let result = run_sweep(folder.path());
            let failed = injection.failed();
            drop(injection);
            let Some((operation, path)) = failed.first() else {
                assert!(number > 20, "only {number} operations");
                break;
            };
            let path = path.strip_prefix(folder.path()).unwrap().display();
            let what = format!("{text} ({operation} of '{path}')");

            // What was reported.
            let report = match &result {
                // Checkpoints could not be written or removed, but the trials are complete.
                Ok(result) if result.is_complete() => {
                    assert_eq!(losses(result), expected, "{what}");
                    "all trials finished".to_owned()
                }
                Ok(result) => {
                    let messages = result.trials().filter_map(TrialStatus::message);
                    messages.collect::<Vec<_>>().join("; ")
                }
                Err(error @ SweepError::File(_)) => chain(error),
                Err(error) => panic!("{what}: {error}"),
            };
            assert!(!report.is_empty(), "{what}");
            let report = report.replace(&folder.path().display().to_string(), "");
            println!("{what}: {report}");

            // What is on disk: complete lines, and trials that a rerun reuses.
            let file = fs::read(folder.path().join("trials.jsonl")).unwrap_or_default();
            let end = file.iter().rposition(|&byte| byte == b'\n').unwrap_or(0);
            for line in file[..end].split(|&byte| byte == b'\n') {
                let row = serde_json::from_slice::<serde_json::Value>(line);
                assert!(line.is_empty() || row.is_ok(), "{what}: {file:?}");
            }
            let again = run_sweep(folder.path()).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert!(again.is_complete(), "{what}");
            assert_eq!(losses(&again), expected, "{what}");
        }
    }
}

/// Shared folders of virtual machines and some network mounts.
#[cfg(unix)]
#[test]
fn where_folders_cannot_be_synced_checkpoints_are_written_and_old_ones_removed() {
    const EINVAL: i32 = 22;
    let folder = tempfile::tempdir().unwrap();
    let fault = fault("sync-folder:1+").with_os_error(EINVAL);
    let injection = faults::inject(folder.path(), fault);
    let (run, warnings) = fit(folder.path(), usize::MAX);
    run.unwrap();
    assert_eq!(warnings, [""; 0]);
    assert!(injection.failed().len() > 3);
    assert_eq!(
        files(&folder.path().join("checkpoints")),
        [
            "checkpoint-000000008.safetensors",
            "checkpoint-000000010.safetensors"
        ]
    );
}

#[test]
fn a_checkpoint_that_cannot_be_removed_is_removed_later_and_affects_no_other() {
    let folder = tempfile::tempdir().unwrap();
    fit(folder.path(), 6).0.unwrap_err();
    // Of the checkpoints after 4, 6, 8 and 10 steps the first two go.
    let injection = faults::inject(folder.path(), fault("remove:1"));
    let (run, warnings) = fit(folder.path(), usize::MAX);
    run.unwrap();
    assert_eq!(injection.failed().len(), 1);
    let [warning] = warnings.as_slice() else {
        panic!("{warnings:?}");
    };
    assert!(
        warning.contains("checkpoint-000000004.safetensors"),
        "{warning}"
    );
    assert_eq!(
        files(&folder.path().join("checkpoints")),
        [
            "checkpoint-000000008.safetensors",
            "checkpoint-000000010.safetensors"
        ]
    );
}
