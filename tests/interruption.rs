//! Runs that are killed or interrupted, and resumed.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::{binary, files};

/// Runs that are killed, unless `LENET_KILLED_RUNS` says another number.
const KILLED_RUNS: usize = 20;

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

/// The example, computing in the folder.
fn example(name: &str, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary(name));
    command
        .current_dir(folder)
        .env("LENET_OFFLINE", "1")
        .env("HOME", folder)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn whole(name: &str, folder: &Path, arguments: &[&str]) -> Output {
    let output = example(name, folder, arguments).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {stderr}", output.status);
    output
}

/// Waits until the output has a line with this text in it.
fn wait_for_line(child: &mut Child, text: &str) {
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let found = lines.map_while(Result::ok).any(|line| line.contains(text));
    assert!(found, "ended before '{text}'");
}

/// What Ctrl-C sends.
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
    // Multiples of the golden ratio lie evenly between 0 and 1.
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
            // The machine has become faster: it was done already.
            seconds *= 0.9;
            folder = tempfile::tempdir().unwrap();
        }
        kills += 1;
        in_training += usize::from(!files(&folder.path().join("checkpoints")).is_empty());
        kills += usize::from(kill(folder.path(), seconds / 2.0));
        whole("q1_modern", folder.path(), &resumed);
        assert!(
            weights(folder.path()) == expected,
            "run {run} ended with other weights"
        );
    }
    println!("{runs} runs: {kills} kills; {in_training} runs had begun to train at the first one");
    assert!(in_training > 0);
}

#[test]
fn ctrl_c_leaves_a_checkpoint_and_tells_how_to_go_on() {
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
fn a_sweep_is_interrupted_and_goes_on() {
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
    assert!(stderr.contains("of 10 nets, which are on disk"), "{stderr}");
    assert!(
        stderr.contains("those under way left checkpoints"),
        "{stderr}"
    );

    let output = whole("q2_kernel", folder.path(), &arguments);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("nets are on disk already"), "{stdout}");
    assert!(!folder.path().join("kernel-trials.checkpoints").exists());
}

/// A step over all images takes a second or more; the second signal does not wait for its end.
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
        // Into the middle of the next step.
        std::thread::sleep(Duration::from_millis(200));
        interrupt(&child);
        std::thread::sleep(Duration::from_millis(20));
        interrupt(&child);
        let (code, stderr) = rest(child);
        assert_eq!(code, 130, "{stderr}");
        stderr.is_empty()
    };
    // The step may end between the two.
    assert!((0..3).any(|_| left_at_once()));
}
