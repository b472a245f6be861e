//! `lenet report` and `lenet pretrain` as users run them.

use std::path::Path;

use assert_cmd::assert::Assert;
use lenet::core::{LeNetConfig, Weights};
use lenet_cli::exercises;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{files, lenet};

fn stdout(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

fn stderr(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

fn json(path: impl AsRef<Path>) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The comparisons of each exercise, with the number of their settings.
const SWEEPS: [(&str, &str, usize); 10] = [
    ("q2_kernel", "kernel", 5),
    ("q2_channels", "channels", 4),
    ("q2_conv_layers", "conv_layers", 3),
    ("q2_fc_layers", "fc_layers", 4),
    ("q2_learning_rate", "learning_rate", 4),
    ("q2_training", "initialization", 5),
    ("q2_training", "epochs", 1),
    ("q2_training", "schedule", 4),
    ("q2_best", "recipes", 6),
    ("q3_mnist", "rates", 2),
];

/// The blocks of one kind in the section of an exercise.
fn blocks(folder: &Path, kind: &str) -> Vec<Value> {
    let section = json(folder.join("section.json"));
    let blocks = section["blocks"].as_array().unwrap().iter();
    blocks
        .filter_map(|block| block.get(kind))
        .cloned()
        .collect()
}

fn rows(table: &Value) -> Vec<Vec<String>> {
    serde_json::from_value(table["rows"].clone()).unwrap()
}

/// Runs every exercise once, and checks what each writes and what the page shows.
#[test]
fn the_report_runs_every_exercise() {
    let folder = TempDir::new().unwrap();
    let report = |arguments: &[&str]| {
        let mut command = lenet(folder.path());
        command.args([
            "report",
            "--synthetic",
            "--quick",
            "--device",
            "flex",
            "--seeds",
            "1",
        ]);
        command.args(arguments).assert().success()
    };
    let shown = stdout(&report(&[]));
    let root = folder.path().join("out/quick");
    let page = std::fs::read_to_string(root.join("report.html")).unwrap();

    for (exercise, sweep, settings) in SWEEPS {
        let folder = root.join(exercise);
        let files = files(&folder);
        for ending in [
            "-epochs.png",
            "-epochs.svg",
            "-trials.jsonl",
            ".csv",
            ".json",
            ".md",
            ".png",
            ".svg",
        ] {
            let file = format!("{sweep}{ending}");
            assert!(files.contains(&file), "{file} is not in {files:?}");
        }
        let result = json(folder.join(format!("{sweep}.json")));
        assert!(
            blocks(&folder, "sweep").contains(&result),
            "{sweep} is not in the section"
        );
        let csv = std::fs::read_to_string(folder.join(format!("{sweep}.csv"))).unwrap();
        let markdown = std::fs::read_to_string(folder.join(format!("{sweep}.md"))).unwrap();
        let found = result["settings"].as_array().unwrap();
        assert_eq!(found.len(), settings, "{sweep}");
        for setting in found {
            let label = setting["label"].as_str().unwrap();
            let last = &setting["trials"][0]["epochs"][1]["validation_accuracy"];
            let accuracy = last.as_f64().unwrap();
            assert!(
                (0.05..1.0).contains(&accuracy),
                "{sweep}, {label}: {accuracy}"
            );
            // The console, the files and the page show the same number.
            let rounded = format!("{accuracy:.4}");
            let has_row = |text: &str| {
                text.lines()
                    .any(|line| line.contains(label) && line.contains(&rounded))
            };
            assert!(
                has_row(&shown),
                "{sweep}: {label} {rounded} is not in:\n{shown}"
            );
            assert!(
                has_row(&markdown),
                "{sweep}: {label} {rounded} is not in:\n{markdown}"
            );
            assert!(
                page.contains(&format!("<td>{label}</td>"))
                    && page.contains(&format!(">{rounded}</td>")),
                "{sweep}: {label} {rounded}"
            );
            assert!(csv.contains(&accuracy.to_string()), "{csv}");
        }
    }

    // The best recipe is chosen on validation images and tested once.
    let best = root.join("q2_best");
    let recipes = json(best.join("recipes.json"));
    assert_eq!(recipes["held_out"], "validation");
    let settings = recipes["settings"].as_array().unwrap();
    assert_eq!(settings.len(), 6);
    let accuracy =
        |setting: &Value| setting["trials"][0]["epochs"][1]["validation_accuracy"].as_f64();
    let chosen = settings
        .iter()
        .max_by(|a, b| accuracy(a).partial_cmp(&accuracy(b)).unwrap())
        .unwrap();
    let heading = format!(
        "{}: trained on all images, tested once",
        chosen["label"].as_str().unwrap()
    );
    assert!(shown.contains(&heading), "'{heading}' is not in:\n{shown}");
    assert!(best.join("weights.safetensors").is_file());
    let evaluation = &blocks(&best, "evaluation")[0];
    let rounded = format!("{:.4}", evaluation["accuracy"].as_f64().unwrap());
    assert!(
        page.contains(&format!("Test accuracy {rounded}")),
        "{rounded}"
    );

    // Activations: a figure for each layer, and tables of channels and of kinds of images.
    for name in ["q4_activations", "q5_unfamiliar"] {
        for layer in ["layer1.png", "layer2.png"] {
            let picture = image::open(root.join(name).join(layer)).unwrap();
            assert!(
                picture.width() > 1000 && picture.height() > 600,
                "{name} {layer}"
            );
        }
    }
    let channels = blocks(&root.join("q4_activations"), "table");
    assert_eq!(channels.len(), 2);
    for table in &channels {
        let effects: Vec<f64> = rows(table)
            .iter()
            .map(|row| row[3].parse().unwrap())
            .collect();
        assert!(
            effects.is_sorted_by(|a, b| a.abs() >= b.abs()),
            "{effects:?}"
        );
    }
    let kinds = rows(&blocks(&root.join("q5_unfamiliar"), "table")[0]);
    let names: Vec<&str> = kinds.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(
        names,
        [
            "test images",
            "cat",
            "car",
            "digit",
            "uniform noise",
            "normal noise"
        ]
    );
    for row in kinds {
        let [confidence, entropy]: [f64; 2] = [4, 5].map(|column| row[column].parse().unwrap());
        assert!(
            (0.1..=1.0).contains(&confidence) && (0.0..=2.303).contains(&entropy),
            "{row:?}"
        );
    }

    // The page contains everything and needs nothing else.
    for exercise in exercises::ALL {
        let heading = format!("<h2>{}</h2>", exercise.title());
        assert!(page.contains(&heading), "'{heading}' is not in the page");
    }
    for expected in ["A quick run", "not a real data set", "width=device-width"] {
        assert!(page.contains(expected), "'{expected}' is not in the page");
    }
    assert_eq!(page.matches("<section id=").count(), exercises::ALL.len());
    assert!(page.matches("src=\"data:image/").count() >= 24);
    assert!(!page.contains("src=\"http") && !page.contains("<script"));

    // A second report trains nothing.
    let again = stdout(&report(&[]));
    assert!(
        again.contains("every exercise is on disk already"),
        "{again}"
    );
    std::fs::remove_dir_all(root.join("q3_mnist")).unwrap();
    let collected = stdout(&report(&["--collect"]));
    assert!(collected.contains("Not run yet: q3_mnist"), "{collected}");
    let mixed = lenet(folder.path())
        .args(["report", "--collect", "--out", "out/quick"])
        .assert()
        .code(1);
    let message = stderr(&mixed);
    assert!(
        message.contains("holds a quick run, not a full one"),
        "{message}"
    );
}

#[test]
fn an_empty_directory_has_no_report() {
    let folder = TempDir::new().unwrap();
    let run = lenet(folder.path()).args(["report", "--collect"]).assert();
    assert!(stderr(&run.code(1)).contains("out holds no results of any exercise"));
}

#[test]
fn pretraining_writes_weights_and_a_model_card() {
    let folder = TempDir::new().unwrap();
    let run = lenet(folder.path())
        .args([
            "pretrain",
            "--dataset",
            "synthetic",
            "--quick",
            "--device",
            "flex",
        ])
        .args(["--epochs", "1", "--network", "classic", "--out", "out"])
        .assert()
        .success();
    let shown = stdout(&run);
    let evaluated = shown
        .lines()
        .find_map(|line| line.strip_prefix("test accuracy "));
    let accuracy = evaluated.unwrap().split(',').next().unwrap();
    let card = std::fs::read_to_string(folder.path().join("out/model-card.md")).unwrap();
    for expected in [
        &format!("| test accuracy | {accuracy} on 2000 images"),
        "# Classic LeNet",
        "generated images, not a real data set",
        "lenet pretrain",
        "--network classic",
        "| seed | 0 |",
    ] {
        assert!(card.contains(expected), "'{expected}' is not in:\n{card}");
    }
    let weights = Weights::open(folder.path().join("out/weights.safetensors")).unwrap();
    assert_eq!(weights.config().unwrap(), LeNetConfig::classic(10));
}
