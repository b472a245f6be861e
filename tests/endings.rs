//! How runs end: what is written first, and that a closed standard output does not stop them.

use std::fs;
use std::io::{BufRead, BufReader};

use tempfile::TempDir;

use crate::support::{files, process, quick};

const SHORT: [&str; 9] = [
    "--dataset",
    "synthetic",
    "--quick",
    "--device",
    "flex",
    "--epochs",
    "2",
    "--out",
    "out",
];

/// Runs an example and closes its output after the first line that contains `text`, as `grep -m1` does.
fn until(name: &str, folder: &TempDir, arguments: &[&str], text: &str) {
    let arguments = [&SHORT[..], arguments].concat();
    let mut child = process(name, folder.path(), &arguments).spawn().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let found = stdout.lines().any(|line| line.unwrap().contains(text));
    assert!(found, "the output ended before '{text}'");
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && stderr.is_empty(),
        "{:?}: {stderr}",
        output.status
    );
}

#[test]
fn a_run_survives_a_closed_stdout() {
    let folder = TempDir::new().unwrap();
    until("q1_modern", &folder, &[], "epoch 1/2");
    assert_eq!(
        files(&folder.path().join("out")),
        [
            "loss.png",
            "loss.svg",
            "metrics.jsonl",
            "section.json",
            "weights.safetensors"
        ]
    );
}

#[test]
fn a_comparison_survives_a_closed_stdout() {
    let folder = TempDir::new().unwrap();
    until("q2_conv_layers", &folder, &["--seeds", "1"], "training ");
    let files = files(&folder.path().join("out"));
    for name in [
        "conv_layers-trials.jsonl",
        "conv_layers.csv",
        "conv_layers.json",
        "conv_layers.svg",
        "section.json",
    ] {
        assert!(
            files.contains(&name.to_owned()),
            "{name} is not in {files:?}"
        );
    }
}

#[test]
fn a_failed_picture_comes_after_weights_and_metrics() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("out");
    fs::create_dir_all(out.join("loss.png")).unwrap();
    let run = quick("q1_modern", folder.path())
        .args(["--epochs", "2", "--out", "out"])
        .assert()
        .code(1);
    let stderr = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
    assert!(stderr.contains("loss.png"), "{stderr}");
    assert_eq!(
        files(&out),
        ["loss.png", "metrics.jsonl", "weights.safetensors"]
    );
}
