//! Devices of other machines, here of another process: agreement with the local device, and what happens without a
//! server, without its token, and when it dies.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use image::{GrayImage, Luma};
use lenet::data::synthetic;
use safetensors::SafeTensors;
use serde_json::Value;

use crate::support::{files, lenet_process};

const TOKEN: &str = "a token for tests";

/// A server of this machine's CPU; killed when it is dropped.
struct Server {
    child: Child,
    /// As in `--device`.
    device: String,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let mut command = lenet_process(folder, &["serve-device", "--device", "flex"]);
        let mut child = command.env("LENET_REMOTE_TOKEN", TOKEN).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut lines = lines.map_while(Result::ok);
        let device = lines.find_map(|line| Some(line.split_once("--device ")?.1.to_owned()));
        let Some(device) = device else {
            panic!("the server printed no device")
        };
        Self { child, device }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command with the token, on this device.
fn on(device: &str, folder: &Path, arguments: &[&str]) -> Command {
    let arguments = [arguments, &["--device", device]].concat();
    let mut command = lenet_process(folder, &arguments);
    command.env("LENET_REMOTE_TOKEN", TOKEN);
    command
}

fn stdout(mut command: Command) -> String {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// The largest difference between two lists of numbers.
fn difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let pairs = a.iter().zip(b);
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn predictions_agree_with_those_of_the_local_device() {
    let folder = tempfile::tempdir().unwrap();
    let garments = synthetic::garments(8, 0);
    for index in 0..garments.len() {
        let pixels = garments.image(index).unwrap();
        let picture = GrayImage::from_fn(28, 28, |x, y| Luma([pixels[(28 * y + x) as usize]]));
        picture
            .save(folder.path().join(format!("{index}.png")))
            .unwrap();
    }
    let server = Server::start(folder.path());
    for network in [
        "fashion-mnist-classic",
        "fashion-mnist-modern",
        "mnist-classic",
        "mnist-modern",
    ] {
        let probabilities = |device: &str| -> Vec<f64> {
            let mut arguments = vec![
                "predict",
                "--network",
                network,
                "--format",
                "json",
                "--top",
                "10",
            ];
            let pictures: Vec<String> = (0..8).map(|index| format!("{index}.png")).collect();
            arguments.extend(pictures.iter().map(String::as_str));
            let text = stdout(on(device, folder.path(), &arguments));
            let lines = text
                .lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap());
            lines
                .flat_map(|picture| {
                    let classes = picture["classes"].as_array().unwrap().iter();
                    let by_class: BTreeMap<_, _> = classes
                        .map(|class| {
                            (
                                class["class"].to_string(),
                                class["probability"].as_f64().unwrap(),
                            )
                        })
                        .collect();
                    by_class.into_values()
                })
                .collect()
        };
        let (remote, local) = (probabilities(&server.device), probabilities("flex"));
        let difference = difference(&remote, &local);
        println!("{network}: {difference:e}");
        assert!(difference < 1e-4, "{network}: {difference}");
    }
}

/// The weights of a run, and the loss of each epoch.
fn results(folder: &Path) -> Vec<f64> {
    let bytes = fs::read(folder.join("weights.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut names = tensors.names();
    names.sort();
    let weights = names.into_iter().flat_map(|name| {
        let values = tensors.tensor(name).unwrap().data().to_vec();
        let (values, _) = values.as_chunks::<4>();
        values
            .iter()
            .map(|&bytes| f64::from(f32::from_le_bytes(bytes)))
            .collect::<Vec<_>>()
    });
    let log = fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    let losses = log.lines().filter_map(|line| {
        let event: Value = serde_json::from_str(line).unwrap();
        event["mean_loss"].as_f64()
    });
    weights.chain(losses).collect()
}

#[test]
fn a_training_step_agrees_with_that_of_the_local_device() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    for network in ["classic", "modern", "tweakable"] {
        let run = |device: &str, out: &str| {
            // One batch of all images: one step.
            let arguments = [
                "train",
                "--network",
                network,
                "--quick",
                "--dataset",
                "synthetic",
                "--epochs",
                "1",
                "--batch-size",
                "12800",
                "--out",
                out,
            ];
            stdout(on(device, folder.path(), &arguments));
            results(&folder.path().join(out))
        };
        let difference = difference(&run(&server.device, "remote"), &run("flex", "local"));
        println!("{network}: {difference:e}");
        assert!(difference < 1e-4, "{network}: {difference}");
    }
}

fn failure(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    stderr
}

#[test]
fn a_wrong_token_and_a_missing_server_are_errors_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let arguments = ["train", "--quick", "--dataset", "synthetic", "--out", "out"];
    for (token, expected) in [("", "asks for a token"), ("another", "refuses the token")] {
        let mut command = on(&server.device, folder.path(), &arguments);
        let output = command.env("LENET_REMOTE_TOKEN", token).output().unwrap();
        let stderr = failure(&output);
        assert!(stderr.contains(expected), "{stderr}");
        assert!(!stderr.contains("another"), "the token is secret: {stderr}");
    }
    let device = server.device.clone();
    drop(server);
    let stderr = failure(&on(&device, folder.path(), &arguments).output().unwrap());
    assert!(
        stderr.contains("is `lenet serve-device` running there?"),
        "{stderr}"
    );
}

#[test]
fn trials_whose_server_died_are_failed_rows_that_a_rerun_repeats() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "exercise",
        "q2-channels",
        "--quick",
        "--dataset",
        "synthetic",
        "--epochs",
        "1",
        "--seeds",
        "1",
        "--checkpoint-every",
        "20steps",
        // Larger steps amplify differences in the last digit: at 0.1, weights that differ by a millionth give losses
        // that differ by 0.3 after 30 steps.
        "--lr",
        "0.001",
        "--out",
    ];
    let remote = [&arguments[..], &["remote"]].concat();
    let server = Server::start(folder.path());
    let mut command = on(&server.device, folder.path(), &remote);
    let mut child = command.spawn().unwrap();
    // The second of four trials begins.
    let file = folder.path().join("remote/channels-trials.jsonl");
    let lines = || fs::read_to_string(&file).map_or(0, |text| text.lines().count());
    while lines() < 2 {
        assert!(
            child.try_wait().unwrap().is_none(),
            "the run ended before a trial did"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(server);
    let killed = Instant::now();
    let output = child.wait_with_output().unwrap();
    println!(
        "ended {:.1} s after its server was killed",
        killed.elapsed().as_secs_f64()
    );
    let stderr = failure(&output);
    assert!(stderr.contains("trials failed"), "{stderr}");
    assert!(stderr.lines().count() < 20, "too much to read:\n{stderr}");
    let rows = fs::read_to_string(&file).unwrap();
    let failed = rows
        .lines()
        .filter(|line| line.contains("\"status\":\"failed\""));
    for row in failed.clone() {
        assert!(row.contains("the remote device failed"), "{row}");
        assert!(!row.contains("\\n"), "more than a sentence: {row}");
    }
    assert!(!stderr.contains("panicked"), "{stderr}");
    assert!((1..=3).contains(&failed.count()), "{rows}");

    let server = Server::start(folder.path());
    stdout(on(&server.device, folder.path(), &remote));
    let json = fs::read_to_string(folder.path().join("remote/channels.json")).unwrap();
    let result: Value = serde_json::from_str(&json).unwrap();
    for setting in result["settings"].as_array().unwrap() {
        let trial = &setting["trials"][0];
        assert_eq!(trial["outcome"]["status"], "finished", "{trial}");
        assert_eq!(trial["device"], "remote");
    }

    let local = [&arguments[..], &["local"]].concat();
    stdout(on("flex", folder.path(), &local));
    let losses = |out: &str| {
        let path = folder.path().join(out).join("channels.json");
        let result: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let settings = result["settings"].as_array().unwrap().iter();
        let epochs = settings.map(|setting| &setting["trials"][0]["epochs"][0]);
        let losses = epochs.flat_map(|epoch| {
            ["mean_loss", "validation_loss"].map(|loss| epoch[loss].as_f64().unwrap())
        });
        losses.collect::<Vec<_>>()
    };
    let difference = difference(&losses("remote"), &losses("local"));
    println!("losses after the rerun: {difference:e}");
    assert!(difference < 1e-4, "{difference}");
}

#[test]
fn a_training_whose_server_is_stopped_ends_with_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let arguments = [
        "train",
        "--quick",
        "--dataset",
        "synthetic",
        "--epochs",
        "50",
        "--checkpoint-every",
        "10steps",
        "--out",
        "out",
    ];
    let mut child = on(&server.device, folder.path(), &arguments)
        .spawn()
        .unwrap();
    while files(&folder.path().join("out/checkpoints")).is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "the run ended early");
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = server.child.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert!(sent.success());
    let asked = Instant::now();
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    println!("the server ended in {:.2} s", asked.elapsed().as_secs_f64());
    let stderr = failure(&child.wait_with_output().unwrap());
    println!("its client in {:.2} s", asked.elapsed().as_secs_f64());
    assert!(stderr.contains("the remote device failed"), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[test]
fn a_server_keeps_its_id_and_listens_on_loopback() {
    let folder = tempfile::tempdir().unwrap();
    let ids = [0, 1].map(|_| {
        let server = Server::start(folder.path());
        let (id, address) = server.device.split_once('@').unwrap();
        assert!(address.starts_with("127.0.0.1:"), "{address}");
        id.to_owned()
    });
    assert_eq!(ids[0], ids[1]);
}

#[test]
fn a_remote_device_and_a_server_without_a_secret_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let remote = format!("remote:{}@127.0.0.1:1", "7f".repeat(32));
    for (device, token, expected) in [
        (&*remote, TOKEN, "a remote device cannot be served again"),
        ("flex", "", "LENET_REMOTE_TOKEN is empty"),
    ] {
        let mut command = on(device, folder.path(), &["serve-device"]);
        let output = command.env("LENET_REMOTE_TOKEN", token).output().unwrap();
        let stderr = failure(&output);
        assert!(stderr.contains(expected), "{stderr}");
    }
}
