//! Networks that come, go and train side by side.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread::{ThreadId, current};

use cubecl::logging::{LaunchObservation, LaunchObserver};
use lenet_cubecl::{DeviceImages, Ensemble, GpuError, Layers, Step};
use lenet_kernels::{Activation, Pooling};

use crate::tools::{
    assert_close, batch, client, ensemble, expected, layers, look, order, parameters,
};

const IMAGES: usize = 40;
const BATCH: usize = 8;

fn small() -> Layers {
    layers(16, Activation::Tanh, Pooling::Max, 5, &[6, 4])
}

/// Steps with everything that SGD offers, other rates for each network.
fn step(number: usize, network: usize) -> Step {
    Step {
        start: number * BATCH,
        images: BATCH,
        learning_rate: 0.1 + 0.05 * network as f32,
        momentum: 0.9,
        weight_decay: 0.01,
        gradient_clipping: (network != 1).then_some(0.05),
    }
}

#[test]
fn descends_as_defined() {
    let layers = small();
    let mut ensemble = ensemble(&layers, IMAGES, BATCH);
    let order = order(IMAGES, 3);
    let mut weights = [parameters(&layers, 0), parameters(&layers, 1)];
    let mut velocities: [Vec<Vec<f32>>; 2] = [Vec::new(), Vec::new()];
    for weights in &weights {
        let index = ensemble.push(weights, None).expect("parameters that fit");
        ensemble.set_order(index, &order).expect("places of images");
    }
    for number in 0..5 {
        let steps = [step(number, 0), step(number, 1)];
        ensemble.step(&steps).expect("a step for each network");
        let (values, labels) = batch(IMAGES, 16, &order[steps[0].start..][..BATCH]);
        for (network, step) in steps.iter().enumerate() {
            let weights = &mut weights[network];
            let velocities = &mut velocities[network];
            let (loss, mut gradients) = expected(&layers, weights, &values, &labels);
            let losses = ensemble.take_losses(network).expect("a working device");
            assert_close("loss", &losses, &[loss]);
            for (index, (weight, gradient)) in weights.iter_mut().zip(&mut gradients).enumerate() {
                let norm = gradient
                    .iter()
                    .map(|value| value * value)
                    .sum::<f32>()
                    .sqrt();
                let scale = step
                    .gradient_clipping
                    .map_or(1.0, |limit| (limit / norm).min(1.0));
                for (value, gradient) in weight.iter().zip(gradient.iter_mut()) {
                    *gradient = *gradient * scale + 0.01 * value;
                }
                match velocities.get_mut(index) {
                    Some(velocity) => {
                        for (velocity, gradient) in velocity.iter_mut().zip(gradient) {
                            *velocity = 0.9 * *velocity + *gradient;
                        }
                    }
                    None => velocities.push(gradient.clone()),
                }
                for (value, velocity) in weight.iter_mut().zip(&velocities[index]) {
                    *value -= step.learning_rate * velocity;
                }
            }
        }
    }
    for network in 0..2 {
        let found = ensemble.parameters(network).expect("a working device");
        for (found, expected) in found.iter().zip(&weights[network]) {
            assert_close("parameter", found, expected);
        }
        let found = ensemble.velocities(network).expect("a working device");
        for (found, expected) in found.iter().zip(&velocities[network]) {
            assert_close("velocity", found, expected);
        }
    }
}

/// The state of a network after some steps, beside others or alone.
#[derive(Debug, PartialEq)]
struct Trained {
    parameters: Vec<Vec<f32>>,
    velocities: Vec<Vec<f32>>,
    losses: Vec<f32>,
}

fn state(ensemble: &mut Ensemble, index: usize) -> Trained {
    Trained {
        parameters: ensemble.parameters(index).expect("a working device"),
        velocities: ensemble.velocities(index).expect("a working device"),
        losses: ensemble.take_losses(index).expect("a working device"),
    }
}

#[test]
fn networks_that_come_and_go_keep_their_bits() {
    let layers = small();
    let alone = |network: usize, steps: std::ops::Range<usize>| {
        let mut ensemble = ensemble(&layers, IMAGES, BATCH);
        ensemble
            .push(&parameters(&layers, network), None)
            .expect("parameters that fit");
        ensemble
            .set_order(0, &order(IMAGES, network))
            .expect("places of images");
        for number in steps {
            ensemble
                .step(&[step(number, network)])
                .expect("a step for each network");
        }
        state(&mut ensemble, 0)
    };

    let mut ensemble = ensemble(&layers, IMAGES, BATCH);
    let push = |ensemble: &mut Ensemble, network: usize| {
        let index = ensemble.push(&parameters(&layers, network), None);
        let index = index.expect("parameters that fit");
        ensemble
            .set_order(index, &order(IMAGES, network))
            .expect("places of images");
    };
    push(&mut ensemble, 0);
    ensemble
        .step(&[step(0, 0)])
        .expect("a step for each network");
    push(&mut ensemble, 1);
    push(&mut ensemble, 2);
    let steps = [step(1, 0), step(1, 1), step(1, 2)];
    ensemble.step(&steps).expect("a step for each network");
    assert_eq!(state(&mut ensemble, 0), alone(0, 0..2));

    // The third network is number 0 from here on.
    ensemble.swap_remove(0).expect("a working device");
    let steps = [step(2, 2), step(2, 1)];
    ensemble.step(&steps).expect("a step for each network");
    assert_eq!(state(&mut ensemble, 0), alone(2, 1..3));
    assert_eq!(state(&mut ensemble, 1), alone(1, 1..3));

    // Continued elsewhere, as from a checkpoint.
    let saved = state(&mut ensemble, 1);
    let mut elsewhere = crate::tools::ensemble(&layers, IMAGES, BATCH);
    elsewhere
        .push(&saved.parameters, Some(&saved.velocities))
        .expect("parameters that fit");
    elsewhere
        .set_order(0, &order(IMAGES, 1))
        .expect("places of images");
    elsewhere
        .step(&[step(3, 1)])
        .expect("a step for each network");
    let expected = alone(1, 1..4);
    let found = state(&mut elsewhere, 0);
    assert_eq!(found.parameters, expected.parameters);
    assert_eq!(found.losses, expected.losses[2..]);
}

#[test]
fn many_networks_keep_their_bits() {
    // So many that units compute several results, and cubes several images, which they do not for one.
    const NETWORKS: usize = 16;
    const BATCH: usize = 64;
    let mut layers = layers(28, Activation::Relu, Pooling::Max, 5, &[6, 16]);
    layers.dense = vec![[400, 120], [120, 84], [84, 10]];
    let train = |networks: std::ops::Range<usize>| {
        let mut ensemble = ensemble(&layers, 2 * BATCH, BATCH);
        for network in networks.clone() {
            let index = ensemble.push(&parameters(&layers, network), None);
            let index = index.expect("parameters that fit");
            ensemble
                .set_order(index, &order(2 * BATCH, network))
                .expect("places of images");
        }
        for number in 0..2 {
            let steps = networks.clone().map(|network| Step {
                start: number * BATCH,
                images: BATCH,
                ..step(0, network)
            });
            ensemble
                .step(&steps.collect::<Vec<_>>())
                .expect("a step for each network");
        }
        state(&mut ensemble, networks.len() - 1)
    };
    assert_eq!(
        train(0..NETWORKS),
        train(NETWORKS - 1..NETWORKS),
        "the last network beside the others and alone"
    );
}

#[test]
fn keeps_the_losses_of_many_steps() {
    let layers = small();
    let mut ensemble = ensemble(&layers, IMAGES, BATCH);
    ensemble
        .push(&parameters(&layers, 0), None)
        .expect("parameters that fit");
    ensemble
        .set_order(0, &order(IMAGES, 0))
        .expect("places of images");
    for number in 0..150 {
        ensemble
            .step(&[look(number % 5 * BATCH, BATCH)])
            .expect("a step for each network");
    }
    let losses = ensemble.take_losses(0).expect("a working device");
    assert_eq!(losses.len(), 150);
    assert_eq!(losses[..5], losses[145..]);
    assert!(losses[0].is_finite() && losses[0] != losses[1]);
    assert!(
        ensemble
            .take_losses(0)
            .expect("a working device")
            .is_empty()
    );
}

/// The threads that launched the end of a step.
#[derive(Default)]
struct StepsLaunched(Mutex<Vec<ThreadId>>);

impl LaunchObserver for StepsLaunched {
    fn launched(&self, kernel: &'static str) {
        if kernel.contains("Descend") {
            let mut threads = self.0.lock().expect("an observer does not panic");
            threads.push(current().id());
        }
    }
}

#[test]
fn recorded_steps_keep_their_bits() {
    const STEPS: usize = 40;
    let layers = small();
    let train = |reads_each_loss: bool| {
        let mut ensemble = ensemble(&layers, IMAGES, BATCH);
        for network in 0..2 {
            ensemble
                .push(&parameters(&layers, network), None)
                .expect("parameters that fit");
            ensemble
                .set_order(network, &order(IMAGES, network))
                .expect("places of images");
        }
        let mut losses = Vec::new();
        for number in 0..STEPS {
            // The last steps have fewer images, and clip only in between.
            let step = |network| {
                let step = step(number % 5, network);
                let gradient_clipping = step.gradient_clipping.filter(|_| number / 10 % 2 == 1);
                Step {
                    images: BATCH - number / 30,
                    gradient_clipping,
                    ..step
                }
            };
            let steps = [step(0), step(1)];
            ensemble.step(&steps).expect("a step for each network");
            // Which makes the step alone, without the others that wait.
            if reads_each_loss {
                losses.extend(ensemble.take_losses(1).expect("a working device"));
            }
        }
        losses.extend(ensemble.take_losses(1).expect("a working device"));
        assert_eq!(losses.len(), STEPS);
        (losses, [0, 1].map(|network| state(&mut ensemble, network)))
    };
    // Those that are recorded are launched on another thread, and replays are not reported.
    let launched = Arc::new(StepsLaunched::default());
    let observation = LaunchObservation::new(launched.clone());
    let (losses, [first, second]) = train(false);
    drop(observation);
    let launched = launched.0.lock().expect("an observer does not panic");
    let own = launched.iter().filter(|&&id| id == current().id()).count();
    assert_eq!(own, 0, "of {STEPS} steps, all but the first are replayed");
    let (single_losses, [single_first, single_second]) = train(true);
    assert_eq!(losses, single_losses);
    assert_eq!(first, single_first);
    assert_eq!(second.parameters, single_second.parameters);
    assert_eq!(second.velocities, single_second.velocities);
}

#[test]
fn a_label_that_is_not_a_class_makes_the_loss_nan() {
    let client = client();
    let layers = small();
    let images = DeviceImages::new(&client, &[0; 2 * 256], &[3, 10], [16, 16]);
    let images = images.expect("as many pixels as the images have");
    let mut ensemble = Ensemble::new(&client, &layers, images, 1).expect("layers that fit");
    ensemble
        .push(&parameters(&layers, 0), None)
        .expect("parameters that fit");
    ensemble
        .set_order(0, &order(2, 0))
        .expect("places of images");
    ensemble
        .step(&[look(0, 1)])
        .expect("a step for each network");
    ensemble
        .step(&[look(1, 1)])
        .expect("a step for each network");
    let losses = ensemble.take_losses(0).expect("a working device");
    let valid = losses.iter().filter(|loss| loss.is_finite()).count();
    assert_eq!(valid, 1, "{losses:?}");
}

#[test]
fn a_weight_that_is_nan_makes_the_loss_nan() {
    for (activation, pooling) in [
        (Activation::Relu, Pooling::Max),
        (Activation::Relu, Pooling::Average),
        (Activation::Sigmoid, Pooling::Max),
        (Activation::Tanh, Pooling::Average),
    ] {
        let layers = layers(16, activation, pooling, 5, &[6, 4]);
        let mut ensemble = ensemble(&layers, IMAGES, BATCH);
        for parameter in 0..2 {
            let mut values = parameters(&layers, 0);
            values[parameter][0] = f32::NAN;
            let index = ensemble.push(&values, None).expect("parameters that fit");
            ensemble
                .set_order(index, &order(IMAGES, 0))
                .expect("places of images");
        }
        let steps = [look(0, BATCH); 2];
        ensemble.step(&steps).expect("a step for each network");
        for network in 0..2 {
            let losses = ensemble.take_losses(network).expect("a working device");
            assert!(losses[0].is_nan(), "{activation}, {pooling}: {losses:?}");
        }
    }
}

#[test]
fn after_a_panic_every_call_is_an_error() {
    let layers = small();
    let mut ensemble = ensemble(&layers, IMAGES, BATCH);
    ensemble
        .push(&parameters(&layers, 0), None)
        .expect("parameters that fit");
    let mut removes = AssertUnwindSafe(&mut ensemble);
    let removed = catch_unwind(move || removes.swap_remove(1));
    assert!(removed.is_err(), "there is no network 1");
    assert!(matches!(
        ensemble.parameters(0),
        Err(GpuError::Device(message)) if message.contains("not completed")
    ));
    assert!(ensemble.step(&[look(0, BATCH)]).is_err());
}

#[test]
fn mistakes_are_errors() {
    let client = client();
    let length = |what, expected, found| GpuError::Length {
        what,
        expected,
        found,
    };
    let images = |pixels: &[u8]| DeviceImages::new(&client, pixels, &[0], [16, 16]);
    assert_eq!(
        images(&[0; 255]).err(),
        Some(length("the data set", 256, 255))
    );

    let layers = small();
    let images = images(&[0; 256]).expect("as many pixels as the images have");
    let other = crate::tools::modern();
    let found = Ensemble::new(&client, &other, images.clone(), 1).err();
    assert_eq!(found, Some(length("an image", 784, 256)));
    let mut wrong = layers.clone();
    wrong.dense[1] = [31, 17];
    let found = Ensemble::new(&client, &wrong, images.clone(), 1).err();
    let expected = GpuError::Layers {
        layer: 4,
        inputs: 31,
        outputs: 30,
    };
    assert_eq!(found, Some(expected));
    let found = Ensemble::new(&client, &layers, images.clone(), usize::MAX >> 20).err();
    assert!(
        matches!(found, Some(GpuError::TooLarge { .. })),
        "{found:?}"
    );

    let mut ensemble = Ensemble::new(&client, &layers, images, 2).expect("layers that fit");
    let mut short = parameters(&layers, 0);
    short[3].pop();
    assert_eq!(
        ensemble.push(&short, None),
        Err(length("a parameter", 4, 3))
    );
    assert!(ensemble.is_empty());
    ensemble
        .push(&parameters(&layers, 0), None)
        .expect("parameters that fit");
    let found = ensemble.set_order(0, &order(2, 0));
    assert_eq!(found, Err(length("the order of the images", 1, 2)));
    assert_eq!(ensemble.step(&[]), Err(length("the list of steps", 1, 0)));
    let found = ensemble.step(&[look(0, 1)]);
    assert_eq!(found, Err(length("the order of the images", 1, 0)));
    assert_eq!(ensemble.step(&[look(0, 3)]), Err(length("a step", 2, 3)));
}
