//! Initial weights, and weights saved to and loaded from files.

use burn::module::Module;
use burn::store::ModuleRecord;
use burn::tensor::{Device, Tensor};
use lenet_core::file::FileError;
use lenet_core::{
    BiasInitializer, LeNet, LeNetConfig, NamedTensor, Weights, WeightsError, read_back,
};

use super::chain;

fn lenet(seed: u64) -> LeNet {
    LeNetConfig::modern(10).init(&Device::flex(), seed).unwrap()
}

fn load(lenet: LeNet, bytes: &[u8]) -> Result<LeNet, WeightsError> {
    lenet.load_weights(Weights::from_bytes(bytes)?)
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    read_back(tensor).unwrap()
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

/// Every parameter has a random stream of its own.
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
    let error = load(lenet(0), &bytes).unwrap_err();
    insta::assert_snapshot!(error.to_string());
}

#[test]
fn damaged_files_are_refused() {
    let bytes = lenet(0).to_safetensors().unwrap();
    for cut in [0, 7, 100, bytes.len() - 1] {
        let error = Weights::from_bytes(&bytes[..cut]).unwrap_err();
        let expected = match cut {
            0 | 7 => matches!(error, WeightsError::UnknownFormat { .. }),
            _ => matches!(error, WeightsError::Format { .. }),
        };
        assert!(expected, "{error}");
    }
    let mut huge_header = bytes.clone();
    huge_header[..8].fill(0xff);
    assert!(Weights::from_bytes(huge_header).is_err());
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
        "a temporary file is left"
    );

    // A folder is not replaced by a file, and its contents stay.
    let occupied = folder.path().join("folder.safetensors");
    std::fs::create_dir(&occupied).unwrap();
    std::fs::write(occupied.join("file"), "kept").unwrap();
    assert!(lenet(1).save_safetensors(&occupied).is_err());
    assert!(lenet(1).save_record(&occupied).is_err());
    assert_eq!(std::fs::read(occupied.join("file")).unwrap(), b"kept");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);

    let nowhere = folder.path().join("missing").join("weights.safetensors");
    let error = lenet(1).save_safetensors(&nowhere).unwrap_err();
    let WeightsError::File(FileError { path, .. }) = &error else {
        panic!("expected a file error, got {error:?}");
    };
    assert_eq!(*path, nowhere);
    let missing = chain(&Weights::open("no such file").unwrap_err());
    assert_eq!(missing.matches("no such file").count(), 1, "{missing}");
}

/// On an autodiff device loaded weights are trainable, like initial ones.
#[test]
fn loaded_weights_have_gradients() {
    let device = Device::flex().autodiff();
    let fresh = LeNetConfig::modern(10).init(&device, 0).unwrap();
    let loaded = load(fresh, &lenet(5).to_safetensors().unwrap()).unwrap();
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
fn a_duplicate_tensor_or_one_with_too_few_values_is_refused() {
    let mut state = lenet(0).state_dict().unwrap();
    state.push(state[0].clone());
    let error = lenet(1).load_state_dict(state).unwrap_err().to_string();
    assert!(
        error.contains("net.0.weight: not part of this network"),
        "{error}"
    );

    let mut state = lenet(0).state_dict().unwrap();
    state[2].values.pop();
    let error = lenet(1).load_state_dict(state).unwrap_err().to_string();
    assert!(
        error.contains("net.3.weight: expected 2400 values, found 2399"),
        "{error}"
    );
}

/// Reading stops at the first bytes instead of filling the memory.
#[cfg(unix)]
#[test]
fn an_endless_file_is_refused() {
    let error = chain(&Weights::open("/dev/zero").unwrap_err());
    assert!(
        error.starts_with("/dev/zero: not a weights file: "),
        "{error}"
    );
}

/// Burn's record format, written and read by burn and by this crate.
#[test]
fn records_travel_to_burn_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let config = LeNetConfig::tweakable(10).with_out_channels([3, 5, 7]);
    let (ours, burns) = (
        folder.path().join("ours.bpk"),
        folder.path().join("burns.bpk"),
    );
    let lenet = config.init(&Device::flex(), 1).unwrap();
    lenet.save_record(&ours).unwrap();
    lenet.clone().into_record().save(&burns).unwrap();

    let fresh = || config.init(&Device::flex(), 2).unwrap();
    let state = lenet.state_dict().unwrap();
    let by_burn = fresh().load_record(ModuleRecord::load(&ours).unwrap());
    assert_eq!(by_burn.state_dict().unwrap(), state);
    for path in [&ours, &burns] {
        let loaded = fresh().load_weights(Weights::open(path).unwrap()).unwrap();
        assert_eq!(loaded.state_dict().unwrap(), state);
        // A record that burn wrote has no configuration: it follows from the shapes.
        let weights = Weights::open(path).unwrap();
        let weights = weights.with_preset(LeNetConfig::modern(10));
        let found = LeNet::from_weights(weights, &Device::flex());
        let found = found.unwrap();
        assert_eq!(found.config().layer_table(), config.layer_table());
        assert_eq!(found.state_dict().unwrap(), state);
    }
    let described = Weights::open(&ours).unwrap();
    assert_eq!(described.config().unwrap(), config);
    let error = Weights::open(&burns).unwrap().config().unwrap_err();
    assert!(matches!(error, WeightsError::UnknownConfig), "{error}");
}

#[test]
fn prefixes_that_all_names_share_do_not_matter() {
    let state = lenet(0).state_dict().unwrap();
    for prefix in ["", "net.", "module.net.", "model.", "state_dict.module."] {
        let renamed = state.iter().cloned().map(|mut tensor| {
            tensor.name = tensor.name.replacen("net.", prefix, 1);
            tensor
        });
        let loaded = lenet(1).load_state_dict(renamed.collect()).unwrap();
        assert_eq!(loaded.state_dict().unwrap(), state, "{prefix}");
    }
}

#[test]
fn tensors_that_do_not_form_a_lenet_are_refused_with_their_shapes() {
    let mut state = lenet(0).state_dict().unwrap();
    state.retain(|tensor| tensor.shape.len() < 4);
    let weights = Weights::from(state).with_preset(LeNetConfig::modern(10));
    let error = weights.config().unwrap_err();
    assert!(
        error.to_string().contains("net.7.weight [120, 400]"),
        "{error}"
    );

    let state = lenet(0).state_dict().unwrap();
    let large = LeNetConfig::modern(10).with_image_size([40, 40]);
    let weights = Weights::from(state).with_preset(large);
    let error = weights.config().unwrap_err().to_string();
    assert!(
        error.contains("400 features") && error.contains("40×40"),
        "{error}"
    );
}

/// A configuration in the file takes precedence over the preset.
#[test]
fn weights_without_a_configuration_need_a_preset() {
    let device = Device::flex();
    let error = LeNet::from_weights(Weights::from(lenet(0).state_dict().unwrap()), &device);
    let error = error.unwrap_err();
    assert!(matches!(error, WeightsError::UnknownConfig), "{error}");
    assert!(error.to_string().contains("with_preset"), "{error}");

    let preset = LeNetConfig::classic(99).with_image_size([64, 64]);
    let bytes = lenet(0).to_safetensors().unwrap();
    let weights = Weights::from_bytes(bytes).unwrap().with_preset(preset);
    assert_eq!(weights.config().unwrap(), LeNetConfig::modern(10));
    let loaded = LeNet::from_weights(weights, &device).unwrap();
    assert_eq!(loaded.state_dict().unwrap(), lenet(0).state_dict().unwrap());
}

#[test]
fn weights_that_compute_something_else_are_refused() {
    let cases = [
        (
            LeNetConfig::classic(10),
            "expected activation sigmoid, found relu",
        ),
        (
            LeNetConfig::modern(10)
                .with_image_size([32, 32])
                .with_padding(0),
            "expected padding [0, 0], found [2, 0]",
        ),
    ];
    for (config, expected) in cases {
        let other = config.init(&Device::flex(), 0).unwrap();
        let error = load(other, &lenet(0).to_safetensors().unwrap()).unwrap_err();
        assert!(error.to_string().ends_with(expected), "{error}");
    }
}

/// A header may claim a network that the file cannot hold; nothing of that size is allocated.
#[test]
fn a_file_that_claims_a_huge_network_takes_no_memory() {
    let huge = LeNetConfig::modern(10).with_hidden_dims([5_000_000]);
    assert!(huge.layer_table().is_ok());
    let json = serde_json::to_string(&huge).unwrap();
    let metadata = std::collections::HashMap::from([("lenet_config".to_owned(), json)]);
    let views: [(&str, safetensors::tensor::TensorView<'_>); 0] = [];
    let bytes = safetensors::serialize(views, Some(metadata)).unwrap();
    let weights = Weights::from_bytes(bytes).unwrap();
    let error = LeNet::from_weights(weights, &Device::flex());
    let error = error.unwrap_err().to_string();
    assert!(error.contains("net.7.weight: missing"), "{error}");
}

/// A name of a million components is scanned once, not stripped a million times.
#[test]
fn hostile_names_take_no_time() {
    let name = "a.".repeat(1 << 20);
    let tensor = NamedTensor {
        name: format!("{name}0.weight"),
        shape: vec![1],
        values: vec![0.0],
    };
    let error = lenet(0).load_state_dict(vec![tensor]).unwrap_err();
    assert!(error.to_string().contains("net.0.weight: missing"));
}

#[test]
fn an_invalid_configuration_in_a_file_is_an_error() {
    let bytes = lenet(0).to_safetensors().unwrap();
    let text = String::from_utf8_lossy(&bytes[8..1500]).into_owned();
    assert!(text.contains("\\\"relu\\\""), "{text}");
    let at = text.find("\\\"relu").unwrap() + 8 + 2;
    let mut other = bytes.clone();
    other[at..at + 4].copy_from_slice(b"gelu");
    let error = chain(&Weights::from_bytes(other).unwrap_err());
    assert!(error.contains("gelu"), "{error}");

    let deep = LeNetConfig::modern(10).with_hidden_dims(vec![1; 1_000]);
    let error = deep.layer_table().unwrap_err().to_string();
    assert!(
        error.contains("1003 convolutions and dense layers"),
        "{error}"
    );
}
