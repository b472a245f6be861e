//! Any bytes as a safetensors file or a burn record: what is accepted is finite and is saved again.

#![no_main]

use burn::tensor::Device;
use lenet_core::{LeNet, LeNetConfig, Weights};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let preset = LeNetConfig::modern(2).with_image_size([8, 8]);
    let lenet = Weights::from_bytes(bytes)
        .and_then(|weights| LeNet::from_weights(weights.with_preset(preset), &Device::flex()));
    if let Ok(lenet) = lenet {
        let state = lenet.state_dict().expect("weights on the host");
        assert!(state.iter().flat_map(|tensor| &tensor.values).all(|value| value.is_finite()));
        let again = lenet.to_safetensors().expect("weights on the host");
        let again = Weights::from_bytes(again).expect("as it was saved");
        assert!(again.config().is_ok());
        assert!(lenet.load_weights(again).is_ok());
    }
});
