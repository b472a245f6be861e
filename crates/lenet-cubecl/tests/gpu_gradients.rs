//! Losses and gradients of whole networks beside those of `lenet-kernels`, for the geometries of the exercises.

use lenet_cubecl::{GpuConvBlock, GpuDense, LayerPass, Layers, Place};
use lenet_kernels::{Activation, Pooling, Shape};

use crate::tools::{
    assert_close, batch, classic, client, ensemble, expected, layers, look, modern, order,
    parameters,
};

/// Compares `networks` networks side by side, each with its own parameters and images.
fn compare(networks: usize, images: usize, batch_size: usize, layers: &Layers) {
    let orders: Vec<_> = (0..networks).map(|seed| order(images, seed)).collect();
    compare_orders(&orders, images, batch_size, layers);
}

fn compare_orders(orders: &[Vec<Place>], images: usize, batch_size: usize, layers: &Layers) {
    let mut ensemble = ensemble(layers, images, batch_size);
    for (seed, order) in orders.iter().enumerate() {
        let index = ensemble
            .push(&parameters(layers, seed), None)
            .expect("parameters that fit");
        ensemble.set_order(index, order).expect("places of images");
    }
    // The last step of an epoch, which has fewer images.
    let start = images / batch_size * batch_size;
    let steps = vec![look(start, images - start); orders.len()];
    ensemble.step(&steps).expect("a step for each network");

    for (seed, order) in orders.iter().enumerate() {
        let loss = ensemble.take_losses(seed).expect("a working device");
        let gradients = ensemble.velocities(seed).expect("a working device");
        let (values, labels) = batch(images, layers.blocks[0].height, &order[start..]);
        let (expected_loss, expected) =
            expected(layers, &parameters(layers, seed), &values, &labels);
        assert_close("loss", &loss, &[expected_loss]);
        for (index, (found, expected)) in gradients.iter().zip(&expected).enumerate() {
            assert_close(
                &format!("parameter {index} of network {seed}"),
                found,
                expected,
            );
        }
        assert_eq!(
            ensemble.parameters(seed).expect("a working device"),
            parameters(layers, seed)
        );
    }
}

#[test]
fn of_the_presets() {
    compare(1, 19, 10, &modern());
    compare(1, 19, 10, &classic());
}

#[test]
fn of_several_networks_side_by_side() {
    compare(3, 41, 40, &modern());
    compare(3, 77, 40, &classic());
}

#[test]
fn of_many_images() {
    // Units compute several results, cubes several images, and chunks of the gradients have several as well.
    let max = layers(12, Activation::Relu, Pooling::Max, 3, &[4]);
    compare(1, 5001, 2501, &max);
    let average = layers(16, Activation::Tanh, Pooling::Average, 3, &[6, 4]);
    compare(3, 1601, 801, &average);
}

#[test]
fn of_large_images() {
    // Rows of windows are divided over several cubes.
    let max = layers(70, Activation::Relu, Pooling::Max, 5, &[3, 2]);
    compare(1, 5, 3, &max);
    let average = layers(70, Activation::Sigmoid, Pooling::Average, 4, &[3, 2]);
    compare(2, 5, 3, &average);
}

#[test]
fn of_other_kernels() {
    for kernel_size in [3, 7, 11] {
        let channels = if kernel_size < 11 { &[6, 16][..] } else { &[6] };
        compare(
            2,
            7,
            4,
            &layers(28, Activation::Relu, Pooling::Max, kernel_size, channels),
        );
        compare(
            1,
            7,
            4,
            &layers(
                28,
                Activation::Tanh,
                Pooling::Average,
                kernel_size,
                channels,
            ),
        );
    }
}

#[test]
fn of_other_channels_and_sizes() {
    compare(
        1,
        7,
        4,
        &layers(28, Activation::Relu, Pooling::Max, 5, &[24, 44]),
    );
    compare(
        2,
        7,
        4,
        &layers(28, Activation::Relu, Pooling::Max, 5, &[12, 22]),
    );
    compare(
        2,
        7,
        4,
        &layers(25, Activation::Tanh, Pooling::Max, 3, &[5, 7, 3]),
    );
    compare(
        2,
        7,
        4,
        &layers(11, Activation::Sigmoid, Pooling::Average, 2, &[1]),
    );
}

#[test]
fn of_wide_padding_and_a_single_dense_layer() {
    let layers = Layers {
        blocks: vec![Shape {
            in_channels: 1,
            out_channels: 3,
            height: 9,
            width: 9,
            kernel_size: 4,
            padding: 3,
        }],
        dense: vec![[3 * 6 * 6, 10]],
        activation: Activation::Relu,
        pooling: Pooling::Max,
    };
    compare(2, 9, 5, &layers);
}

#[test]
fn of_changed_images() {
    let mut places = order(11, 0);
    let changes = [
        (true, 0, 0),
        (false, 2, -3),
        (true, -4, 1),
        (false, 255, 0),
        (true, -255, 255),
    ];
    for (place, (flip, down, right)) in places[6..].iter_mut().zip(changes) {
        *place = Place {
            flip,
            down,
            right,
            ..*place
        };
    }
    compare_orders(
        &[places],
        11,
        6,
        &layers(16, Activation::Relu, Pooling::Max, 5, &[6]),
    );
}

#[test]
fn of_no_images_are_zero() {
    let client = client();
    let shape = Shape {
        in_channels: 2,
        out_channels: 3,
        height: 6,
        width: 6,
        kernel_size: 3,
        padding: 0,
    };
    let empty = || client.empty(0);
    let pass = |weight| LayerPass {
        input: empty(),
        weight,
        output: empty(),
        output_gradient: empty(),
        wants_input_gradient: true,
    };
    let floats = |len: usize| client.empty(len * size_of::<f32>());
    let block = GpuConvBlock::new(shape, Activation::Relu, Pooling::Max).expect("a valid shape");
    let of_block = block.backward(&client, 0, pass(floats(54)), empty());
    let dense = GpuDense::new([4, 5], Some(Activation::Tanh));
    let of_dense = dense.backward(&client, 0, pass(floats(20)));
    for (gradients, lens) in [(of_block, [54, 3]), (of_dense, [20, 5])] {
        let gradients = gradients.expect("as many values as no images have");
        for (handle, len) in [gradients.weight, gradients.bias].into_iter().zip(lens) {
            let bytes = client.read_one(handle).expect("a working device");
            assert_eq!(
                bytes[..len * size_of::<f32>()],
                vec![0; len * size_of::<f32>()]
            );
        }
    }
}
