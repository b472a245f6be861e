//! `lenet predict` as users run it.

use std::path::{Path, PathBuf};

use crate::support::{files, lenet};
use burn::tensor::activation::softmax;
use lenet::core::{LeNetConfig, Pretrained};
use lenet::data::synthetic;
use serde_json::Value;
use tempfile::TempDir;

fn predict(folder: &Path) -> assert_cmd::Command {
    let mut command = lenet(folder);
    command.arg("predict");
    command
}

/// Saves generated digits as `0.png` to `9.png`, black on white as on paper.
fn digits(folder: &Path) -> Vec<PathBuf> {
    let digits = synthetic::digits(10, 0);
    let save = |index: usize| {
        let ink: Vec<u8> = digits
            .image(index)
            .unwrap()
            .iter()
            .map(|p| 255 - p)
            .collect();
        let picture = image::GrayImage::from_raw(28, 28, ink).unwrap();
        let path = folder.join(format!("{}.png", digits.labels()[index]));
        picture.save(&path).unwrap();
        path
    };
    (0..10).map(save).collect()
}

fn lines(stdout: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_folder_of_digits_is_read() {
    let folder = TempDir::new().unwrap();
    digits(folder.path());
    let mut command = predict(folder.path());
    let run = command.args([".", "--network", "mnist-modern", "--format", "json"]);
    let answers = lines(&run.assert().success().get_output().stdout);
    assert_eq!(answers.len(), 10);
    let mut right = 0;
    for answer in &answers {
        let classes = answer["classes"].as_array().unwrap();
        let probabilities: Vec<f64> = classes
            .iter()
            .map(|class| class["probability"].as_f64().unwrap())
            .collect();
        assert_eq!(probabilities.len(), 3);
        assert!(probabilities.is_sorted_by(|a, b| a >= b));
        let sum: f64 = probabilities.iter().sum();
        assert!((0.3..=1.0 + 1e-6).contains(&sum), "{sum}");
        let best = classes[0]["class"].as_str().unwrap();
        let picture = Path::new(answer["picture"].as_str().unwrap());
        right += usize::from(picture.file_stem().unwrap() == best);
    }
    assert!(
        right >= 6,
        "{right} of 10 generated digits recognised: {answers:?}"
    );
}

#[test]
fn standard_input_and_a_file_give_the_same() {
    let folder = TempDir::new().unwrap();
    let path = &digits(folder.path())[3];
    let answer = |argument: &Path, stdin: &[u8]| {
        let mut command = predict(folder.path());
        let command = command
            .arg(argument)
            .args(["--format", "json", "--top", "1"]);
        let run = command.write_stdin(stdin).assert().success();
        lines(&run.get_output().stdout).remove(0)["classes"].clone()
    };
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(answer(path, &[]), answer(Path::new("-"), &bytes));
}

#[test]
fn own_weights_are_used() {
    let folder = TempDir::new().unwrap();
    let picture = &digits(folder.path())[0];
    let config = LeNetConfig::tweakable(4).with_kernel_size(3);
    let own = config.init(&burn::tensor::Device::flex(), 0).unwrap();
    own.save_record(folder.path().join("own.bpk")).unwrap();
    let mut command = predict(folder.path());
    command.arg(picture).args(["--weights", "own.bpk"]);
    command.args(["--top", "4", "--format", "json"]);
    let answer = lines(&command.assert().success().get_output().stdout).remove(0);

    // The picture is black on white, so it is inverted into the image that was generated.
    let image = synthetic::digits(10, 0).batch(&[0], &burn::tensor::Device::flex());
    let expected = softmax(own.forward(image.images), 1).into_data();
    let expected = expected.try_into_vec::<f32>().unwrap();
    for class in answer["classes"].as_array().unwrap() {
        let name = class["class"].as_str().unwrap();
        let index: usize = name.strip_prefix("class ").unwrap().parse().unwrap();
        let found = class["probability"].as_f64().unwrap() as f32;
        assert!(
            (found - expected[index]).abs() < 1e-5,
            "{answer}: {expected:?}"
        );
    }
    assert_eq!(answer["classes"].as_array().unwrap().len(), 4);
}

#[test]
fn bad_input_is_reported_and_nothing_is_touched() {
    let folder = TempDir::new().unwrap();
    let good = digits(folder.path())[0].clone();
    std::fs::write(folder.path().join("noise.png"), b"not a picture").unwrap();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    std::fs::write(
        folder.path().join("cut.safetensors"),
        &Pretrained::MnistModern.safetensors()[..999],
    )
    .unwrap();
    let before = files(folder.path());
    let refused = |arguments: &[&str], expected: &str| {
        let run = predict(folder.path()).args(arguments).assert().code(1);
        let message = String::from_utf8(run.get_output().stderr.clone()).unwrap();
        assert!(
            message.starts_with("error: ") && message.contains(expected),
            "{message}"
        );
        run
    };
    // The readable picture is still classified.
    let run = refused(
        &["noise.png", good.to_str().unwrap()],
        "noise.png is not a readable picture",
    );
    let message = String::from_utf8(run.get_output().stderr.clone()).unwrap();
    assert!(
        message.contains("1 of 2 pictures could not be read"),
        "{message}"
    );
    assert!(!run.get_output().stdout.is_empty());
    refused(&["missing.png"], "missing.png");
    refused(&["empty"], "empty is a directory without files");
    let weights = ["0.png", "--weights"];
    refused(
        &[&weights[..], &["noise.png"]].concat(),
        "noise.png: not a weights file",
    );
    refused(
        &[&weights[..], &["cut.safetensors"]].concat(),
        "not a readable safetensors file",
    );
    assert_eq!(files(folder.path()), before);
}
