//! With the same weights, images and labels, the network computes what PyTorch computes.
//!
//! `fixtures/pytorch_parity.py` writes the fixtures.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Gradients, Int, Tensor, TensorData};
use lenet::core::{LeNet, LeNetConfig, Weights};
use lenet::train::cross_entropy;
use safetensors::SafeTensors;

const WEIGHTS: &[u8] = include_bytes!("fixtures/weights.safetensors");
const EXPECTED: &[u8] = include_bytes!("fixtures/expected.safetensors");

/// What PyTorch computed.
struct Expected(SafeTensors<'static>);

impl Expected {
    fn load() -> Self {
        Self(SafeTensors::deserialize(EXPECTED).unwrap())
    }

    fn bytes(&self, name: &str) -> &[u8] {
        self.0.tensor(name).unwrap().data()
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        let (numbers, rest) = self.bytes(name).as_chunks::<4>();
        assert!(rest.is_empty());
        numbers
            .iter()
            .map(|&bytes| f32::from_le_bytes(bytes))
            .collect()
    }

    /// The images and labels at these indices.
    fn batch(
        &self,
        indices: impl Iterator<Item = usize>,
        device: &Device,
    ) -> (Tensor<4>, Tensor<1, Int>) {
        let (images, labels) = (self.bytes("images"), self.bytes("labels"));
        let (mut pixels, mut classes) = (Vec::new(), Vec::new());
        for index in indices {
            let image = &images[index * 784..(index + 1) * 784];
            pixels.extend(image.iter().map(|&pixel| f32::from(pixel) / 255.0));
            classes.push(i32::from(labels[index]));
        }
        let batch = classes.len();
        (
            Tensor::from_data(TensorData::new(pixels, [batch, 1, 28, 28]), device),
            Tensor::from_data(TensorData::new(classes, [batch]), device),
        )
    }
}

fn with_pytorch_weights(config: &LeNetConfig, device: &Device) -> LeNet {
    config
        .init(device, 99)
        .unwrap()
        .load_weights(Weights::from_bytes(WEIGHTS).unwrap())
        .unwrap()
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec::<f32>().unwrap()
}

/// The largest absolute difference, and the largest absolute value in `expected`.
fn compare(found: &[f32], expected: &[f32]) -> (f32, f32) {
    assert_eq!(found.len(), expected.len());
    let pairs = found.iter().zip(expected);
    pairs.fold((0.0, 0.0), |(difference, largest), (f, e)| {
        assert!(f.is_finite());
        (
            f32::max(difference, (f - e).abs()),
            f32::max(largest, e.abs()),
        )
    })
}

/// A step of plain SGD at learning rate 0.1.
struct Descent {
    gradients: Gradients,
}

impl ModuleMapper for Descent {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = parameter.consume();
        let gradient = tensor.grad(&self.gradients).unwrap();
        let descended = Tensor::from_inner(tensor.inner() - gradient * 0.1);
        Param::from_mapped_value(id, descended.require_grad(), mapper)
    }
}

fn check(variant: &str, config: &LeNetConfig) {
    let expected = Expected::load();
    let device = Device::flex().autodiff();
    let lenet = with_pytorch_weights(config, &device);

    let (images, labels) = expected.batch(0..64, &device);
    let logits = lenet.forward(images);
    let (difference, _) = compare(
        &host(logits.clone()),
        &expected.floats(&format!("{variant}.logits")),
    );
    assert!(difference < 1e-4, "logits differ by {difference}");
    println!("{variant}: logits differ by at most {difference:.1e}");

    let gradients = cross_entropy(logits, labels).backward();
    let mut found = Vec::new();
    for (i, block) in lenet.conv.iter().enumerate() {
        found.push((
            3 * i,
            host(block.weight.grad(&gradients).unwrap()),
            "weight",
        ));
        found.push((3 * i, host(block.bias.grad(&gradients).unwrap()), "bias"));
    }
    for (i, dense) in lenet.dense.iter().enumerate() {
        let index = 3 * lenet.conv.len() + 1 + 2 * i;
        let weight = dense.weight.grad(&gradients).unwrap();
        found.push((index, host(weight.transpose()), "weight"));
        found.push((index, host(dense.bias.grad(&gradients).unwrap()), "bias"));
    }
    assert_eq!(found.len(), 10);
    let mut worst = 0.0_f32;
    for (index, gradient, kind) in found {
        let name = format!("{variant}.gradient.net.{index}.{kind}");
        let (difference, largest) = compare(&gradient, &expected.floats(&name));
        assert!(
            difference <= 1e-4 * largest,
            "{name} differs by {difference}, and its largest value is {largest}"
        );
        worst = worst.max(difference / largest);
    }
    println!("{variant}: gradients differ by at most {worst:.1e} of the parameter's largest");

    let mut lenet = lenet;
    let mut losses = Vec::new();
    for step in 0..20 {
        let (images, labels) = expected.batch((0..16).map(|i| (step * 16 + i) % 64), &device);
        let loss = cross_entropy(lenet.forward(images), labels);
        let gradients = loss.backward();
        losses.extend(host(loss.inner()));
        lenet = lenet.map(&mut Descent { gradients });
    }
    let (difference, _) = compare(&losses, &expected.floats(&format!("{variant}.losses")));
    assert!(
        difference < 1e-3,
        "losses differ by {difference}: {losses:?}"
    );
    assert!(losses[19] != losses[0]);
    println!("{variant}: losses of 20 steps differ by at most {difference:.1e}");
}

#[test]
fn classic_agrees_with_pytorch() {
    check("classic", &LeNetConfig::classic(10));
}

#[test]
fn modern_agrees_with_pytorch() {
    check("modern", &LeNetConfig::modern(10));
}

/// In the other direction, a saved file has the keys, shapes and values of the state_dict.
#[test]
fn a_loaded_state_dict_is_saved_unchanged() {
    let lenet = with_pytorch_weights(&LeNetConfig::classic(10), &Device::flex());
    let saved = lenet.to_safetensors().unwrap();
    let (saved, original) = (
        SafeTensors::deserialize(&saved).unwrap(),
        SafeTensors::deserialize(WEIGHTS).unwrap(),
    );
    assert_eq!(saved.len(), original.len());
    for (name, tensor) in original.tensors() {
        assert_eq!(saved.tensor(&name).unwrap(), tensor, "{name}");
    }
}
