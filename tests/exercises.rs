//! The exercises as users run them: as processes, on synthetic images and with invalid input.

use std::path::Path;

use crate::support::{example, example_path, files, lenet, quick};
use assert_cmd::assert::Assert;
use lenet::core::{LeNetConfig, Weights};
use serde_json::Value;
use tempfile::TempDir;

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

#[test]
fn each_network_is_trained_and_leaves_its_files() {
    for (name, config) in [
        ("lenet", LeNetConfig::classic(10)),
        ("q1_modern", LeNetConfig::modern(10)),
    ] {
        let folder = TempDir::new().unwrap();
        let run = quick(name, folder.path()).args(["--epochs", "1"]).assert();
        let shown = stdout(&run.success());
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

        let out = folder.path().join("out/quick").join(name);
        assert_eq!(
            files(&out),
            [
                "loss.png",
                "loss.svg",
                "metrics.jsonl",
                "section.json",
                "weights.safetensors"
            ]
        );
        let svg = std::fs::read_to_string(out.join("loss.svg")).unwrap();
        assert!(svg.contains(&format!("test accuracy {accuracy:.3}")));
        assert!(svg.contains("not a real data set"));
        let metrics = std::fs::read_to_string(out.join("metrics.jsonl")).unwrap();
        let last: Value = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
        assert!((last["accuracy"].as_f64().unwrap() - accuracy).abs() < 1e-4);
        let untrained = config.init(&burn::tensor::Device::flex(), 5).unwrap();
        let weights = Weights::open(out.join("weights.safetensors")).unwrap();
        untrained.load_weights(weights).unwrap();
    }
}

#[test]
fn without_data_it_says_so_and_trains_on_synthetic_images() {
    let folder = TempDir::new().unwrap();
    let run = example("q1_modern", folder.path())
        .args(["--quick", "--epochs", "1"])
        .assert();
    let run = run.success();
    let message = stderr(&run);
    for expected in [
        "fashion-mnist was not found",
        "LENET_OFFLINE is set",
        "Training on synthetic images",
    ] {
        assert!(
            message.contains(expected),
            "'{expected}' is not in:\n{message}"
        );
    }
    assert!(stdout(&run).contains("synthetic garments: 12800 for training"));
}

#[test]
fn the_real_set_is_required_when_named() {
    let folder = TempDir::new().unwrap();
    let run = example("lenet", folder.path())
        .args(["--dataset", "fashion-mnist", "--data-dir", "elsewhere"])
        .assert()
        .code(1);
    let message = stderr(&run);
    for expected in [
        "elsewhere",
        "datasets/fashion-mnist",
        "cache/lenet/fashion-mnist",
        "--data-dir",
    ] {
        assert!(
            message.contains(expected),
            "'{expected}' is not in:\n{message}"
        );
    }
    assert_eq!(stdout(&run), "");
}

#[test]
fn wrong_usage_exits_with_2_and_names_the_choices() {
    let cases: [(&[&str], &str); 10] = [
        (&["--device", "tpu"], "this build has auto, flex"),
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
        let message = stderr(&run);
        assert!(
            message.contains(expected),
            "{arguments:?}: '{expected}' is not in:\n{message}"
        );
    }
    assert_eq!(files(folder.path()), [""; 0], "files were written");
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
    let run = example("q2_kernel", folder.path())
        .args(["--seeds", "0"])
        .assert();
    assert!(stderr(&run.code(2)).contains("must be at least 1"));
    let polarity = ["--polarity", "grey", "--image", "x"];
    let run = example("q5_unfamiliar", folder.path())
        .args(polarity)
        .assert();
    assert!(stderr(&run.code(2)).contains("light-on-dark"));
}

#[test]
fn a_failed_run_leaves_older_files_as_they_were() {
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
        assert_eq!(files(&out).len(), 4, "the failed run left new files");
        for name in files(&out) {
            assert_eq!(std::fs::read(out.join(&name)).unwrap(), b"old", "{name}");
        }
    }
}

#[test]
fn an_unwritable_directory_is_reported_before_training() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("file"), b"").unwrap();
    let run = example("lenet", folder.path())
        .args(["--dataset", "synthetic", "--out", "file/out"])
        .assert()
        .code(1);
    assert!(
        stderr(&run).contains("cannot write to the output directory file/out"),
        "{}",
        stderr(&run)
    );
    assert_eq!(stdout(&run), "");
}

/// Without a Vulkan driver, and if there is no other adapter, the error names an alternative.
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
        .assert();
    if cfg!(not(feature = "wgpu")) {
        let message = stderr(&run.code(2));
        assert!(
            message.contains("rebuild with `--features wgpu`"),
            "{message}"
        );
        return;
    }
    let message = stderr(&run.code(1));
    assert!(
        message.contains("no wgpu device on this machine") || message.contains("diverged"),
        "{message}"
    );
    assert!(!message.contains("panicked"), "{message}");
}

#[test]
fn fashion_mnist_is_recognised_after_an_epoch() {
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

/// The finished trials in a file, without its header and without a line that is still being written.
fn finished(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .skip(1)
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_killed_sweep_resumes_where_it_stopped() {
    let folder = TempDir::new().unwrap();
    let arguments = |out: &str| {
        let fixed = "--dataset synthetic --quick --epochs 1 --seeds 2 --jobs 1 --device flex --out";
        let fixed = fixed.split(' ').map(str::to_owned);
        fixed.chain([out.to_owned()]).collect::<Vec<_>>()
    };
    let whole = example("q2_kernel", folder.path())
        .args(arguments("whole"))
        .assert()
        .success();

    let file = folder.path().join("killed/kernel-trials.jsonl");
    let mut kills = 0;
    for wanted in [2, 5, 8] {
        let mut child = std::process::Command::new(example_path("q2_kernel"))
            .args(arguments("killed"))
            .current_dir(folder.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        while finished(&file).len() < wanted && child.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        // This is SIGKILL on Unix.
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            kills += 1;
        }
        child.wait().unwrap();
    }
    assert_eq!(kills, 3, "the machine is too fast for this test");
    let before = finished(&file).len();
    let resumed = example("q2_kernel", folder.path())
        .args(arguments("killed"))
        .assert()
        .success();
    let shown = stdout(&resumed);
    let expected = format!("{before} of 10 trials are on disk already");
    assert!(
        shown.contains(&expected),
        "'{expected}' is not in:\n{shown}"
    );

    let trials = finished(&file);
    let mut pairs: Vec<String> = trials
        .iter()
        .map(|trial| format!("{} {}", trial["label"], trial["seed"]))
        .collect();
    pairs.sort();
    pairs.dedup();
    assert_eq!(
        (trials.len(), pairs.len()),
        (10, 10),
        "trials are missing or duplicated"
    );
    // The tables are equal except for the seconds in the last column.
    let table = |shown: &str| -> Vec<String> {
        let lines = shown
            .lines()
            .skip_while(|line| !line.starts_with(" kernel size"));
        lines
            .take(6)
            .map(|line| {
                line.trim_end()
                    .rsplit_once(' ')
                    .unwrap()
                    .0
                    .trim_end()
                    .to_owned()
            })
            .collect()
    };
    assert_eq!(table(&stdout(&whole)), table(&shown));
    assert_eq!(table(&shown).len(), 6);
}

#[test]
fn a_diverging_rate_is_a_row() {
    let folder = TempDir::new().unwrap();
    let run = quick("q2_learning_rate", folder.path())
        .args(["--epochs", "1", "--seeds", "1", "--lr", "1e9"])
        .assert()
        .success();
    let shown = stdout(&run);
    assert!(shown.contains("1000000000"), "{shown}");
    assert!(
        shown.contains("0/1") && shown.contains("training diverged"),
        "{shown}"
    );
    let svg = folder
        .path()
        .join("out/quick/q2_learning_rate/learning_rate.svg");
    assert!(std::fs::read_to_string(svg).unwrap().contains("no result"));
}

/// The report must not show charts of one run beside tables of another.
#[test]
fn a_chart_that_cannot_be_written_leaves_no_section_of_an_earlier_run() {
    let folder = TempDir::new().unwrap();
    let run = || {
        let mut command = quick("q3_mnist", folder.path());
        command.args(["--epochs", "1", "--seeds", "1", "--out", "out"]);
        command.assert()
    };
    run().success();
    let out = folder.path().join("out");
    std::fs::remove_file(out.join("rates-epochs.png")).unwrap();
    std::fs::create_dir_all(out.join("rates-epochs.png/in the way")).unwrap();
    let failed = run().code(1);
    assert!(stderr(&failed).contains("rates-epochs.png"));
    assert!(!out.join("section.json").exists());
    assert!(out.join("rates.csv").is_file());

    std::fs::remove_dir_all(out.join("rates-epochs.png")).unwrap();
    run().success();
    assert!(out.join("section.json").is_file());
}

#[test]
fn another_configuration_is_refused() {
    let folder = TempDir::new().unwrap();
    let run = |epochs: &str, more: &[&str]| {
        quick("q2_fc_layers", folder.path())
            .args(["--epochs", epochs])
            .args(more)
            .assert()
    };
    run("1", &["--seeds", "1"]).success();
    let message = stderr(&run("2", &["--seeds", "1"]).code(1));
    for expected in [
        "results of another sweep",
        "epochs: 1 in the file, 2 now",
        "remove the file",
    ] {
        assert!(
            message.contains(expected),
            "'{expected}' is not in:\n{message}"
        );
    }

    // So is another kind of device, unless `--mixed-devices` allows it.
    let file = folder
        .path()
        .join("out/quick/q2_fc_layers/fc_layers-trials.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    let elsewhere = text.replace("\"device\":\"flex\"", "\"device\":\"wgpu\"");
    std::fs::write(&file, elsewhere).unwrap();
    let message = stderr(&run("1", &["--seeds", "2"]).code(1));
    assert!(message.contains("--mixed-devices"), "{message}");
    let mixed = run("1", &["--seeds", "2", "--mixed-devices"]).success();
    assert!(stdout(&mixed).contains("flex, wgpu"), "{}", stdout(&mixed));
}

/// A PNG that claims a size but contains no pixels.
fn bomb(width: u32, height: u32) -> Vec<u8> {
    let mut header = b"IHDR".to_vec();
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    header.extend([8, 0, 0, 0, 0]);
    let mut crc = flate2::Crc::new();
    crc.update(&header);
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    png.extend(header);
    png.extend(crc.sum().to_be_bytes());
    png.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
    png
}

#[test]
fn pictures_of_the_user_are_classified() {
    let folder = TempDir::new().unwrap();
    let white = image::GrayImage::from_fn(60, 40, |x, y| {
        let dark = (20..40).contains(&x) && (10..30).contains(&y);
        image::Luma([if dark { 20 } else { 250 }])
    });
    white.save(folder.path().join("square.png")).unwrap();
    std::fs::write(folder.path().join("bomb.png"), bomb(60_000, 60_000)).unwrap();
    std::fs::write(folder.path().join("letter.jpg"), "Dear Sir").unwrap();
    let q5 = |images: &[&str]| {
        let mut command = quick("q5_unfamiliar", folder.path());
        command
            .args(["--epochs", "1", "--image"])
            .args(images)
            .assert()
    };
    let run = q5(&["square.png"]).success();
    let shown = stdout(&run);
    assert!(
        shown.contains("square.png: read as dark on light"),
        "{shown}"
    );
    assert!(
        shown.lines().any(|line| line.starts_with(" square.png")),
        "{shown}"
    );
    for (images, expected) in [
        (
            &["square.png", "bomb.png"][..],
            "bomb.png has 60000×60000 pixels",
        ),
        (&["letter.jpg"], "letter.jpg is not a readable picture"),
        (&["none.png"], "none.png"),
        (&["."], "directory"),
    ] {
        let message = stderr(&q5(images).code(1));
        assert!(
            message.contains(expected),
            "'{expected}' is not in:\n{message}"
        );
        assert!(!message.contains("panicked"), "{message}");
    }
}

/// The weights of the classic network have the same shapes, but a different activation and pooling.
#[test]
fn weights_of_a_different_network_are_refused() {
    let folder = TempDir::new().unwrap();
    let flex = burn::tensor::Device::flex();
    let classic = LeNetConfig::classic(10).init(&flex, 0).unwrap();
    let path = folder.path().join("classic.safetensors");
    classic.save_safetensors(&path).unwrap();
    let run = quick("q4_activations", folder.path())
        .arg("--weights")
        .arg(&path)
        .assert()
        .code(1);
    let message = stderr(&run);
    assert!(
        message.contains("expected activation relu, found sigmoid"),
        "{message}"
    );
}

#[test]
fn digits_have_no_coats() {
    let folder = TempDir::new().unwrap();
    let run = example("q4_activations", folder.path())
        .args([
            "--dataset",
            "synthetic-digits",
            "--quick",
            "--device",
            "flex",
        ])
        .assert();
    assert!(stderr(&run.code(1)).contains("synthetic digits has no class 'coat'"));
}

#[test]
fn training_takes_any_network() {
    let folder = TempDir::new().unwrap();
    let run = lenet(folder.path())
        .args([
            "train",
            "--quick",
            "--device",
            "flex",
            "--dataset",
            "synthetic",
        ])
        .args([
            "--network",
            "classic",
            "--kernel-size",
            "5,3",
            "--padding",
            "1",
        ])
        .args([
            "--out-channels",
            "4,8",
            "--hidden-dims",
            "30",
            "--epochs",
            "1",
            "--out",
            "out",
        ])
        .assert()
        .success();
    assert!(stdout(&run).contains("convolution 3×3, padding 1"));
    let weights = Weights::open(folder.path().join("out/weights.safetensors")).unwrap();
    let config = LeNetConfig::classic(10)
        .with_kernel_size([5, 3])
        .with_padding(1)
        .with_out_channels([4, 8])
        .with_hidden_dims([30]);
    assert_eq!(weights.config().unwrap(), config);
    let run = lenet(folder.path())
        .args([
            "train",
            "--dataset",
            "synthetic",
            "--quick",
            "--kernel-size",
            "99",
        ])
        .assert()
        .code(1);
    assert!(stderr(&run).contains("does not fit"), "{}", stderr(&run));
}
