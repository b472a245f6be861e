//! Figures of loss curves, and what all figures share.

use std::error::Error;

use lenet_plot::{Figure, LossCurve, PlotError};
use lenet_train::EpochMetrics;

fn epochs(count: usize) -> Vec<EpochMetrics> {
    (1..=count)
        .map(|epoch| {
            serde_json::from_value(serde_json::json!({
                "epoch": epoch,
                "mean_loss": 2.3 / epoch as f64,
                "last_batch_loss": 2.0 / epoch as f64,
                "learning_rate": 0.1,
                "seconds": 1.0,
                "validation_accuracy": 0.5,
                "validation_loss": 2.4 / epoch as f64,
            }))
            .unwrap()
        })
        .collect()
}

#[test]
fn an_svg_tells_everything_in_words() {
    let epochs = epochs(15);
    let svg = Figure::new("classic LeNet on fashion-mnist", LossCurve::new(&epochs))
        .with_warning("not a real data set")
        .to_svg()
        .unwrap();
    for text in [
        "classic LeNet on fashion-mnist",
        "not a real data set",
        "epoch",
        "cross-entropy (nats)",
        "mean training loss",
        "last batch of the epoch",
        "validation loss",
    ] {
        assert!(svg.contains(text), "'{text}' is missing");
    }
    assert_eq!(svg.matches("<circle").count(), 3 * 15);
}

/// On a machine without any font the text is drawn all the same.
#[test]
fn a_png_has_the_size_and_dark_text() {
    let epochs = epochs(1);
    let png = Figure::new("one epoch", LossCurve::new(&epochs))
        .to_png()
        .unwrap();
    let picture = image::load_from_memory(&png).unwrap().to_luma8();
    assert_eq!(picture.dimensions(), (1600, 1000));
    let title = (0..90).flat_map(|y| (0..1600).map(move |x| (x, y)));
    let dark = title
        .filter(|&(x, y)| picture.get_pixel(x, y).0[0] < 100)
        .count();
    assert!(dark > 300, "{dark} dark pixels in the title");
}

#[test]
fn what_cannot_be_drawn_is_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("loss.png");
    std::fs::write(&path, b"old").unwrap();
    assert!(matches!(
        Figure::new("x", LossCurve::new(&[])).save(&path),
        Err(PlotError::Empty)
    ));
    assert_eq!(std::fs::read(&path).unwrap(), b"old");

    let epochs = epochs(2);
    let curve = Figure::new("x", LossCurve::new(&epochs));
    let wrong = curve
        .save(folder.path().join("loss.jpg"))
        .unwrap_err()
        .to_string();
    assert!(wrong.contains("must end in .png or .svg"), "{wrong}");
    let missing = folder.path().join("no/loss.svg");
    let error = curve.save(&missing).unwrap_err();
    assert!(matches!(&error, PlotError::File(error) if error.path == missing));
    let cause = error.source().unwrap().to_string();
    assert!(!error.to_string().contains(&cause), "{error}: {cause}");
    curve.save(&path).unwrap();
    assert!(std::fs::read(&path).unwrap().starts_with(b"\x89PNG"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
