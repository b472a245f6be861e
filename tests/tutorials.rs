//! Runs the self-contained examples in an empty directory, without network access or data.

use tempfile::TempDir;

use crate::support::{example, files};

/// Runs an example and checks what it prints and which files it leaves.
fn run(name: &str, expected: &[&str], left: &[&str]) {
    let folder = TempDir::new().unwrap();
    let run = example(name, folder.path()).assert().success();
    let shown = String::from_utf8(run.get_output().stdout.clone()).unwrap();
    for expected in expected {
        assert!(
            shown.contains(expected),
            "{name}: '{expected}' is not in:\n{shown}"
        );
    }
    assert_eq!(files(folder.path()), left, "{name}");
}

/// The number after the last occurrence of `text`.
fn last_number(shown: &str, text: &str) -> f64 {
    let (_, rest) = shown.rsplit_once(text).unwrap();
    rest.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn quickstart() {
    run(
        "quickstart",
        &[
            "synthetic garments",
            "61,706",
            "epoch 3/3",
            "test accuracy 0.",
        ],
        &["quickstart.safetensors"],
    );
}

#[test]
fn own_loop_trains() {
    let folder = TempDir::new().unwrap();
    let run = example("own_loop", folder.path()).assert().success();
    let shown = String::from_utf8(run.get_output().stdout.clone()).unwrap();
    assert!(last_number(&shown, "test accuracy ") > 0.4, "{shown}");
    assert_eq!(files(folder.path()), [""; 0]);
}

#[test]
fn sweep() {
    run(
        "sweep",
        &["kernel size", "6/6", "Highest mean test accuracy"],
        &["sweep.jsonl", "sweep.png"],
    );
}

#[test]
fn activations() {
    run(
        "activations",
        &["conv1.activation", "dense3"],
        &["activations.png"],
    );
}

#[test]
fn predict_prints_three_classes_for_each_digit() {
    let folder = TempDir::new().unwrap();
    let run = example("predict", folder.path()).assert().success();
    let shown = String::from_utf8(run.get_output().stdout.clone()).unwrap();
    assert_eq!(shown.lines().count(), 3, "{shown}");
    for line in shown.lines() {
        let words: Vec<f64> = line
            .split_whitespace()
            .map(|word| word.parse().unwrap())
            .collect();
        let probabilities: Vec<f64> = words.iter().skip(1).step_by(2).copied().collect();
        assert_eq!(probabilities.len(), 3, "{shown}");
        assert!(probabilities.is_sorted_by(|a, b| a >= b), "{shown}");
        assert!(probabilities.iter().sum::<f64>() <= 1.002, "{shown}");
    }
}

#[cfg(feature = "learner")]
#[test]
fn burn_learner_trains_the_network_both_ways() {
    let folder = TempDir::new().unwrap();
    // The second run starts from scratch beside the files of the first.
    for _ in 0..2 {
        let run = example("burn_learner", folder.path())
            .env("EPOCHS", "2")
            .assert()
            .success();
        let shown = String::from_utf8(run.get_output().stdout.clone()).unwrap();
        for name in ["burn's Learner ", "lenet-train "] {
            assert!(last_number(&shown, name) > 0.3, "{name}: {shown}");
        }
    }
}
