//! The dense layer against plain loops in 64-bit floats, on every SIMD level of the machine.

use lenet_kernels::{Activation, DenseBackward, DensePlan, KernelError, Parameters, SimdLevel};
use proptest::prelude::*;

fn noise(phase: f32, len: usize) -> Vec<f32> {
    (0..len)
        .map(|i| (i as f32 * 12.9898 + phase).sin() * 0.7)
        .collect()
}

fn close(name: &str, found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{name}");
    // Small slopes, 1 - tanh², carry the rounding errors of outputs near 1.
    let largest = expected
        .iter()
        .fold(1.0_f64, |most, value| most.max(value.abs()));
    for (i, (&found, expected)) in found.iter().zip(expected).enumerate() {
        let difference = (f64::from(found) - expected).abs();
        assert!(
            difference <= 1e-5 * largest,
            "{name} {i} is {found}, expected {expected}"
        );
    }
}

fn check(batch: usize, inputs: usize, outputs: usize, activation: Option<Activation>) {
    let (input, weight) = (noise(0.1, batch * inputs), noise(0.2, inputs * outputs));
    let (bias, gradient) = (noise(0.3, outputs), noise(0.4, batch * outputs));
    let mut expected = vec![0.0; batch * outputs];
    let mut input_gradient = vec![0.0; batch * inputs];
    let mut weight_gradient = vec![0.0; inputs * outputs];
    let mut bias_gradient = vec![0.0; outputs];
    for n in 0..batch {
        for o in 0..outputs {
            let products = (0..inputs)
                .map(|i| f64::from(input[n * inputs + i]) * f64::from(weight[i * outputs + o]));
            let sum = products.sum::<f64>() + f64::from(bias[o]);
            // Rounding decides the sign of so small a value.
            if activation == Some(Activation::Relu) && sum.abs() < 1e-5 {
                return;
            }
            let (value, slope) = match activation {
                None => (sum, 1.0),
                Some(Activation::Relu) => (sum.max(0.0), f64::from(u8::from(sum > 0.0))),
                Some(Activation::Sigmoid) => {
                    let value = 1.0 / (1.0 + (-sum).exp());
                    (value, value * (1.0 - value))
                }
                Some(Activation::Tanh) => (sum.tanh(), 1.0 - sum.tanh().powi(2)),
            };
            expected[n * outputs + o] = value;
            let gradient = f64::from(gradient[n * outputs + o]) * slope;
            bias_gradient[o] += gradient;
            for i in 0..inputs {
                input_gradient[n * inputs + i] += gradient * f64::from(weight[i * outputs + o]);
                weight_gradient[i * outputs + o] += gradient * f64::from(input[n * inputs + i]);
            }
        }
    }
    let parameters = Parameters {
        weight: &weight,
        bias: &bias,
    };
    for level in SimdLevel::all() {
        let plan = DensePlan::new([inputs, outputs], activation).with_level(level);
        let output = plan.forward(batch, &input, parameters).unwrap();
        let arguments = DenseBackward {
            batch,
            input: &input,
            weight: &weight,
            output: &output,
            output_gradient: &gradient,
            input_gradient: true,
        };
        let gradients = plan.backward(arguments).unwrap();
        close("output", &output, &expected);
        close("input gradient", &gradients.input, &input_gradient);
        close("weight gradient", &gradients.weight, &weight_gradient);
        close("bias gradient", &gradients.bias, &bias_gradient);
        let without = DenseBackward {
            input_gradient: false,
            ..arguments
        };
        assert!(plan.backward(without).unwrap().input.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    #[cfg_attr(miri, ignore = "takes hours; small layers cover the same code")]
    fn random_layers_agree_with_the_definition(
        batch in 0_usize..40,
        inputs in 1_usize..70,
        outputs in 1_usize..70,
        activation in prop::sample::select(vec![
            None, Some(Activation::Relu), Some(Activation::Sigmoid), Some(Activation::Tanh),
        ]),
    ) {
        check(batch, inputs, outputs, activation);
    }
}

/// Small enough for Miri (`cargo +nightly miri test`).
#[test]
fn small_layers_agree_with_the_definition() {
    check(3, 7, 5, Some(Activation::Sigmoid));
    check(9, 3, 33, Some(Activation::Relu));
    check(1, 5, 40, None);
}

#[test]
#[cfg_attr(miri, ignore = "takes hours; small layers cover the same code")]
fn the_layers_of_lenet_agree_with_the_definition() {
    check(128, 400, 120, Some(Activation::Sigmoid));
    check(1, 120, 84, Some(Activation::Relu));
    check(33, 84, 10, None);
}

#[test]
#[cfg_attr(miri, ignore = "takes hours; small layers cover the same code")]
fn the_number_of_threads_changes_nothing() {
    // Large enough for every product to use several threads.
    let plan = DensePlan::new([400, 120], Some(Activation::Tanh));
    let (input, weight, bias) = (
        noise(0.0, 128 * 400),
        noise(1.0, 400 * 120),
        noise(2.0, 120),
    );
    let parameters = Parameters {
        weight: &weight,
        bias: &bias,
    };
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let output = plan.forward(128, &input, parameters).unwrap();
            let gradients = plan.backward(DenseBackward {
                batch: 128,
                input: &input,
                weight: &weight,
                output: &output,
                output_gradient: &output,
                input_gradient: true,
            });
            let gradients = gradients.unwrap();
            (output, gradients.input, gradients.weight, gradients.bias)
        })
    };
    let one = run(1);
    assert!(run(2) == one && run(4) == one);
}

#[test]
fn slices_of_the_wrong_length_are_refused() {
    let plan = DensePlan::new([3, 2], None);
    let refuse = |batch, input: usize, weight: usize, bias: usize| {
        let (weight, bias) = (vec![0.0; weight], vec![0.0; bias]);
        let parameters = Parameters {
            weight: &weight,
            bias: &bias,
        };
        let result = plan.forward(batch, &vec![0.0; input], parameters);
        matches!(result, Err(KernelError::Length { .. }))
    };
    assert!(!refuse(4, 12, 6, 2));
    assert!(refuse(4, 11, 6, 2) && refuse(4, 12, 7, 2) && refuse(4, 12, 6, 1));
    assert!(refuse(usize::MAX, 12, 6, 2));
}
