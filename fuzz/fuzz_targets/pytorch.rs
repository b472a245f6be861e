//! Any bytes as a file that PyTorch saved: what is accepted is finite.

#![no_main]

use std::io::Write;

use burn::tensor::Device;
use lenet_core::{LeNet, LeNetConfig, Weights};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("room for it");
    let preset = LeNetConfig::modern(2).with_image_size([8, 8]);
    let lenet = Weights::open(file.path())
        .and_then(|weights| LeNet::from_weights(weights.with_preset(preset), &Device::flex()));
    if let Ok(lenet) = lenet {
        let state = lenet.state_dict().expect("weights on the host");
        assert!(state.iter().flat_map(|tensor| &tensor.values).all(|value| value.is_finite()));
    }
});
