//! Figures of sweeps and activations.

use std::collections::BTreeSet;

use burn::tensor::{Device, Tensor};
use lenet_plot::{AccuracyCurves, ActivationGrid, Figure, PlotError, SweepChart};
use lenet_train::sweep::SweepResult;
use serde_json::{Value, json};

fn trial(label: &str, seed: u64, accuracies: &[f64]) -> Value {
    let epochs: Vec<Value> = accuracies
        .iter()
        .enumerate()
        .map(|(index, accuracy)| {
            json!({
                "epoch": index + 1, "mean_loss": 0.5, "last_batch_loss": 0.5,
                "learning_rate": 0.1, "seconds": 1.0,
                "validation_accuracy": accuracy, "validation_loss": 0.5,
            })
        })
        .collect();
    let status = match accuracies.is_empty() {
        true => json!({"status": "diverged", "message": "the loss became NaN"}),
        false => json!({"status": "finished"}),
    };
    json!({"label": label, "seed": seed, "outcome": status, "epochs": epochs, "seconds": 2.0, "threads": 1, "device": "flex"})
}

fn result(scale: &str) -> SweepResult {
    let setting = |label: &str, x: f64, trials: Vec<Value>| json!({"label": label, "x": x, "parameters": 61706, "trials": trials});
    serde_json::from_value(json!({
        "name": "rates", "parameter": "learning rate", "scale": scale, "held_out": "test",
        "dataset": "fashion-mnist", "synthetic": false,
        "settings": [
            setting("0.01", 0.01, vec![trial("0.01", 0, &[0.6, 0.7]), trial("0.01", 1, &[0.62, 0.74])]),
            setting("0.1", 0.1, vec![trial("0.1", 0, &[0.8, 0.88]), trial("0.1", 1, &[0.82, 0.9])]),
            setting("50", 50.0, vec![trial("50", 0, &[]), trial("50", 1, &[])]),
        ],
    }))
    .unwrap()
}

#[test]
fn a_sweep_chart_tells_everything_in_words() {
    for scale in ["linear", "logarithmic", "categories"] {
        let result = result(scale);
        let svg = Figure::new("Rates on fashion-mnist", SweepChart::new(&result))
            .with_warning("not a real data set")
            .to_svg()
            .unwrap();
        for text in [
            "Rates on fashion-mnist",
            "not a real data set",
            "learning rate",
            "test accuracy",
            "0.01",
            "50",
            "no result",
            "one seed",
        ] {
            assert!(svg.contains(text), "{scale}: '{text}' is missing");
        }
        // Two means, four seeds, and one of each in the legend.
        assert_eq!(svg.matches("<circle").count(), 2 + 4 + 2, "{scale}");
    }
}

/// A setting that lacks a trial keeps its dots, and every picture says that it is incomplete.
#[test]
fn pictures_say_which_settings_are_incomplete() {
    let whole = result("categories");
    let incomplete = |svg: &str| svg.matches("incomplete").count();
    assert_eq!(
        incomplete(&Figure::new("", SweepChart::new(&whole)).to_svg().unwrap()),
        0
    );
    assert_eq!(
        incomplete(
            &Figure::new("", AccuracyCurves::new(&whole))
                .to_svg()
                .unwrap()
        ),
        0
    );
    for (status, more) in [
        ("not-run", json!({})),
        ("interrupted", json!({"checkpoint": 100})),
        ("failed", json!({"message": "the device failed"})),
    ] {
        let mut value = serde_json::to_value(&whole).unwrap();
        let trial = &mut value["settings"][0]["trials"][1];
        trial["outcome"] = more;
        trial["outcome"]["status"] = json!(status);
        if status != "failed" {
            let trial = trial.as_object_mut().unwrap();
            trial.retain(|key, _| ["label", "seed", "outcome"].contains(&key.as_str()));
        }
        let result: SweepResult = serde_json::from_value(value).unwrap();
        let chart = Figure::new("", SweepChart::new(&result)).to_svg().unwrap();
        assert_eq!(incomplete(&chart), 1, "{status}");
        // Two means, three seeds, and one of each in the legend.
        assert_eq!(chart.matches("<circle").count(), 2 + 3 + 2, "{status}");
        let curves = Figure::new("", AccuracyCurves::new(&result))
            .to_svg()
            .unwrap();
        assert!(curves.contains("0.01 (incomplete)"), "{status}");
    }
}

/// On a logarithmic axis 0.01, 0.1 and 50 lie as far apart as their logarithms.
#[test]
fn the_axis_is_to_scale() {
    let place = |scale: &str| -> Vec<f64> {
        let result = result(scale);
        let svg = Figure::new("", SweepChart::new(&result)).to_svg().unwrap();
        let of_radius = |radius: &str| -> Vec<f64> {
            let circles = svg.lines().filter(|line| line.starts_with("<circle"));
            let attribute = |line: &str, name: &str| -> String {
                let value = line.split(&format!("{name}=\"")).nth(1).unwrap();
                value.split('"').next().unwrap().to_owned()
            };
            circles
                .filter(|line| attribute(line, " r") == radius)
                .map(|line| attribute(line, "cx").parse().unwrap())
                .collect()
        };
        // The legend's comes first.
        of_radius("5")[1..3].to_vec()
    };
    // The plotting area is 698 units wide, the range of the positions and the room around it.
    let decades = (50.0_f64 / 0.01).log10();
    for (scale, expected) in [
        ("logarithmic", 698.0 / (decades + 1.0)),
        ("categories", 698.0 / 3.0),
        ("linear", 698.0 * 0.09 / (49.99 * 1.24)),
    ] {
        let found = place(scale);
        let distance = found[1] - found[0];
        assert!(
            (distance - expected).abs() < 3.0,
            "{scale}: {distance}, not {expected}"
        );
    }
}

/// A logarithmic axis has no place for 0.
#[test]
fn a_setting_outside_the_axis_is_an_error() {
    let mut result = result("logarithmic");
    result.settings[1].x = Some(0.0);
    let error = Figure::new("", SweepChart::new(&result))
        .to_svg()
        .unwrap_err();
    let message = r#"setting "0.1" has no position on the axis "learning rate""#;
    assert_eq!(error.to_string(), message);
}

/// Labels that would touch lie on two lines, and all others on one.
#[test]
fn crowded_labels_alternate_between_two_lines() {
    for (scale, lines) in [("linear", 2), ("categories", 1)] {
        let result = result(scale);
        let svg = Figure::new("", SweepChart::new(&result)).to_svg().unwrap();
        let elements: Vec<&str> = svg.split("<text ").collect();
        let height = |label: &str| {
            let is_label = |text: &&&str| text.contains(&format!(">\n{label}\n<"));
            let text = elements.iter().find(is_label).unwrap();
            text.split(" y=\"")
                .nth(1)
                .unwrap()
                .split('"')
                .next()
                .unwrap()
        };
        let heights: BTreeSet<&str> = ["0.01", "0.1", "50"].map(height).into();
        assert_eq!(heights.len(), lines, "{scale}: {heights:?}");
    }
}

#[test]
fn accuracy_curves_have_a_line_for_each_setting() {
    let result = result("categories");
    let svg = Figure::new("Rates", AccuracyCurves::new(&result))
        .to_svg()
        .unwrap();
    assert_eq!(
        svg.matches("<polygon").count(),
        2,
        "a band for each setting that got anywhere"
    );
    assert!(svg.contains("epoch") && svg.contains("test accuracy"));
    let mut empty = result.clone();
    empty.settings.drain(..2);
    let error = Figure::new("Rates", AccuracyCurves::new(&empty))
        .to_svg()
        .unwrap_err();
    assert!(matches!(error, PlotError::Empty));
    empty.settings.clear();
    let error = Figure::new("Rates", SweepChart::new(&empty))
        .to_svg()
        .unwrap_err();
    assert!(matches!(error, PlotError::Empty));
}

/// The map of a channel with one bright pixel shows it bright, and the legend its range.
#[test]
fn an_activation_grid_shows_each_channel() {
    let device = Device::flex();
    let images = Tensor::<4>::ones([1, 1, 2, 2], &device);
    let maps = Tensor::<4>::from_data([[[[0.0, 0.0], [0.0, 4.0]], [[2.0; 2]; 2]]], &device);
    let grid = ActivationGrid::new(["coat"], images.clone(), maps.clone()).unwrap();
    let svg = Figure::new("Layer", grid).to_svg().unwrap();
    for text in ["coat", "image", "0.00", "4.00", "activation"] {
        assert!(svg.contains(text), "'{text}' is missing");
    }
    // Viridis: darkest for 0, three pixels and one step of the legend; brightest for 4.
    assert!(svg.matches("#440154").count() >= 4);
    assert!(svg.matches("#FEE825").count() >= 2);
    assert!(
        svg.matches("#FFFFFF").count() >= 4,
        "the image itself in grey"
    );

    let error = ActivationGrid::new(["a", "b"], images.clone(), maps).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("2 labels, 1 images and maps of 1")
    );
    let none = Tensor::<4>::zeros([1, 0, 2, 2], &device);
    let error = ActivationGrid::new(["a"], images, none).unwrap_err();
    assert!(matches!(error, PlotError::Empty));
}

/// Layers with many channels continue in blocks; each channel is numbered once.
#[test]
fn many_channels_are_numbered_once_in_blocks() {
    let device = Device::flex();
    let images = Tensor::<4>::ones([3, 1, 4, 4], &device);
    let maps = Tensor::<4>::ones([3, 44, 2, 2], &device);
    let grid = ActivationGrid::new(["a", "b", "c"], images, maps).unwrap();
    let svg = Figure::new("Layer", grid).to_svg().unwrap();
    let count = |text: &str| svg.matches(&format!(">\n{text}\n<")).count();
    for channel in 1..=44 {
        assert_eq!(count(&channel.to_string()), 1, "channel {channel}");
    }
    // Three blocks, and one colour scale.
    assert_eq!(
        (
            count("image"),
            count("b"),
            svg.matches("activation").count()
        ),
        (3, 3, 1)
    );
}

/// A row of the picture for NaN and infinity, no panic and no broken scale.
#[test]
fn activations_that_are_not_finite_are_grey() {
    let device = Device::flex();
    let images = Tensor::<4>::from_data([[[[f32::NAN]]]], &device);
    let maps = Tensor::<4>::from_data([[[[f32::NAN, f32::INFINITY, 1.0]]]], &device);
    let grid = ActivationGrid::new(["odd"], images, maps).unwrap();
    let svg = Figure::new("Layer", grid).to_svg().unwrap();
    assert_eq!(svg.matches("#969696").count(), 2);
}
