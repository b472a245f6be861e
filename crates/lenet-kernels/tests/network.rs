//! A step of a whole network against its layers one by one, which have references of their own.

use lenet_kernels::{
    Activation, ConvBackward, ConvPlan, CrossEntropy, DenseBackward, DensePlan, Gradients,
    KernelError, NetworkPlan, Parameters, Pooling, Shape, SimdLevel,
};

struct Network {
    blocks: Vec<ConvPlan>,
    dense: Vec<DensePlan>,
    weights: Vec<(Vec<f32>, Vec<f32>)>,
    image_len: usize,
    classes: usize,
    level: SimdLevel,
}

fn noise(phase: usize, len: usize, scale: f32) -> Vec<f32> {
    let value = |i: usize| ((i as f32 + 1.0) * 12.9898 + phase as f32 * 0.37).sin() * scale;
    (0..len).map(value).collect()
}

impl Network {
    /// Blocks of these output channels on images of `size` × `size` pixels, then dense layers.
    fn new(
        size: usize,
        channels: &[usize],
        hidden: &[usize],
        (activation, pooling): (Activation, Pooling),
        level: SimdLevel,
    ) -> Self {
        let (mut maps, mut in_channels, mut size) = (1, 1, size);
        let image_len = size * size;
        let (mut blocks, mut dense, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        let mut features = image_len;
        for &out_channels in channels {
            let shape = Shape {
                in_channels,
                out_channels,
                height: size,
                width: size,
                kernel_size: 5,
                padding: 2,
            };
            let plan = ConvPlan::new(shape, activation, pooling)
                .unwrap()
                .with_level(level);
            [size, _] = plan.output_size();
            let len = out_channels * in_channels * 25;
            weights.push((noise(maps, len, 0.2), noise(maps + 9, out_channels, 0.1)));
            blocks.push(plan);
            (maps, in_channels, features) = (maps + 1, out_channels, out_channels * size * size);
        }
        let classes = 10;
        for (index, &outputs) in hidden.iter().chain(&[classes]).enumerate() {
            let activation = (index < hidden.len()).then_some(activation);
            dense.push(DensePlan::new([features, outputs], activation).with_level(level));
            let scale = 1.0 / (features as f32).sqrt();
            let weight = noise(maps + index, features * outputs, scale);
            weights.push((weight, noise(maps + index + 5, outputs, 0.1)));
            features = outputs;
        }
        Self {
            blocks,
            dense,
            weights,
            image_len,
            classes,
            level,
        }
    }

    fn parameters(&self) -> Vec<Parameters<'_>> {
        let weights = self.weights.iter();
        weights
            .map(|(weight, bias)| Parameters { weight, bias })
            .collect()
    }

    fn plan(&self) -> NetworkPlan {
        NetworkPlan::new(self.blocks.clone(), self.dense.clone()).unwrap()
    }

    fn by_layer(&self, images: &[f32], labels: &[usize]) -> (f32, Vec<Gradients>) {
        let batch = labels.len();
        let parameters = self.parameters();
        let (of_blocks, of_dense) = parameters.split_at(self.blocks.len());
        let (mut values, mut saved) = (vec![images.to_vec()], Vec::new());
        for (plan, &parameters) in self.blocks.iter().zip(of_blocks) {
            let (output, save) = plan
                .forward(batch, values.last().unwrap(), parameters)
                .unwrap();
            values.push(output);
            saved.push(save);
        }
        for (plan, &parameters) in self.dense.iter().zip(of_dense) {
            values.push(
                plan.forward(batch, values.last().unwrap(), parameters)
                    .unwrap(),
            );
        }
        let logits = self.plan().infer(batch, images, &parameters).unwrap();
        assert_eq!(&logits, values.last().unwrap());
        let loss = CrossEntropy::new(self.classes, labels.to_vec()).unwrap();
        let loss = loss.with_level(self.level);
        let (loss, mut gradient) = loss.forward(&values.pop().unwrap()).unwrap();
        let mut found = Vec::new();
        let mut output = vec![0.0; gradient.len()];
        for (plan, parameters) in self.dense.iter().zip(of_dense).rev() {
            let input = values.pop().unwrap();
            let mut gradients = plan
                .backward(DenseBackward {
                    batch,
                    input: &input,
                    weight: parameters.weight,
                    output: &output,
                    output_gradient: &gradient,
                    input_gradient: true,
                })
                .unwrap();
            gradient = std::mem::take(&mut gradients.input);
            output = input;
            found.push(gradients);
        }
        for (index, plan) in self.blocks.iter().enumerate().rev() {
            let input = values.pop().unwrap();
            let mut gradients = plan
                .backward(ConvBackward {
                    batch,
                    input: &input,
                    weight: of_blocks[index].weight,
                    output: &output,
                    saved: &saved[index],
                    output_gradient: &gradient,
                    input_gradient: index > 0,
                })
                .unwrap();
            gradient = std::mem::take(&mut gradients.input);
            output = input;
            found.push(gradients);
        }
        found.reverse();
        (loss, found)
    }
}

fn samples(network: &Network, batch: usize) -> (Vec<f32>, Vec<usize>) {
    let images = noise(3, batch * network.image_len, 1.0);
    (
        images,
        (0..batch).map(|i| i * 7 % network.classes).collect(),
    )
}

fn assert_same_bits(found: &(f32, Vec<Gradients>), expected: &(f32, Vec<Gradients>)) {
    assert_eq!(found.0.to_bits(), expected.0.to_bits());
    assert_eq!(found.1.len(), expected.1.len());
    for (layer, (found, expected)) in found.1.iter().zip(&expected.1).enumerate() {
        let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert!(
            bits(&found.weight) == bits(&expected.weight),
            "weights of layer {layer}"
        );
        assert!(
            bits(&found.bias) == bits(&expected.bias),
            "biases of layer {layer}"
        );
        assert!(found.input.is_empty());
    }
}

const MODERN: (Activation, Pooling) = (Activation::Relu, Pooling::Max);
const CLASSIC: (Activation, Pooling) = (Activation::Sigmoid, Pooling::Average);

#[test]
fn a_network_computes_the_bits_of_its_layers() {
    for level in SimdLevel::all() {
        for kind in [MODERN, CLASSIC, (Activation::Tanh, Pooling::Max)] {
            for (channels, hidden) in [
                (vec![6, 16], vec![120, 84]),
                (vec![3, 8, 9], vec![20]),
                (vec![5], vec![]),
                (vec![], vec![12]),
            ] {
                let network = Network::new(28, &channels, &hidden, kind, level);
                let (images, labels) = samples(&network, 19);
                let found = network
                    .plan()
                    .gradients(&images, &labels, &network.parameters());
                assert_same_bits(&found.unwrap(), &network.by_layer(&images, &labels));
            }
        }
    }
}

#[test]
fn neither_threads_nor_earlier_batches_change_the_bits() {
    let level = SimdLevel::best();
    for kind in [MODERN, CLASSIC] {
        let network = Network::new(28, &[6, 16], &[120, 84], kind, level);
        let (images, labels) = samples(&network, 50);
        let expected = network.by_layer(&images, &labels);
        let plan = network.plan();
        for threads in [1, 2, 3, 4] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().unwrap().install(|| {
                // A batch of another size leaves its values in the buffers.
                for batch in [3, 50] {
                    let images = &images[..batch * network.image_len];
                    let parameters = network.parameters();
                    let found = plan
                        .gradients(images, &labels[..batch], &parameters)
                        .unwrap();
                    if batch == labels.len() {
                        assert_same_bits(&found, &expected);
                    }
                }
            });
        }
    }
}

#[test]
fn no_images_have_no_logits_no_loss_and_no_gradient() {
    let network = Network::new(12, &[2], &[4], MODERN, SimdLevel::best());
    let (plan, parameters) = (network.plan(), network.parameters());
    assert!(plan.infer(0, &[], &parameters).unwrap().is_empty());
    let (loss, gradients) = plan.gradients(&[], &[], &parameters).unwrap();
    assert!(loss.is_nan());
    let values = gradients
        .iter()
        .flat_map(|layer| layer.weight.iter().chain(&layer.bias));
    assert!(values.into_iter().all(|&value| value == 0.0));
}

#[test]
fn bad_arguments_are_refused() {
    let network = Network::new(12, &[2], &[4], MODERN, SimdLevel::best());
    let plan = network.plan();
    let parameters = network.parameters();
    let (images, labels) = samples(&network, 2);
    let length = |what, expected, found| {
        Err::<(), _>(KernelError::Length {
            what,
            expected,
            found,
        })
    };
    let result = plan
        .gradients(&images[1..], &labels, &parameters)
        .map(|_| ());
    assert_eq!(result, length("images", 288, 287));
    let result = plan
        .gradients(&images, &labels, &parameters[1..])
        .map(|_| ());
    assert_eq!(result, length("parameters", 3, 2));
    let result = plan.gradients(&images, &[0, 10], &parameters).map(|_| ());
    let expected = KernelError::Label {
        label: 10,
        classes: 10,
    };
    assert_eq!(result, Err(expected));
    let result = plan.infer(3, &images, &parameters).map(|_| ());
    assert_eq!(result, length("images", 432, 288));
    let mut short = parameters.clone();
    short[2].bias = &short[2].bias[1..];
    let result = plan.gradients(&images, &labels, &short).map(|_| ());
    assert_eq!(result, length("bias", 10, 9));
}

#[test]
fn layers_that_do_not_fit_are_refused() {
    let dense = |inputs, outputs| DensePlan::new([inputs, outputs], None);
    let layers = |layer, inputs, outputs| KernelError::Layers {
        layer,
        inputs,
        outputs,
    };
    let error = NetworkPlan::new(vec![], vec![dense(4, 3), dense(2, 1)]).unwrap_err();
    assert_eq!(error, layers(2, 2, 3));
    let network = Network::new(12, &[2], &[], MODERN, SimdLevel::best());
    let error = NetworkPlan::new(network.blocks, vec![]).unwrap_err();
    assert_eq!(error, layers(2, 0, 72));
}
