//! Initial weights, and weights in files.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::path::Path;

use burn::tensor::{Device, Tensor};
use lenet_core::{BiasInitializer, LeNet, LeNetConfig, WeightsError};

fn lenet(seed: u64) -> LeNet {
    LeNetConfig::modern(10).init(&Device::flex(), seed).unwrap()
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec::<f32>().unwrap()
}

#[test]
fn a_seed_fixes_the_weights_and_another_one_changes_all() {
    assert_eq!(
        lenet(3).to_safetensors().unwrap(),
        lenet(3).to_safetensors().unwrap()
    );
    let (a, b) = (lenet(3), lenet(4));
    let pairs = [
        (host(a.conv[0].weight.val()), host(b.conv[0].weight.val())),
        (host(a.dense[2].bias.val()), host(b.dense[2].bias.val())),
    ];
    for (a, b) in pairs {
        assert!(a.iter().zip(&b).all(|(a, b)| a != b));
    }
}

/// A parameter's values come from a stream of its own.
#[test]
fn a_change_in_one_layer_leaves_the_others_as_they_were() {
    let wide = LeNetConfig::modern(10).with_hidden_dims([120, 84, 50]);
    let wide = wide.init(&Device::flex(), 0).unwrap();
    let modern = lenet(0);
    assert_eq!(
        host(wide.conv[1].weight.val()),
        host(modern.conv[1].weight.val())
    );
    assert_eq!(
        host(wide.dense[1].weight.val()),
        host(modern.dense[1].weight.val())
    );
}

#[test]
fn weights_and_biases_lie_within_their_bounds() {
    let modern = lenet(0);
    let largest = |values: Vec<f32>| values.into_iter().fold(0.0_f32, |m, v| m.max(v.abs()));
    let xavier = |inputs: f32, outputs: f32| (6.0 / (inputs + outputs)).sqrt();
    let cases = [
        (
            largest(host(modern.conv[0].weight.val())),
            xavier(25.0, 150.0),
        ),
        (
            largest(host(modern.dense[0].weight.val())),
            xavier(400.0, 120.0),
        ),
        (
            largest(host(modern.dense[0].bias.val())),
            400.0_f32.sqrt().recip(),
        ),
    ];
    for (found, bound) in cases {
        assert!(
            found <= bound && found > 0.9 * bound,
            "{found}, bound {bound}"
        );
    }

    let zeros = LeNetConfig::modern(10).with_bias(BiasInitializer::Zeros);
    let zeros = zeros.init(&Device::flex(), 0).unwrap();
    assert_eq!(largest(host(zeros.conv[1].bias.val())), 0.0);
}

#[test]
fn a_file_of_another_network_is_refused_with_all_that_differs() {
    let wide = LeNetConfig::modern(10)
        .with_out_channels([6, 20])
        .with_hidden_dims([120]);
    let bytes = wide
        .init(&Device::flex(), 0)
        .unwrap()
        .to_safetensors()
        .unwrap();
    let error = lenet(0).from_safetensors(&bytes).unwrap_err();
    insta::assert_snapshot!(error.to_string());
}

#[test]
fn damaged_files_are_refused() {
    let bytes = lenet(0).to_safetensors().unwrap();
    for cut in [0, 7, 100, bytes.len() - 1] {
        let error = lenet(0).from_safetensors(&bytes[..cut]).unwrap_err();
        assert!(matches!(error, WeightsError::Format { .. }), "{error}");
    }
    let mut huge_header = bytes.clone();
    huge_header[..8].fill(0xff);
    assert!(lenet(0).from_safetensors(&huge_header).is_err());
}

#[test]
fn a_failed_save_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    lenet(1).save_safetensors(&path).unwrap();
    let before = std::fs::read(&path).unwrap();
    lenet(2).save_safetensors(&path).unwrap();
    assert_ne!(std::fs::read(&path).unwrap(), before);
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "no scratch file is left"
    );

    let nowhere = folder.path().join("missing").join("weights.safetensors");
    let error = lenet(1).save_safetensors(&nowhere).unwrap_err().to_string();
    assert!(error.contains("missing"), "{error}");
    let missing = lenet(1)
        .load_safetensors(Path::new("no such file"))
        .unwrap_err()
        .to_string();
    assert!(missing.contains("no such file"), "{missing}");
}

/// On an autodiff device loaded weights can be trained as the initial ones could.
#[test]
fn loaded_weights_have_gradients() {
    let device = Device::flex().autodiff();
    let fresh = LeNetConfig::modern(10).init(&device, 0).unwrap();
    let loaded = fresh
        .from_safetensors(&lenet(5).to_safetensors().unwrap())
        .unwrap();
    let gradients = loaded
        .forward(Tensor::ones([1, 1, 28, 28], &device))
        .sum()
        .backward();
    assert!(loaded.conv[0].weight.grad(&gradients).is_some());
    assert!(loaded.dense[2].bias.grad(&gradients).is_some());
}

#[test]
fn weights_that_are_not_finite_are_refused() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut state = lenet(0).state_dict().unwrap();
        state[1].values[3] = value;
        let error = lenet(1).load_state_dict(state).unwrap_err().to_string();
        let expected = format!("net.0.bias: value 3 is {value}, not a finite number");
        assert!(error.ends_with(&expected), "{error}");
    }
}

#[test]
fn a_tensor_that_comes_twice_or_has_too_few_values_is_refused() {
    let mut state = lenet(0).state_dict().unwrap();
    let mut second = state[0].clone();
    second.name = "0.weight".to_owned();
    state.push(second);
    state[2].values.pop();
    let error = lenet(1).load_state_dict(state).unwrap_err().to_string();
    assert!(
        error.contains("net.3.weight: expected 2400 values, found 2399"),
        "{error}"
    );
    assert!(
        error.contains("net.0.weight: not part of this network"),
        "{error}"
    );
}

/// A file without an end takes neither for ever nor all memory.
#[cfg(unix)]
#[test]
fn an_endless_file_is_refused() {
    let error = lenet(0).load_safetensors("/dev/zero").unwrap_err();
    assert!(
        error.to_string().starts_with("/dev/zero: more than "),
        "{error}"
    );
}
