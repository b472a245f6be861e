//! What PyTorch computes with the same weights and pixels. `tests/fixtures/engine.py` writes the fixture.

use burn::tensor::Device;
use lenet_core::{LeNet, Pretrained};
use lenet_data::Picture;

use super::explain::{Method, explain};
use super::view::view;
use super::wire::decode;

const FIXTURE: &[u8] = include_bytes!("../../tests/fixtures/engine.bin");
const NETWORKS: [Pretrained; 2] = [Pretrained::MnistModern, Pretrained::MnistClassic];
/// The class of the image.
const SEVEN: usize = 7;

/// The values of PyTorch with this name, and their shape.
fn expected(name: &str) -> (Vec<usize>, Vec<f32>) {
    let (header, values) = decode(FIXTURE);
    let arrays: Vec<(String, Vec<usize>)> = serde_json::from_value(header).unwrap();
    let mut rest = values.as_slice();
    for (found, shape) in arrays {
        let (values, after) = rest.split_at(shape.iter().product());
        if found == name {
            return (shape, values.to_vec());
        }
        rest = after;
    }
    panic!("the fixture has no {name}");
}

pub(super) fn seven() -> Picture {
    let (_, pixels) = expected("image");
    let pixels: Vec<u8> = pixels.into_iter().map(|pixel| pixel as u8).collect();
    Picture::from_pixels(&pixels, [28, 28], [28, 28]).unwrap()
}

/// Fails unless all values differ by less than `tolerance` of the largest one expected.
fn assert_close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected
        .iter()
        .fold(0.0, |max, value| f32::max(max, value.abs()));
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() <= tolerance * largest,
            "{what}: {found}, but PyTorch has {expected}"
        );
    }
}

#[test]
fn every_stage_has_the_shape_and_values_of_pytorch() {
    let device = Device::flex();
    for network in NETWORKS {
        let lenet = LeNet::pretrained(network, &device).unwrap();
        let view = view(&lenet, &seven(), &device).unwrap();
        let header = view.header();
        let mut offset = 0;
        for stage in &header.stages {
            let found = &view.values()[offset..][..stage.shape.iter().product()];
            assert_eq!(stage.offset, offset);
            offset += found.len();
            let largest = found.iter().copied().fold(f32::MIN, f32::max);
            let smallest = found.iter().copied().fold(f32::MAX, f32::min);
            assert_eq!((stage.min, stage.max), (smallest, largest));
            if stage.name == "input" {
                let (_, pixels) = expected("image");
                let pixels: Vec<f32> = pixels.iter().map(|pixel| pixel / 255.0).collect();
                assert_eq!(found, pixels);
                continue;
            }
            let name = format!("{network}.{}", stage.name);
            let (shape, values) = expected(&name);
            assert_eq!(stage.shape, shape, "{name}");
            assert_close(found, &values, 1e-5, &name);
        }
        assert_eq!(offset, view.values().len());

        let (_, entropy) = expected(&format!("{network}.entropy"));
        assert_eq!(header.prediction.class, SEVEN);
        assert!((header.prediction.entropy - entropy[0]).abs() < 1e-6);
        let probabilities = &view.values()[offset - 10..];
        assert_eq!(header.prediction.probabilities, probabilities);
        assert_eq!(header.prediction.probability, probabilities[SEVEN]);
    }
}

#[test]
fn gradient_and_occlusion_have_the_values_of_pytorch() {
    let device = Device::flex();
    let names: Vec<String> = (0..10).map(|class| class.to_string()).collect();
    for network in NETWORKS {
        let lenet = LeNet::pretrained(network, &device).unwrap();
        for (method, name) in [
            (Method::Gradient, "gradient"),
            (Method::Occlusion, "occlusion"),
        ] {
            let map = explain(&lenet, &seven(), SEVEN, &names, method, &device).unwrap();
            let name = format!("{network}.{name}");
            let (shape, values) = expected(&name);
            assert_eq!(map.header().shape, shape[..]);
            assert_close(map.values(), &values, 1e-4, &name);
        }
    }
}
