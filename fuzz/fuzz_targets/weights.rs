//! Any bytes as the weights of a small network: what is accepted is finite and is saved again.

#![no_main]

use burn::tensor::Device;
use lenet_core::{LeNet, LeNetConfig};
use libfuzzer_sys::fuzz_target;

fn network() -> LeNet {
    let config = LeNetConfig::modern(2)
        .with_image_size([8, 8])
        .with_out_channels([1, 2])
        .with_kernel_size(3)
        .with_padding(1)
        .with_hidden_dims([3]);
    config.init(&Device::flex(), 0).expect("a network as the seeds have it")
}

thread_local! {
    static NETWORK: LeNet = network();
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(lenet) = NETWORK.with(Clone::clone).from_safetensors(bytes) {
        let state = lenet.state_dict().expect("weights on the host");
        assert!(state.iter().flat_map(|tensor| &tensor.values).all(|value| value.is_finite()));
        let again = lenet.to_safetensors().expect("weights on the host");
        assert!(lenet.from_safetensors(&again).is_ok());
    }
});
