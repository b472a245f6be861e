//! The fused layers on Flex compared with the same layers composed of burn's operations.

use burn::module::Param;
use burn::tensor::module::{avg_pool2d, conv2d, linear, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use lenet_core::{
    Activation, ConvBlock, LeNet, LeNetConfig, Pooling, conv_block, cross_entropy, dense, read_back,
};
use proptest::prelude::*;

fn composed(
    input: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    padding: usize,
    function: Activation,
    pooling: Pooling,
) -> Tensor<4> {
    let options = ConvOptions::new([1, 1], [padding, padding], [1, 1], 1);
    let output = activated(conv2d(input, weight, Some(bias), options), function);
    match pooling {
        Pooling::Average => avg_pool2d(output, AvgPoolOptions::new([2, 2])),
        _ => max_pool2d(output, MaxPoolOptions::new([2, 2])),
    }
}

fn activated<const D: usize>(maps: Tensor<D>, function: Activation) -> Tensor<D> {
    match function {
        Activation::Sigmoid => activation::sigmoid(maps),
        Activation::Relu => activation::relu(maps),
        _ => activation::tanh(maps),
    }
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    read_back(tensor).unwrap()
}

/// Pseudorandom numbers without ties.
fn values<const D: usize>(shape: [usize; D], phase: f32, device: &Device) -> Tensor<D> {
    let len: usize = shape.iter().product();
    let values: Vec<f32> = (0..len)
        .map(|i| (i as f32 * 12.9898 + phase).sin() * 0.7)
        .collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Compares output and gradients, with a tolerance relative to the largest value.
fn compare(found: &[Vec<f32>; 4], expected: &[Vec<f32>; 4]) -> Result<(), TestCaseError> {
    for (found, expected) in found.iter().zip(expected) {
        prop_assert_eq!(found.len(), expected.len());
        // When hundreds of terms cancel, the rounding error is that of the terms, not of their sum.
        let largest = expected
            .iter()
            .fold(1.0_f32, |most, value| most.max(value.abs()));
        for (found, expected) in found.iter().zip(expected) {
            let difference = (found - expected).abs();
            prop_assert!(
                difference <= 1e-5 * largest,
                "expected {expected}, found {found}"
            );
        }
    }
    Ok(())
}

/// Whether rounding could change the sign of some value.
fn has_kink<const D: usize>(values: Tensor<D>) -> bool {
    host(values).iter().any(|value| value.abs() < 1e-5)
}

/// Whether rounding could change the order of the two largest values of some window.
fn has_near_tie(maps: Tensor<4>) -> bool {
    let [_, _, height, width] = maps.dims();
    host(maps).chunks(height * width).any(|map| {
        (0..(height / 2) * (width / 2)).any(|i| {
            let (y, x) = (2 * (i / (width / 2)), 2 * (i % (width / 2)));
            let mut window =
                [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(dy, dx)| map[(y + dy) * width + x + dx]);
            window.sort_by(f32::total_cmp);
            window[3] != 0.0 && window[3] - window[2] < 1e-5
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn the_kernels_and_burns_operations_agree(
        batch in 1_usize..10,
        in_channels in 1_usize..4,
        out_channels in 1_usize..10,
        size in [6_usize..16, 6_usize..16],
        kernel_size in 1_usize..6,
        padding in 0_usize..3,
        function in prop::sample::select(vec![Activation::Sigmoid, Activation::Relu, Activation::Tanh]),
        pooling in prop::sample::select(vec![Pooling::Average, Pooling::Max]),
    ) {
        let device = Device::flex().autodiff();
        let [height, width] = size;
        let input = values([batch, in_channels, height, width], 0.1, &device).require_grad();
        let weight = values([out_channels, in_channels, kernel_size, kernel_size], 0.2, &device);
        let weight = weight.require_grad();
        let bias = values([out_channels], 0.3, &device).require_grad();

        let options = ConvOptions::new([1, 1], [padding, padding], [1, 1], 1);
        let maps = conv2d(input.clone(), weight.clone(), Some(bias.clone()), options);
        prop_assume!(function != Activation::Relu || !has_kink(maps.clone()));
        prop_assume!(pooling == Pooling::Average || !has_near_tie(activated(maps, function)));

        let run = |block: fn(Tensor<4>, Tensor<4>, Tensor<1>, usize, Activation, Pooling) -> Tensor<4>| {
            let output = block(input.clone(), weight.clone(), bias.clone(), padding, function, pooling);
            let gradients = (output.clone() * values(output.dims(), 0.4, &device)).sum().backward();
            [
                host(output),
                host(input.grad(&gradients).unwrap()),
                host(weight.grad(&gradients).unwrap()),
                host(bias.grad(&gradients).unwrap()),
            ]
        };
        compare(&run(conv_block), &run(composed))?;
    }

    #[test]
    fn dense_layers_agree_too(
        batch in 1_usize..40,
        inputs in 1_usize..60,
        outputs in 1_usize..60,
        function in prop::sample::select(vec![
            None, Some(Activation::Sigmoid), Some(Activation::Relu), Some(Activation::Tanh),
        ]),
    ) {
        let device = Device::flex().autodiff();
        let input = values([batch, inputs], 0.1, &device).require_grad();
        let weight = values([inputs, outputs], 0.2, &device).require_grad();
        let bias = values([outputs], 0.3, &device).require_grad();
        let before = linear(input.clone(), weight.clone(), Some(bias.clone()));
        prop_assume!(function != Some(Activation::Relu) || !has_kink(before));
        let run = |layer: fn(Tensor<2>, Tensor<2>, Tensor<1>, Option<Activation>) -> Tensor<2>| {
            let output = layer(input.clone(), weight.clone(), bias.clone(), function);
            let gradients = (output.clone() * values(output.dims(), 0.4, &device)).sum().backward();
            [
                host(output),
                host(input.grad(&gradients).unwrap()),
                host(weight.grad(&gradients).unwrap()),
                host(bias.grad(&gradients).unwrap()),
            ]
        };
        compare(&run(dense), &run(|input, weight, bias, function| {
            let output = linear(input, weight, Some(bias));
            function.map_or(output.clone(), |function| activated(output, function))
        }))?;
    }
}

/// The loss is also part of a larger expression.
#[test]
fn cross_entropies_agree_and_so_do_their_gradients() {
    let device = Device::flex().autodiff();
    for (batch, classes) in [(1, 10), (7, 3), (128, 10)] {
        let logits = (values([batch, classes], 0.1, &device) * 20.0).require_grad();
        let labels: Vec<i64> = (0..batch as i64).map(|i| i * 7 % classes as i64).collect();
        let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [batch]), &device);
        let found = cross_entropy(logits.clone(), labels.clone());
        let gradients = (found.clone() * 3.0).backward();
        let gradient = host(logits.grad(&gradients).unwrap());

        let expected = activation::log_softmax(logits.clone(), 1);
        let expected = -expected.gather(1, labels.unsqueeze_dim(1)).mean();
        let gradients = (expected.clone() * 3.0).backward();
        let expected_gradient = host(logits.grad(&gradients).unwrap());

        let (found, expected) = (host(found)[0], host(expected)[0]);
        assert!(
            (found - expected).abs() <= 1e-6 * expected,
            "expected {expected}, found {found}"
        );
        for (found, expected) in gradient.iter().zip(&expected_gradient) {
            let difference = (found - expected).abs() * batch as f32;
            assert!(difference <= 3e-6, "expected {expected}, found {found}");
        }
    }
}

/// Tensors that do not require a gradient get none, and a device without autodiff records no graph.
#[test]
fn gradients_go_only_where_they_are_wanted() {
    let device = Device::flex().autodiff();
    let input = values([2, 1, 8, 8], 0.0, &device);
    let weight = values([3, 1, 3, 3], 0.0, &device).require_grad();
    let bias = values([3], 0.0, &device);
    let block =
        |input, weight, bias| conv_block(input, weight, bias, 1, Activation::Relu, Pooling::Max);
    let output = block(input.clone(), weight.clone(), bias.clone());
    let gradients = output.sum().backward();
    assert!(weight.grad(&gradients).is_some());
    assert!(input.grad(&gradients).is_none() && bias.grad(&gradients).is_none());

    let plain = block(input.inner(), weight.inner(), bias.inner());
    assert!(!plain.is_autodiff());
    assert_eq!(plain.dims(), [2, 3, 4, 4]);
}

/// A view is read in its own order, not in that of its memory.
#[test]
fn a_transposed_input_is_read_in_its_own_order() {
    let device = Device::flex();
    let weight = values([2, 1, 3, 3], 0.0, &device);
    let bias = values([2], 0.0, &device);
    let input = values([1, 1, 6, 9], 0.5, &device).swap_dims(2, 3);
    let copy = Tensor::from_data(input.to_data(), &device);
    let block = |input| {
        conv_block(
            input,
            weight.clone(),
            bias.clone(),
            1,
            Activation::Tanh,
            Pooling::Average,
        )
    };
    assert_eq!(host(block(input)), host(block(copy)));
}

/// The plan of the first call is kept; it must not be used for a call that differs in size, padding, activation or
/// pooling, nor show in what burn prints.
#[test]
fn a_block_computes_what_the_function_computes_whatever_came_before() {
    let device = Device::flex();
    let weight = Param::from_tensor(values([3, 2, 3, 3], 0.1, &device));
    let bias = Param::from_tensor(values([3], 0.2, &device));
    let mut block = ConvBlock::new(weight.clone(), bias.clone(), 1);
    let printed = block.to_string();
    for (size, padding, function, pooling) in [
        (8, 1, Activation::Relu, Pooling::Max),
        (10, 1, Activation::Relu, Pooling::Max),
        (8, 2, Activation::Relu, Pooling::Max),
        (8, 1, Activation::Tanh, Pooling::Max),
        (8, 1, Activation::Relu, Pooling::Average),
        (8, 1, Activation::Relu, Pooling::Max),
    ] {
        block.padding = padding;
        let input = values([2, 2, size, size], 0.3, &device);
        let expected = conv_block(
            input.clone(),
            weight.val(),
            bias.val(),
            padding,
            function,
            pooling,
        );
        let found = block.clone().forward(input.clone(), function, pooling);
        assert_eq!(host(found), host(expected.clone()));
        assert_eq!(
            host(block.forward(input, function, pooling)),
            host(expected)
        );
    }
    assert_eq!(block.to_string(), printed);
    assert!(
        printed.contains("padding: 1") && !printed.contains("plan"),
        "{printed}"
    );
}

/// The loss and the gradients of all parameters, as bits.
fn bits(lenet: &LeNet, loss: &Tensor<1>) -> Vec<Vec<u32>> {
    let gradients = loss.backward();
    let mut all = vec![host(loss.clone().inner())];
    for block in &lenet.conv {
        all.push(host(block.weight.val().grad(&gradients).unwrap()));
        all.push(host(block.bias.val().grad(&gradients).unwrap()));
    }
    for dense in &lenet.dense {
        all.push(host(dense.weight.val().grad(&gradients).unwrap()));
        all.push(host(dense.bias.val().grad(&gradients).unwrap()));
    }
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect();
    all.into_iter().map(bits).collect()
}

#[test]
fn the_loss_of_a_network_has_the_bits_of_its_layers() {
    let device = Device::flex().autodiff();
    for config in [
        LeNetConfig::modern(10),
        LeNetConfig::classic(10),
        LeNetConfig::tweakable(10).with_kernel_size(7),
        LeNetConfig::tweakable(10).with_out_channels([6, 16, 22]),
    ] {
        let lenet = config.init(&device, 1).unwrap();
        // A second batch of another size uses the same plan.
        for batch in [13, 5] {
            let images = values([batch, 1, 28, 28], 0.3, &device);
            let labels: Vec<_> = (0..batch as i32).map(|i| i * 3 % 10).collect();
            let labels = Tensor::<1, Int>::from_data(labels.as_slice(), &device);
            let loss = || lenet.loss(images.clone(), labels.clone());
            let by_layer = || cross_entropy(lenet.forward(images.clone()), labels.clone());
            assert!(
                bits(&lenet, &loss()) == bits(&lenet, &by_layer()),
                "{config:?}"
            );
            // As a part of another loss.
            let doubled = bits(&lenet, &loss().mul_scalar(2.0));
            assert!(
                doubled == bits(&lenet, &by_layer().mul_scalar(2.0)),
                "{config:?}"
            );
        }
    }
}

#[test]
fn the_loss_has_a_gradient_of_the_images_if_they_require_one() {
    let device = Device::flex().autodiff();
    let lenet = LeNetConfig::modern(10).init(&device, 1).unwrap();
    let images = values([2, 1, 28, 28], 0.3, &device).require_grad();
    let labels = Tensor::<1, Int>::from_data([3, 4], &device);
    let gradients = lenet.loss(images.clone(), labels).backward();
    let gradient = host(images.grad(&gradients).unwrap());
    assert!(gradient.iter().any(|&value| value != 0.0));
}

#[test]
fn the_loss_without_gradients_is_the_same() {
    let device = Device::flex();
    let lenet = LeNetConfig::modern(10).init(&device, 1).unwrap();
    let tracked = LeNetConfig::modern(10)
        .init(&device.clone().autodiff(), 1)
        .unwrap();
    let loss = |lenet: &LeNet, device: &Device| {
        let images = values([9, 1, 28, 28], 0.3, device);
        let labels = Tensor::<1, Int>::from_data([3, 4, 0, 1, 2, 9, 8, 7, 6], device);
        lenet.loss(images, labels)
    };
    let expected = host(loss(&lenet, &device));
    assert_eq!(host(loss(&tracked, &device.autodiff()).inner()), expected);
}

#[test]
fn logits_of_a_network_have_the_bits_of_its_layers() {
    let device = Device::flex();
    for config in [LeNetConfig::modern(10), LeNetConfig::classic(10)] {
        let lenet = config.init(&device, 1).unwrap();
        for batch in [1, 8, 29, 0] {
            let images = values([batch, 1, 28, 28], 0.3, &device);
            let found = lenet.forward(images.clone());
            assert_eq!(found.dims(), [batch, 10]);
            let blocks = lenet.conv.iter().fold(images, |maps, block| {
                block.forward(maps, config.activation, config.pooling)
            });
            let [first, second, third] = &*lenet.dense else {
                panic!("three dense layers");
            };
            let features = first.forward(blocks.flatten(1, 3), Some(config.activation));
            let features = second.forward(features, Some(config.activation));
            assert_eq!(host(found), host(third.forward(features, None)));
        }
    }
}

#[test]
fn logits_record_a_graph_where_it_is_wanted() {
    let device = Device::flex().autodiff();
    let lenet = LeNetConfig::modern(10).init(&device, 1).unwrap();
    let logits = lenet.forward(values([2, 1, 28, 28], 0.3, &device));
    assert!(logits.is_tracked());
    let plain = Device::flex();
    let lenet = LeNetConfig::modern(10).init(&plain, 1).unwrap();
    let images = values([2, 1, 28, 28], 0.3, &device).require_grad();
    let gradients = lenet.forward(images.clone()).sum().backward();
    assert!(images.grad(&gradients).is_some());
}
