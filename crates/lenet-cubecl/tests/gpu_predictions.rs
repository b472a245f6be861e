//! Predictions beside the logits of `lenet-kernels`.

use lenet_cubecl::{DeviceImages, GpuError, Place, Predictions, Step, predict};

use crate::tools::{
    assert_close, batch, classic, client, ensemble, logits, look, modern, order, parameters,
    pictures,
};

const SIZE: usize = 28;

fn images(len: usize) -> DeviceImages {
    let (pixels, labels) = pictures(len, SIZE);
    DeviceImages::new(&client(), &pixels, &labels, [SIZE, SIZE]).expect("pixels of all images")
}

#[test]
fn are_those_of_the_cpu() {
    for (layers, len) in [(modern(), 1234), (classic(), 7)] {
        let mut ensemble = ensemble(&layers, 10, 5);
        for seed in 0..2 {
            ensemble
                .push(&parameters(&layers, seed), None)
                .expect("parameters that fit");
        }
        let place = |image| Place {
            image,
            ..Place::default()
        };
        let places: Vec<_> = (0..len).map(place).collect();
        let (values, labels) = batch(len, SIZE, &places);
        for seed in 0..2 {
            let found = ensemble.predict(seed, &images(len));
            let found = found.expect("a working device");
            assert_eq!(
                predict(&client(), &layers, &parameters(&layers, seed), &images(len)),
                Ok(found.clone())
            );
            let expected = logits(&layers, &parameters(&layers, seed), &values);
            let rows = expected.chunks_exact(10);
            let likelihoods: Vec<f32> = rows
                .clone()
                .zip(&labels)
                .map(|(row, &label)| {
                    let total: f32 = row.iter().map(|logit| logit.exp()).sum();
                    row[label] - total.ln()
                })
                .collect();
            assert_close("likelihood", &found.log_likelihoods, &likelihoods);
            for (row, &class) in rows.zip(&found.classes) {
                let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                assert!(row[class] > largest - 1e-4, "class {class} of {row:?}");
            }
        }
    }
}

#[test]
fn follow_the_steps_that_wait() {
    let layers = modern();
    let mut ensemble = ensemble(&layers, 10, 5);
    ensemble
        .push(&parameters(&layers, 0), None)
        .expect("parameters that fit");
    ensemble
        .set_order(0, &order(10, 0))
        .expect("places of images");
    let before = ensemble.predict(0, &images(3)).expect("a working device");
    let step = Step {
        learning_rate: 0.5,
        ..look(0, 5)
    };
    ensemble.step(&[step]).expect("a step for each network");
    let after = ensemble.predict(0, &images(3)).expect("a working device");
    assert_ne!(before.log_likelihoods, after.log_likelihoods);
}

#[test]
fn of_a_network_with_nan_have_no_likelihood() {
    let layers = modern();
    let mut ensemble = ensemble(&layers, 10, 5);
    let mut values = parameters(&layers, 0);
    if let Some(bias) = values.last_mut() {
        bias[3] = f32::NAN;
    }
    ensemble.push(&values, None).expect("parameters that fit");
    let found = ensemble.predict(0, &images(3)).expect("a working device");
    let is_nan = found.log_likelihoods.iter().map(|value| value.is_nan());
    assert_eq!(is_nan.collect::<Vec<_>>(), [true; 3]);
}

#[test]
fn of_no_images_are_none_and_of_others_an_error() {
    let layers = modern();
    let mut ensemble = ensemble(&layers, 10, 5);
    ensemble
        .push(&parameters(&layers, 0), None)
        .expect("parameters that fit");
    let none = Predictions {
        classes: Vec::new(),
        log_likelihoods: Vec::new(),
    };
    let images = |pixels: &[u8], labels: &[u8], size| {
        DeviceImages::new(&client(), pixels, labels, size).expect("pixels of all images")
    };
    assert_eq!(ensemble.predict(0, &images(&[], &[], [28, 28])), Ok(none));
    let expected = GpuError::Length {
        what: "an image",
        expected: 784,
        found: 6,
    };
    let other = images(&[0; 6], &[0], [2, 3]);
    assert_eq!(ensemble.predict(0, &other), Err(expected));
}
