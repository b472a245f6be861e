//! The examples as their users run them: as processes, on drawings and on bad input.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use lenet::core::LeNetConfig;
use tempfile::TempDir;

const EXAMPLES: [&str; 2] = ["lenet", "q1_modern"];

/// `cargo test` puts examples beside the folder of its test binaries.
fn binary(example: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples")
        .join(example);
    assert!(
        path.is_file(),
        "{} is missing: run `cargo build --release --examples`",
        path.display()
    );
    path
}

/// The example in an empty folder, without network, data or cache.
fn example(example: &str, folder: &Path) -> Command {
    let mut command = Command::new(binary(example));
    command
        .current_dir(folder)
        .env_remove("LENET_DATA_DIR")
        .env("LENET_OFFLINE", "1")
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .env("HOME", folder);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn stdout(assert: &Assert) -> String {
    text(&assert.get_output().stdout)
}

fn stderr(assert: &Assert) -> String {
    text(&assert.get_output().stderr)
}

/// The number after `test accuracy` at the start of a line.
fn test_accuracy(stdout: &str) -> f64 {
    let line = stdout
        .lines()
        .find_map(|line| line.strip_prefix("test accuracy "));
    line.and_then(|line| line.split(',').next())
        .unwrap()
        .parse()
        .unwrap()
}

fn files(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return vec![];
    };
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn each_example_trains_and_leaves_its_files() {
    for name in EXAMPLES {
        let folder = TempDir::new().unwrap();
        let run = example(name, folder.path())
            .args([
                "--dataset",
                "synthetic",
                "--quick",
                "--epochs",
                "1",
                "--device",
                "flex",
            ])
            .assert()
            .success();
        let shown = stdout(&run);
        for expected in [
            "Flex (CPU)",
            "conv1.activation",
            "61,706",
            "epoch 1/1  loss",
            "quick",
        ] {
            assert!(
                shown.contains(expected),
                "{name}: '{expected}' is not in:\n{shown}"
            );
        }
        assert!(shown.matches("synthetic").count() >= 3, "{shown}");
        let accuracy = test_accuracy(&shown);

        let out = folder.path().join("out").join(name);
        assert_eq!(
            files(&out),
            [
                "loss.png",
                "loss.svg",
                "metrics.jsonl",
                "weights.safetensors"
            ]
        );
        let svg = std::fs::read_to_string(out.join("loss.svg")).unwrap();
        assert!(svg.contains(&format!("test accuracy {accuracy:.3}")));
        assert!(svg.contains("not a real data set"));
        let metrics = std::fs::read_to_string(out.join("metrics.jsonl")).unwrap();
        let last: serde_json::Value =
            serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
        assert!((last["accuracy"].as_f64().unwrap() - accuracy).abs() < 1e-4);
        let config = match name {
            "lenet" => LeNetConfig::classic(10),
            _ => LeNetConfig::modern(10),
        };
        let lenet = config.init(&burn::tensor::Device::flex(), 5).unwrap();
        lenet
            .load_safetensors(out.join("weights.safetensors"))
            .unwrap();
    }
}

#[test]
fn without_data_it_says_so_and_trains_on_drawings() {
    let folder = TempDir::new().unwrap();
    let run = example("q1_modern", folder.path())
        .args(["--quick", "--epochs", "1"])
        .assert();
    let run = run.success();
    let told = stderr(&run);
    for expected in [
        "fashion-mnist was not found",
        "LENET_OFFLINE is set",
        "drawings of garments",
    ] {
        assert!(told.contains(expected), "'{expected}' is not in:\n{told}");
    }
    assert!(stdout(&run).contains("modern LeNet on synthetic garments"));
}

#[test]
fn the_real_set_is_required_when_named() {
    let folder = TempDir::new().unwrap();
    let run = example("lenet", folder.path())
        .args(["--dataset", "fashion-mnist", "--data-dir", "elsewhere"])
        .assert()
        .code(1);
    let told = stderr(&run);
    for expected in [
        "elsewhere",
        "datasets/fashion-mnist",
        "cache/lenet/fashion-mnist",
        "--data-dir",
    ] {
        assert!(told.contains(expected), "'{expected}' is not in:\n{told}");
    }
    assert_eq!(stdout(&run), "");
}

#[test]
fn wrong_usage_exits_with_2_and_names_the_choices() {
    let cases: [(&[&str], &str); 10] = [
        (
            &["--device", "tpu"],
            "this build has auto, flex, wgpu, ndarray",
        ),
        (&["--device", "vulkan"], "rebuild with `--features vulkan`"),
        (
            &["--dataset", "cifar"],
            "fashion-mnist, mnist, kmnist, synthetic, synthetic-digits",
        ),
        (&["--epochs", "0"], "must be at least 1"),
        (&["--batch-size", "0"], "must be at least 1"),
        (&["--lr", "-0.1"], "must be finite and above 0"),
        (&["--lr", "nan"], "must be finite and above 0"),
        (&["--lr", "inf"], "must be finite and above 0"),
        (&["--seed", "-1"], "unexpected argument"),
        (&["--epoch", "3"], "--epochs"),
    ];
    let folder = TempDir::new().unwrap();
    for (arguments, expected) in cases {
        let run = example("lenet", folder.path())
            .args(arguments)
            .assert()
            .code(2);
        let told = stderr(&run);
        assert!(
            told.contains(expected),
            "{arguments:?}: '{expected}' is not in:\n{told}"
        );
    }
    assert_eq!(files(folder.path()), [""; 0], "nothing was written");
    let help = stdout(
        &example("lenet", folder.path())
            .arg("--help")
            .assert()
            .success(),
    );
    for flag in [
        "--device",
        "--dataset",
        "--data-dir",
        "--epochs",
        "--batch-size",
        "--lr",
        "--seed",
        "--out",
        "--quick",
    ] {
        assert!(help.contains(flag), "{flag} is not in:\n{help}");
    }
}

#[test]
fn a_run_that_fails_leaves_older_files_as_they_were() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    for name in [
        "loss.png",
        "loss.svg",
        "metrics.jsonl",
        "weights.safetensors",
    ] {
        std::fs::write(out.join(name), "old").unwrap();
    }
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    for name in [
        "train-images-idx3",
        "train-labels-idx1",
        "t10k-images-idx3",
        "t10k-labels-idx1",
    ] {
        std::fs::write(
            data.join(format!("{name}-ubyte")),
            b"\0\0\x08\x01\0\0\0\x05abc",
        )
        .unwrap();
    }
    let cases: [(&[&str], &str); 2] = [
        (
            &["--dataset", "mnist", "--data-dir", "data"],
            "truncated: the header promises shape [5] of u8",
        ),
        (
            &["--dataset", "synthetic", "--quick", "--lr", "1e9"],
            "training diverged",
        ),
    ];
    for (arguments, expected) in cases {
        let run = example("q1_modern", folder.path())
            .args(arguments)
            .args(["--out", "out", "--device", "flex"])
            .assert()
            .code(1);
        assert!(stderr(&run).contains(expected), "{}", stderr(&run));
        assert!(!stderr(&run).contains("panicked"));
        assert_eq!(files(&out).len(), 4, "nothing new is left");
        for name in files(&out) {
            assert_eq!(std::fs::read(out.join(&name)).unwrap(), b"old", "{name}");
        }
    }
}

#[test]
fn an_unwritable_folder_is_told_before_training() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("file"), b"").unwrap();
    let run = example("lenet", folder.path())
        .args(["--dataset", "synthetic", "--out", "file/out"])
        .assert()
        .code(1);
    assert!(
        stderr(&run).contains("cannot write to the output folder file/out"),
        "{}",
        stderr(&run)
    );
    assert_eq!(stdout(&run), "");
}

/// No Vulkan driver, no display: an error that names the way out, if there is no other adapter.
#[test]
fn a_missing_gpu_is_an_error_and_not_a_panic() {
    let folder = TempDir::new().unwrap();
    let run = example("lenet", folder.path())
        .args([
            "--device",
            "wgpu",
            "--dataset",
            "synthetic",
            "--quick",
            "--lr",
            "1e9",
        ])
        .env("VK_DRIVER_FILES", "none")
        .env("VK_ICD_FILENAMES", "none")
        .assert()
        .code(1);
    let told = stderr(&run);
    assert!(
        told.contains("no wgpu device on this machine") || told.contains("diverged"),
        "{told}"
    );
    assert!(!told.contains("panicked"), "{told}");
}

/// With the real set at hand, one epoch already tells garments apart.
#[test]
fn fashion_mnist_is_learnt() {
    let Some(data) = std::env::var_os("LENET_DATA_DIR") else {
        println!("not tested: LENET_DATA_DIR is not set");
        return;
    };
    let data = std::path::absolute(Path::new(&data)).unwrap();
    let folder = TempDir::new().unwrap();
    let run = example("q1_modern", folder.path())
        .args([
            "--dataset",
            "fashion-mnist",
            "--epochs",
            "1",
            "--device",
            "flex",
        ])
        .arg("--data-dir")
        .arg(data)
        .assert()
        .success();
    let shown = stdout(&run);
    assert!(!shown.contains("synthetic"));
    assert!((0.7..0.95).contains(&test_accuracy(&shown)), "{shown}");
}
