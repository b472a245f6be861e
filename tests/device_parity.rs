//! The same seed gives the same weights on every device, bit for bit, and the same logits up to rounding.
//!
//! Devices other than Flex are tested with their features, `wgpu` and `ndarray`. Without an adapter, wgpu is skipped,
//! unless `LENET_REQUIRE_WGPU` is set, as in CI: then it is a failure.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use lenet::core::{DeviceChoice, LeNetConfig};
use lenet::data::synthetic;
use lenet::train::{Trainer, TrainingConfig};

/// Every device that this build supports and this machine has.
fn devices() -> Vec<(DeviceChoice, Device)> {
    let choices = DeviceChoice::available()
        .into_iter()
        .filter(|&choice| choice != DeviceChoice::Auto);
    choices
        .filter_map(|choice| match choice.select() {
            Ok(selected) => Some((choice, selected.device)),
            Err(error) => {
                let required = std::env::var_os("LENET_REQUIRE_WGPU").is_some();
                assert!(!(required && choice == DeviceChoice::Wgpu), "{error}");
                println!("not tested: {error}");
                None
            }
        })
        .collect()
}

fn ramp(batch: usize, device: &Device) -> Tensor<4> {
    let pixels = (0..batch * 784)
        .map(|i| (i % 97) as f32 / 97.0)
        .collect::<Vec<_>>();
    Tensor::from_data(TensorData::new(pixels, [batch, 1, 28, 28]), device)
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data_as::<f32>().try_into_vec::<f32>().unwrap()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .fold(0.0, |most, (a, b)| f32::max(most, (a - b).abs()))
}

#[test]
fn the_same_seed_gives_the_same_network_on_every_device() {
    let devices = devices();
    let least = if cfg!(feature = "ndarray") { 2 } else { 1 };
    assert!(
        devices.len() >= least,
        "a device that every machine has is missing"
    );
    for config in [LeNetConfig::classic(10), LeNetConfig::modern(10)] {
        let reference = config.init(&Device::flex(), 7).unwrap();
        let weights = reference.to_safetensors().unwrap();
        let logits = host(reference.forward(ramp(4, &Device::flex())));
        for (choice, device) in &devices {
            let lenet = config.init(device, 7).unwrap();
            assert_eq!(
                lenet.to_safetensors().unwrap(),
                weights,
                "{choice}: weights differ"
            );
            let found = host(lenet.forward(ramp(4, device)));
            let difference = largest_difference(&found, &logits);
            assert!(difference < 1e-4, "{choice}: logits differ by {difference}");
            println!(
                "{choice}: {} logits differ by at most {difference:.1e}",
                config.activation
            );
        }
    }
}

#[test]
fn a_training_step_is_the_same_on_every_device() {
    let images = synthetic::digits(32, 0);
    let config = TrainingConfig::default().with_epochs(1).with_batch_size(32);
    let step = |device: &Device| {
        let network = LeNetConfig::modern(10);
        let run = Trainer::new(&network, &config)
            .fit(&images, device)
            .unwrap();
        let moved = run.lenet.to_device(&Device::flex());
        (
            run.epochs[0].mean_loss,
            host(moved.forward(ramp(4, &Device::flex()))),
        )
    };
    let (loss, logits) = step(&Device::flex());
    for (choice, device) in devices() {
        let (found_loss, found) = step(&device);
        assert!(
            (found_loss - loss).abs() < 1e-4,
            "{choice}: loss {found_loss}, expected {loss}"
        );
        let difference = largest_difference(&found, &logits);
        assert!(
            difference < 1e-3,
            "{choice}: logits after the step differ by {difference}"
        );
        println!("{choice}: logits after one step differ by at most {difference:.1e}");
    }
}
