//! Runs that are killed or interrupted, and resumed.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{files, lenet_process, process as example};

/// How many runs are killed, unless `LENET_KILLED_RUNS` is set.
const KILLED_RUNS: usize = 20;

/// How many times sweeps are killed, unless `LENET_KILLED_SWEEPS` is set.
const KILLED_SWEEPS: usize = 10;

const SHORT: [&str; 11] = [
    "--dataset",
    "synthetic",
    "--quick",
    "--device",
    "flex",
    "--epochs",
    "4",
    "--checkpoint-every",
    "7steps",
    "--out",
    ".",
];

fn whole(name: &str, folder: &Path, arguments: &[&str]) -> Output {
    let output = example(name, folder, arguments).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {stderr}", output.status);
    output
}

/// Waits for a line of output that contains `text`.
fn wait_for_line(child: &mut Child, text: &str) {
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let found = lines.map_while(Result::ok).any(|line| line.contains(text));
    assert!(found, "the output ended before '{text}'");
}

/// Sends SIGINT, as Ctrl-C does.
fn interrupt(child: &Child) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(sent.success());
}

fn rest(mut child: Child) -> (i32, String) {
    let mut stderr = String::new();
    let mut pipe = child.stderr.take().unwrap();
    pipe.read_to_string(&mut stderr).unwrap();
    (child.wait().unwrap().code().unwrap(), stderr)
}

#[test]
#[ignore = "long; .ci/run includes it"]
fn a_run_that_is_killed_at_any_moment_ends_with_the_weights_of_one_that_is_not() {
    let runs = std::env::var("LENET_KILLED_RUNS").map_or(KILLED_RUNS, |n| n.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let weights = |folder: &Path| fs::read(folder.join("weights.safetensors")).unwrap();
    let begun = Instant::now();
    whole("q1_modern", folder.path(), &SHORT);
    let mut seconds = begun.elapsed().as_secs_f64();
    let expected = weights(folder.path());

    let resumed: Vec<&str> = SHORT.into_iter().chain(["--resume"]).collect();
    // The fractional parts of multiples of the golden ratio are distributed evenly.
    let mut moments = (1..).map(|n| (f64::from(n) * 0.618_034).fract());
    let mut kill = |folder: &Path, seconds: f64| {
        let mut child = example("q1_modern", folder, &resumed).spawn().unwrap();
        std::thread::sleep(Duration::from_secs_f64(moments.next().unwrap() * seconds));
        child.kill().unwrap();
        child.wait().unwrap().signal().is_some()
    };
    let (mut kills, mut in_training) = (0, 0);
    for run in 0..runs {
        let mut folder = tempfile::tempdir().unwrap();
        while !kill(folder.path(), seconds) {
            // The machine has become faster: the run was already complete.
            seconds *= 0.9;
            folder = tempfile::tempdir().unwrap();
        }
        kills += 1;
        in_training += usize::from(!files(&folder.path().join("checkpoints")).is_empty());
        kills += usize::from(kill(folder.path(), seconds / 2.0));
        whole("q1_modern", folder.path(), &resumed);
        assert!(
            weights(folder.path()) == expected,
            "run {run} ended with different weights"
        );
    }
    println!("{runs} runs, {kills} kills; {in_training} runs were in training at the first kill");
    assert!(in_training > 0);
}

#[test]
fn ctrl_c_leaves_a_checkpoint_and_says_how_to_resume() {
    let folder = tempfile::tempdir().unwrap();
    let long: Vec<&str> = SHORT
        .into_iter()
        .map(|a| if a == "4" { "2000" } else { a })
        .collect();
    let mut child = example("lenet", folder.path(), &long).spawn().unwrap();
    wait_for_line(&mut child, "epoch    1/2000");
    interrupt(&child);
    let (code, stderr) = rest(child);
    assert_eq!(code, 130, "{stderr}");
    assert!(
        stderr.contains("resume from ./checkpoints/checkpoint-"),
        "{stderr}"
    );
    assert!(stderr.contains(" lenet -- --dataset synthetic"), "{stderr}");
    assert!(stderr.trim_end().ends_with("--resume"), "{stderr}");
    assert_eq!(files(folder.path()), ["checkpoints"]);

    let resumed: Vec<&str> = long.into_iter().chain(["--resume"]).collect();
    let mut child = example("lenet", folder.path(), &resumed).spawn().unwrap();
    wait_for_line(&mut child, "resumed after ");
    interrupt(&child);
    assert_eq!(rest(child).0, 130);
}

#[test]
fn ctrl_c_without_checkpoints_says_what_would_have_helped() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "--dataset",
        "synthetic",
        "--quick",
        "--epochs",
        "2000",
        "--device",
        "flex",
    ];
    let mut child = example("lenet", folder.path(), &arguments).spawn().unwrap();
    wait_for_line(&mut child, "epoch    1/2000");
    interrupt(&child);
    let (code, stderr) = rest(child);
    assert_eq!(code, 130, "{stderr}");
    assert!(stderr.contains("nothing was saved"), "{stderr}");
    assert!(stderr.contains("--checkpoint-every 1"), "{stderr}");
}

#[test]
fn an_interrupted_sweep_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let arguments: Vec<&str> = SHORT
        .into_iter()
        .chain(["--seeds", "2", "--jobs", "2"])
        .collect();
    let mut child = example("q2_kernel", folder.path(), &arguments)
        .spawn()
        .unwrap();
    wait_for_line(&mut child, " 2/10  ");
    interrupt(&child);
    let (code, stderr) = rest(child);
    assert_eq!(code, 130, "{stderr}");
    assert!(
        stderr.contains("of 10 trials complete and on disk, and checkpoints of "),
        "{stderr}"
    );

    let output = whole("q2_kernel", folder.path(), &arguments);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("trials are on disk already"), "{stdout}");
    assert!(!folder.path().join("kernel-trials.checkpoints").exists());
}

/// The names and contents of the files in a directory.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let names = files(folder).into_iter();
    let files = names.filter(|name| folder.join(name).is_file());
    files
        .map(|name| (name.clone(), fs::read(folder.join(name)).unwrap()))
        .collect()
}

/// The ten trials in the file are not the ten of the second run.
#[test]
fn ctrl_c_in_a_sweep_with_other_seeds_leaves_the_results_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let with = |more: &[&'static str]| -> Vec<&'static str> {
        let short = SHORT.into_iter().map(|a| if a == "4" { "1" } else { a });
        short.chain(more.iter().copied()).collect()
    };
    whole("q2_kernel", folder.path(), &with(&["--seeds", "2"]));
    let results = |folder: &Path| -> Vec<(String, Vec<u8>)> {
        let mut all = contents(folder);
        all.retain(|(name, _)| name != "kernel-trials.jsonl");
        all
    };
    let before = results(folder.path());
    assert!(before.iter().any(|(name, _)| name == "section.json"));

    let others = with(&["--seeds", "2", "--seed", "10", "--jobs", "1"]);
    let mut child = example("q2_kernel", folder.path(), &others)
        .spawn()
        .unwrap();
    wait_for_line(&mut child, " 2/10  ");
    interrupt(&child);
    let (code, stderr) = rest(child);
    assert_eq!(code, 130, "{stderr}");
    assert!(stderr.contains("of 10 trials complete"), "{stderr}");
    assert!(results(folder.path()) == before, "a file was overwritten");
}

/// Interrupts after the last trial of a sweep, while its files are being written.
#[test]
fn ctrl_c_between_and_after_sweeps_ends_the_program() {
    let cases = [
        ("q2_training", "synthetic", "5/5  ", "5 of 5 trials"),
        ("q3_mnist", "synthetic-digits", "2/2  ", "2 of 2 trials"),
    ];
    for (name, dataset, line, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        let arguments = "--quick --device flex --epochs 1 --seeds 1 --out .".split(' ');
        let arguments: Vec<&str> = arguments.chain(["--dataset", dataset]).collect();
        let mut child = example(name, folder.path(), &arguments).spawn().unwrap();
        wait_for_line(&mut child, line);
        interrupt(&child);
        let (code, stderr) = rest(child);
        assert_eq!(code, 130, "{name}: {stderr}");
        assert!(stderr.contains(expected), "{name}: {stderr}");
        let files = files(folder.path());
        for file in ["epochs-trials.jsonl", "section.json"] {
            assert!(!files.contains(&file.to_owned()), "{name}: {files:?}");
        }
    }
}

/// Interrupts the training of the best recipe, then runs again with another seed.
#[test]
fn the_best_recipe_resumes_its_own_training_only() {
    let folder = tempfile::tempdir().unwrap();
    let with = |seed: &'static str| -> Vec<&'static str> {
        let short = SHORT.into_iter().map(|a| if a == "4" { "1" } else { a });
        short.chain(["--seeds", "1", "--seed", seed]).collect()
    };
    let mut child = example("q2_best", folder.path(), &with("0"))
        .spawn()
        .unwrap();
    wait_for_line(&mut child, "tested once");
    interrupt(&child);
    let (code, stderr) = rest(child);
    assert_eq!(code, 130, "{stderr}");
    assert!(
        stderr.contains("resume from ./best.checkpoints/"),
        "{stderr}"
    );
    let command = stderr.trim_end().lines().last().unwrap();
    assert!(
        command.contains("q2_best") && command.ends_with("--seed 0"),
        "{stderr}"
    );
    assert!(
        !command.contains("--resume"),
        "q2_best has no such option: {command}"
    );

    let output = whole("q2_best", folder.path(), &with("1"));
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        stdout.contains("training.seed: 0 in the file, 1 now"),
        "{stdout}"
    );
    assert!(stdout.contains("training starts from the seed"), "{stdout}");

    let output = whole("q2_best", folder.path(), &with("1"));
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("resumed after 1 epochs"), "{stdout}");
}

/// The trial of the second seed fails because a directory is in the place of its lock file.
#[test]
fn a_sweep_with_a_failed_trial_leaves_older_files_alone() {
    let folder = tempfile::tempdir().unwrap();
    let with = |seeds: &'static str| -> Vec<&'static str> {
        let short = SHORT.into_iter().map(|a| if a == "4" { "1" } else { a });
        short.chain(["--seeds", seeds]).collect()
    };
    whole("q2_conv_layers", folder.path(), &with("1"));
    let results = || -> Vec<(String, Vec<u8>)> {
        let mut all = contents(folder.path());
        all.retain(|(name, _)| name != "conv_layers-trials.jsonl");
        all
    };
    let before = results();
    let lock = "conv_layers-trials.checkpoints/setting-0-seed-1/flex/lock";
    fs::create_dir_all(folder.path().join(lock)).unwrap();

    let mut failing = example("q2_conv_layers", folder.path(), &with("2"));
    let output = failing.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("1/2, incomplete"), "{stdout}");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("1 trials failed"), "{stderr}");
    assert!(results() == before, "a file was overwritten");

    fs::remove_dir(folder.path().join(lock)).unwrap();
    whole("q2_conv_layers", folder.path(), &with("2"));
    assert!(results() != before);
}

/// The tables and charts of the sweep, without seconds and threads, which depend on the worker that ran each trial.
fn tables(folder: &Path) -> Vec<(String, String)> {
    fn cut(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.retain(|name, _| name != "seconds" && name != "threads");
                fields.values_mut().for_each(cut);
            }
            Value::Array(values) => values.iter_mut().for_each(cut),
            _ => {}
        }
    }
    let read =
        |ending: &str| fs::read_to_string(folder.join(format!("conv_layers{ending}"))).unwrap();
    let markdown = read(".md");
    let markdown = markdown.lines().map(|line| {
        let cells = line.strip_suffix('|').unwrap();
        cells.rsplit_once('|').unwrap().0
    });
    let csv = read(".csv");
    let csv = csv.lines().map(|line| {
        // From the right: message, parameters, device, threads, seconds.
        let mut cells: Vec<&str> = line.rsplit(',').collect();
        cells.drain(3..5);
        cells.join(",")
    });
    let mut json: Value = serde_json::from_str(&read(".json")).unwrap();
    cut(&mut json);
    vec![
        (
            "markdown".to_owned(),
            markdown.collect::<Vec<_>>().join("\n"),
        ),
        ("csv".to_owned(), csv.collect::<Vec<_>>().join("\n")),
        ("json".to_owned(), json.to_string()),
        ("chart".to_owned(), read(".svg")),
        ("curves".to_owned(), read("-epochs.svg")),
    ]
}

/// Runs six trials, two at a time, and kills them until they complete.
#[test]
#[ignore = "long; .ci/run includes it"]
fn a_sweep_that_is_killed_at_any_moment_ends_with_the_tables_of_one_that_is_not() {
    let wanted = std::env::var("LENET_KILLED_SWEEPS").map_or(KILLED_SWEEPS, |n| n.parse().unwrap());
    let arguments = "--dataset synthetic --quick --device flex --epochs 2 --seeds 2 --jobs 2 \
                     --checkpoint-every 7steps --out .";
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    let folder = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    whole("q2_conv_layers", folder.path(), &arguments);
    let seconds = begun.elapsed().as_secs_f64();
    let expected = tables(folder.path());

    // The fractional parts of multiples of the golden ratio are distributed evenly.
    let mut moments = (1..).map(|n| (f64::from(n) * 0.618_034).fract() * seconds);
    let (mut kills, mut in_training, mut sweeps) = (0, 0, 0);
    while kills < wanted {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        while kills < wanted {
            let mut child = example("q2_conv_layers", folder.path(), &arguments)
                .stdout(File::create(&log).unwrap())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(Duration::from_secs_f64(moments.next().unwrap()));
            child.kill().unwrap();
            let status = child.wait().unwrap();
            if status.signal().is_none() {
                assert!(status.success(), "{status}");
                break;
            }
            kills += 1;
            // This line is printed just before the first trial. The complete file has a header and six trials.
            let has_begun = fs::read_to_string(&log).unwrap().contains("\ntraining  ");
            let trials =
                fs::read(folder.path().join("conv_layers-trials.jsonl")).unwrap_or_default();
            let lines = trials.iter().filter(|&&byte| byte == b'\n').count();
            in_training += usize::from(has_begun && lines < 1 + 6);
        }
        whole("q2_conv_layers", folder.path(), &arguments);
        sweeps += 1;
        for (found, expected) in tables(folder.path()).iter().zip(&expected) {
            assert!(
                found == expected,
                "sweep {sweeps}: {found:?}, expected {expected:?}"
            );
        }
        assert!(
            !folder
                .path()
                .join("conv_layers-trials.checkpoints")
                .exists()
        );
    }
    println!("{sweeps} sweeps, {kills} kills, {in_training} of them during training");
    assert!(in_training > 0);
}

/// A step over all images takes a second or more. The second signal must not wait for it.
#[test]
fn ctrl_c_twice_leaves_at_once() {
    let arguments = [
        "--dataset",
        "synthetic",
        "--batch-size",
        "60000",
        "--epochs",
        "2000",
        "--device",
        "flex",
    ];
    let left_at_once = || {
        let folder = tempfile::tempdir().unwrap();
        let mut child = example("lenet", folder.path(), &arguments).spawn().unwrap();
        wait_for_line(&mut child, "epoch    1/2000");
        // Interrupt in the middle of the next step.
        std::thread::sleep(Duration::from_millis(200));
        interrupt(&child);
        std::thread::sleep(Duration::from_millis(20));
        interrupt(&child);
        let (code, stderr) = rest(child);
        assert_eq!(code, 130, "{stderr}");
        stderr.is_empty()
    };
    // The step may end between the two signals, so there are three attempts.
    assert!((0..3).any(|_| left_at_once()));
}

#[test]
fn an_interrupted_report_is_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["report", "--synthetic", "--quick", "--device", "flex"];
    let mut child = lenet_process(folder.path(), &arguments).spawn().unwrap();
    wait_for_line(&mut child, "epoch 1/2");
    interrupt(&child);
    let (code, stderr) = rest(child);
    assert_eq!(code, 130, "{stderr}");
    assert!(stderr.contains("to run it again:"), "{stderr}");
    assert!(!stderr.contains("--checkpoint-every"), "{stderr}");
    assert!(!folder.path().join("out/quick/report.html").exists());
}
