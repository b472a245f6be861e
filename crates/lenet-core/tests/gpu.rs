//! The layers on a GPU beside those on the CPU.
//!
//! Without an adapter, nothing is tested, unless `LENET_REQUIRE_WGPU` is set, as in CI: then it is a failure.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use lenet_core::{DeviceChoice, LeNet, LeNetConfig, read_back};

fn gpu() -> Option<Device> {
    match DeviceChoice::Wgpu.select() {
        Ok(selected) => Some(selected.device),
        Err(error) => {
            let required = std::env::var_os("LENET_REQUIRE_WGPU").is_some();
            assert!(!required, "{error}");
            println!("not tested: {error}");
            None
        }
    }
}

fn images(batch: usize, device: &Device) -> Tensor<4> {
    let pixel = |i: usize| (i as f32 * 12.9898).sin().abs();
    let pixels: Vec<f32> = (0..batch * 784).map(pixel).collect();
    Tensor::from_data(TensorData::new(pixels, [batch, 1, 28, 28]), device)
}

/// The gradients of all parameters, in the order of the network.
struct Collect<'a> {
    gradients: &'a Gradients,
    found: Vec<Vec<f32>>,
}

impl ModuleVisitor for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let gradient = parameter.val().grad(self.gradients).unwrap();
        self.found.push(read_back(gradient).unwrap());
    }
}

fn parameter_gradients(lenet: &LeNet, gradients: &Gradients) -> Vec<Vec<f32>> {
    let mut collect = Collect {
        gradients,
        found: Vec::new(),
    };
    lenet.visit(&mut collect);
    collect.found
}

/// The loss and all gradients, those of the images last; the loss is a part of another one.
fn loss(config: &LeNetConfig, device: &Device) -> (f32, Vec<Vec<f32>>) {
    const BATCH: usize = 7;
    let device = device.clone().autodiff();
    let lenet = config.init(&device, 3).unwrap();
    let images = images(BATCH, &device).require_grad();
    let labels = Tensor::from_data([0, 9, 3, 3, 5, 7, 1], &device);
    let loss = lenet.loss(images.clone(), labels) * 2.0;
    let gradients = loss.backward();
    let mut found = parameter_gradients(&lenet, &gradients);
    found.push(read_back(images.grad(&gradients).unwrap()).unwrap());
    (read_back(loss.inner()).unwrap()[0], found)
}

#[test]
fn a_gpu_computes_the_losses_and_gradients_of_the_cpu() {
    let Some(device) = gpu() else { return };
    let tweakable = LeNetConfig::tweakable(10);
    for config in [
        LeNetConfig::modern(10),
        LeNetConfig::classic(10),
        tweakable.clone().with_kernel_size(7),
        tweakable.with_out_channels([24, 44]),
    ] {
        let (expected, expected_gradients) = loss(&config, &Device::flex());
        let (found, gradients) = loss(&config, &device);
        assert!(
            (found - expected).abs() < 1e-4,
            "{found}, expected {expected}"
        );
        assert_eq!(gradients.len(), expected_gradients.len());
        for (index, (found, expected)) in gradients.iter().zip(&expected_gradients).enumerate() {
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                let difference = (found - expected).abs();
                assert!(
                    difference < 1e-4,
                    "gradient {index}: {found}, expected {expected}"
                );
            }
        }
    }
}

#[test]
fn a_gpu_trains_the_parameters_without_the_gradient_of_the_images() {
    let Some(device) = gpu() else { return };
    let [found, expected] = [device, Device::flex()].map(|device| {
        let device = device.autodiff();
        let lenet = LeNetConfig::modern(10).init(&device, 3).unwrap();
        let labels = Tensor::from_data([4, 2], &device);
        let gradients = lenet.loss(images(2, &device), labels).backward();
        parameter_gradients(&lenet, &gradients)
    });
    for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
        assert!(
            (found - expected).abs() < 1e-4,
            "{found}, expected {expected}"
        );
    }
}
