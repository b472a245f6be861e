//! Comparisons in parts, as a scheduler runs them: processes that are stopped, killed and started again, and the
//! run that merges what they wrote.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{files, lenet_process};

/// How many times parts are killed, unless `LENET_KILLED_PARTS` is set.
const KILLED_PARTS: usize = 20;

/// Eight trials of four different costs.
pub(crate) const COMPARISON: [&str; 10] = [
    "exercise",
    "q2-channels",
    "--dataset",
    "synthetic",
    "--quick",
    "--device",
    "flex",
    "--seeds",
    "2",
    "--out=.",
];

fn command(folder: &Path, extra: &[&str]) -> Command {
    lenet_process(folder, &[&COMPARISON[..], &["--jobs", "1"], extra].concat())
}

fn run(folder: &Path, extra: &[&str]) -> String {
    text(&command(folder, extra).output().unwrap())
}

fn text(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {stderr}", output.status);
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// All results without what differs from run to run: the JSON, and the table without its last column, the seconds.
pub(crate) fn results(folder: &Path) -> (Value, String) {
    let json = fs::read(folder.join("channels.json")).unwrap();
    let mut json: Value = serde_json::from_slice(&json).unwrap();
    for setting in json["settings"].as_array_mut().unwrap() {
        for trial in setting["trials"].as_array_mut().unwrap() {
            trial["seconds"] = json!(0);
            for epoch in trial["epochs"].as_array_mut().into_iter().flatten() {
                epoch["seconds"] = json!(0);
            }
        }
    }
    let table = fs::read_to_string(folder.join("channels.md")).unwrap();
    let rows = table.lines().map(|line| {
        let cells: Vec<&str> = line.split('|').collect();
        let head: Vec<&str> = table.lines().next().unwrap().split('|').collect();
        let is_seconds = |column: &usize| {
            head.get(*column)
                .is_some_and(|name| name.contains("s/trial"))
        };
        let kept = (0..cells.len()).filter(|column| !is_seconds(column));
        kept.map(|column| cells[column].trim())
            .collect::<Vec<_>>()
            .join("|")
    });
    (json, rows.collect::<Vec<_>>().join("\n"))
}

#[test]
fn parts_write_results_only_and_the_merge_writes_everything() {
    let (parts, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    run(whole.path(), &[]);
    let shown = run(parts.path(), &["--partition", "2/2"]);
    assert!(shown.contains("part 2/2 is complete"), "{shown}");
    assert_eq!(files(parts.path()), ["channels-trials.2-of-2.jsonl"]);

    // A report only prints.
    let output = command(parts.path(), &["--no-train"]).output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("part 1/2: 4 of 4 trials missing"), "{shown}");
    assert!(shown.contains("not run yet by part 1/2"), "{shown}");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("4 trials are missing"), "{stderr}");
    assert_eq!(files(parts.path()), ["channels-trials.2-of-2.jsonl"]);

    // As the first task of an array of two, counted from 0.
    let mut first = command(parts.path(), &["--partition", "auto/2"]);
    text(&first.env("JOB_COMPLETION_INDEX", "0").output().unwrap());
    let shown = run(parts.path(), &["--no-train"]);
    assert!(shown.contains("Highest mean test accuracy"), "{shown}");
    let shown = run(parts.path(), &[]);
    assert!(
        shown.contains("all 8 trials are on disk already"),
        "{shown}"
    );
    assert_eq!(results(parts.path()), results(whole.path()));
}

#[test]
fn a_report_without_results_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let output = command(folder.path(), &["--no-train"]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("no trial of this comparison is complete"),
        "{stderr}"
    );
}

fn terminate(child: &Child) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn a_part_that_is_terminated_exits_with_143_and_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("channels-trials.1-of-4.jsonl");
    let mut child = command(folder.path(), &["--partition", "1/4"])
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !file.exists() && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(100));
    terminate(&child);
    let asked = Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    println!(
        "ended {:.0} ms after SIGTERM",
        asked.elapsed().as_secs_f64() * 1e3
    );
    let checkpoints = folder.path().join("channels-trials.1-of-4.checkpoints");
    assert!(!files(&checkpoints).is_empty());
    run(folder.path(), &["--partition", "1/4"]);
    assert!(!checkpoints.exists());
}

#[test]
#[ignore = "long; .ci/run includes it"]
fn parts_that_are_killed_at_any_moment_end_with_the_results_of_one_process() {
    let kills = std::env::var("LENET_KILLED_PARTS").map_or(KILLED_PARTS, |n| n.parse().unwrap());
    let (parts, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let begun = Instant::now();
    run(whole.path(), &[]);
    let seconds = begun.elapsed().as_secs_f64();

    let start = |part: usize| {
        let part = format!("{part}/4");
        command(parts.path(), &["--partition", &part])
            .spawn()
            .unwrap()
    };
    let mut children: Vec<Child> = (1..=4).map(start).collect();
    // The fractional parts of multiples of the golden ratio are distributed evenly.
    let moments = (1..).map(|n| (f64::from(n) * 0.618_034).fract());
    let (mut killed, mut alive) = (0, 0);
    for (number, moment) in (0..kills).zip(moments) {
        std::thread::sleep(Duration::from_secs_f64(moment * seconds / 8.0));
        let part = number % children.len();
        alive += usize::from(children[part].try_wait().unwrap().is_none());
        children[part].kill().unwrap();
        children[part].wait().unwrap();
        killed += 1;
        children[part] = start(part + 1);
    }
    println!("{killed} kills, {alive} of parts that were running");
    assert!(alive > 0);
    for child in children {
        text(&child.wait_with_output().unwrap());
    }
    let shown = run(parts.path(), &[]);
    assert!(
        shown.contains("all 8 trials are on disk already"),
        "{shown}"
    );
    assert_eq!(results(parts.path()), results(whole.path()));
}
