//! The convolution block against plain loops in 64-bit floats, on every SIMD level of the machine.

use lenet_kernels::{
    Activation, ConvBackward, ConvPlan, Gradients, KernelError, Parameters, Pooling, Shape,
    SimdLevel,
};
use proptest::prelude::*;

/// The arguments of a forward and a backward pass.
#[derive(Clone, Debug)]
struct Case {
    shape: Shape,
    batch: usize,
    activation: Activation,
    pooling: Pooling,
    input: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    output_gradient: Vec<f32>,
}

/// Height and width after the convolution, unless nothing is left after the pooling.
fn convolved(shape: Shape) -> Option<[usize; 2]> {
    let size = |size: usize| (size + 2 * shape.padding + 1).checked_sub(shape.kernel_size);
    let [height, width] = [size(shape.height)?, size(shape.width)?];
    (height > 1 && width > 1).then_some([height, width])
}

/// Numbers in [-scale, scale] that depend on a seed alone.
fn noise(seed: u64, len: usize, scale: f32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            ((state >> 40) as f32 / (1 << 23) as f32 - 1.0) * scale
        })
        .collect()
}

impl Case {
    fn new(
        shape: Shape,
        batch: usize,
        activation: Activation,
        pooling: Pooling,
        seed: u64,
    ) -> Self {
        let [height, width] = convolved(shape).unwrap();
        let weights = shape.out_channels * shape.in_channels * shape.kernel_size.pow(2);
        let inputs = batch * shape.in_channels * shape.height * shape.width;
        let outputs = batch * shape.out_channels * (height / 2) * (width / 2);
        Self {
            shape,
            batch,
            activation,
            pooling,
            input: noise(seed, inputs, 1.0),
            weight: noise(seed ^ 1, weights, 0.5),
            bias: noise(seed ^ 2, shape.out_channels, 0.5),
            output_gradient: noise(seed ^ 3, outputs, 1.0),
        }
    }

    fn parameters(&self) -> Parameters<'_> {
        Parameters {
            weight: &self.weight,
            bias: &self.bias,
        }
    }

    fn run(&self, level: SimdLevel, input_gradient: bool) -> (Vec<f32>, Gradients) {
        let plan = ConvPlan::new(self.shape, self.activation, self.pooling).unwrap();
        let plan = plan.with_level(level);
        let (output, saved) = plan
            .forward(self.batch, &self.input, self.parameters())
            .unwrap();
        let inferred = plan.infer(self.batch, &self.input, self.parameters());
        assert!(inferred.unwrap() == output);
        let gradients = plan.backward(ConvBackward {
            batch: self.batch,
            input: &self.input,
            weight: &self.weight,
            output: &output,
            saved: &saved,
            output_gradient: &self.output_gradient,
            input_gradient,
        });
        (output, gradients.unwrap())
    }

    /// The definition's results: each value, and the sum of its terms' magnitudes. `None` if rounding decides
    /// the argmax of a window or the sign of a value.
    fn reference(&self) -> Option<[Vec<(f64, f64)>; 4]> {
        let Shape {
            in_channels,
            out_channels,
            height,
            width,
            kernel_size: k,
            padding,
        } = self.shape;
        let [rows, columns] = convolved(self.shape).unwrap();
        let (pooled_rows, pooled_columns) = (rows / 2, columns / 2);
        let zero = (0.0, 0.0);
        let add = |total: &mut (f64, f64), term: f64| {
            *total = (total.0 + term, total.1 + term.abs());
        };
        let mut output = vec![zero; self.output_gradient.len()];
        let mut gradients = [
            vec![zero; self.input.len()],
            vec![zero; self.weight.len()],
            vec![zero; self.bias.len()],
        ];
        for n in 0..self.batch {
            for o in 0..out_channels {
                // Every pair of an input and a weight that meet at an output of the convolution.
                let pairs = |y: usize, x: usize| {
                    let mut pairs = Vec::new();
                    for c in 0..in_channels {
                        for (ky, kx) in (0..k * k).map(|i| (i / k, i % k)) {
                            let row = (y + ky).checked_sub(padding).filter(|&row| row < height);
                            let column = (x + kx).checked_sub(padding).filter(|&x| x < width);
                            if let (Some(row), Some(column)) = (row, column) {
                                let input = ((n * in_channels + c) * height + row) * width + column;
                                pairs.push((input, ((o * in_channels + c) * k + ky) * k + kx));
                            }
                        }
                    }
                    pairs
                };
                let value = |y: usize, x: usize| {
                    let products = pairs(y, x).into_iter();
                    let sum: f64 = products
                        .map(|(i, w)| f64::from(self.input[i]) * f64::from(self.weight[w]))
                        .sum();
                    let sum = sum + f64::from(self.bias[o]);
                    let value = match self.activation {
                        Activation::Relu => sum.max(0.0),
                        Activation::Sigmoid => 1.0 / (1.0 + (-sum).exp()),
                        Activation::Tanh => sum.tanh(),
                    };
                    (sum, value)
                };
                for (y, x) in (0..pooled_rows * pooled_columns)
                    .map(|i| (i / pooled_columns, i % pooled_columns))
                {
                    let index = ((n * out_channels + o) * pooled_rows + y) * pooled_columns + x;
                    let sums = [(0, 0), (0, 1), (1, 0), (1, 1)]
                        .map(|(dy, dx)| (2 * y + dy, 2 * x + dx))
                        .map(|(y, x)| (y, x, value(y, x)));
                    let kink = |sum: f64| self.activation == Activation::Relu && sum.abs() < 1e-5;
                    if sums.iter().any(|(.., (sum, _))| kink(*sum)) {
                        return None;
                    }
                    let window = sums.map(|(y, x, (_, value))| (y, x, value));
                    let shares = match self.pooling {
                        Pooling::Average => {
                            add(
                                &mut output[index],
                                window.iter().map(|w| w.2).sum::<f64>() / 4.0,
                            );
                            window.map(|w| (w, 0.25)).to_vec()
                        }
                        Pooling::Max => {
                            let best = window
                                .into_iter()
                                .reduce(|best, w| if w.2 > best.2 { w } else { best })
                                .unwrap();
                            let near = |w: &(usize, usize, f64)| best.2 - w.2 < 1e-5;
                            if best.2 != 0.0 && window.iter().filter(|w| near(w)).count() > 1 {
                                return None;
                            }
                            add(&mut output[index], best.2);
                            vec![(best, 1.0)]
                        }
                    };
                    for ((y, x, value), share) in shares {
                        let slope = match self.activation {
                            Activation::Relu => f64::from(u8::from(value > 0.0)),
                            Activation::Sigmoid => value * (1.0 - value),
                            Activation::Tanh => 1.0 - value * value,
                        };
                        let gradient = f64::from(self.output_gradient[index]) * share * slope;
                        add(&mut gradients[2][o], gradient);
                        for (i, w) in pairs(y, x) {
                            add(&mut gradients[0][i], gradient * f64::from(self.weight[w]));
                            add(&mut gradients[1][w], gradient * f64::from(self.input[i]));
                        }
                    }
                }
            }
        }
        let [input, weight, bias] = gradients;
        Some([output, input, weight, bias])
    }

    /// Returns whether there was something to compare.
    fn check(&self) -> bool {
        let Some([output, input, weight, bias]) = self.reference() else {
            return false;
        };
        for level in SimdLevel::all() {
            let (found, gradients) = self.run(level, true);
            // The first layer may take another way.
            let (_, first_layer) = self.run(level, false);
            assert!(first_layer.input.is_empty());
            for (name, found, expected) in [
                ("output", &found, &output),
                ("input gradient", &gradients.input, &input),
                ("weight gradient", &gradients.weight, &weight),
                ("bias gradient", &gradients.bias, &bias),
                (
                    "first layer's weight gradient",
                    &first_layer.weight,
                    &weight,
                ),
                ("first layer's bias gradient", &first_layer.bias, &bias),
            ] {
                let largest = expected
                    .iter()
                    .fold(1e-3_f64, |most, e| most.max(e.0.abs()));
                assert_eq!(found.len(), expected.len());
                for (i, (&found, &(expected, magnitude))) in found.iter().zip(expected).enumerate()
                {
                    // Terms that cancel leave the rounding of their sum.
                    let tolerance = 1e-5 * largest + 1e-6 * magnitude;
                    assert!(
                        (f64::from(found) - expected).abs() <= tolerance,
                        "{level}: {name} {i} is {found}, expected {expected} (largest {largest}) in {:?}",
                        self.shape
                    );
                }
            }
        }
        true
    }
}

const CONV2: Shape = Shape {
    in_channels: 6,
    out_channels: 16,
    height: 14,
    width: 14,
    kernel_size: 5,
    padding: 0,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Any channels, sizes, kernel, padding and batch, including empty batches and single samples.
    #[test]
    #[cfg_attr(miri, ignore = "takes hours; small blocks cover the same code")]
    fn random_blocks_agree_with_the_definition(
        in_channels in prop_oneof![4 => 1_usize..5, 1 => 15_usize..19],
        out_channels in prop_oneof![8 => 1_usize..20, 2 => 31_usize..50, 1 => 63_usize..70],
        height in 1_usize..14,
        width in 1_usize..20,
        kernel_size in 1_usize..12,
        padding in 0_usize..6,
        batch in 0_usize..19,
        activation in prop::sample::select(vec![Activation::Relu, Activation::Sigmoid, Activation::Tanh]),
        pooling in prop::sample::select(vec![Pooling::Max, Pooling::Average]),
        seed in any::<u64>(),
    ) {
        let shape = Shape { in_channels, out_channels, height, width, kernel_size, padding };
        match convolved(shape) {
            Some(_) => prop_assume!(Case::new(shape, batch, activation, pooling, seed).check()),
            None => {
                let refused = ConvPlan::new(shape, activation, pooling);
                let is_shape = matches!(refused, Err(KernelError::Shape { .. }));
                prop_assert!(is_shape);
            }
        }
    }
}

/// Small enough for Miri (`cargo +nightly miri test`).
#[test]
fn small_blocks_agree_with_the_definition() {
    let wide = Shape {
        in_channels: 1,
        out_channels: 2,
        height: 6,
        width: 9,
        kernel_size: 3,
        padding: 1,
    };
    let deep = Shape {
        in_channels: 17,
        out_channels: 5,
        height: 4,
        width: 4,
        kernel_size: 2,
        padding: 0,
    };
    for shape in [wide, deep] {
        for (activation, pooling) in [
            (Activation::Relu, Pooling::Max),
            (Activation::Sigmoid, Pooling::Average),
            (Activation::Tanh, Pooling::Max),
        ] {
            assert!(Case::new(shape, 2, activation, pooling, 1).check());
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes hours; small blocks cover the same code")]
fn the_second_block_of_lenet_agrees_with_the_definition() {
    for (activation, pooling) in [
        (Activation::Relu, Pooling::Max),
        (Activation::Sigmoid, Pooling::Average),
    ] {
        assert!(Case::new(CONV2, 3, activation, pooling, 1).check());
    }
}

/// The definition's own gradients against finite differences of `Σ output · gradient`.
#[test]
#[cfg_attr(miri, ignore = "takes hours; small blocks cover the same code")]
fn the_definition_agrees_with_finite_differences() {
    let shape = Shape {
        in_channels: 2,
        out_channels: 3,
        height: 6,
        width: 7,
        kernel_size: 3,
        padding: 1,
    };
    let step = 1.0 / 1024.0;
    for activation in [Activation::Relu, Activation::Sigmoid, Activation::Tanh] {
        for pooling in [Pooling::Max, Pooling::Average] {
            // A seed whose values stay away from kinks and ties.
            let found = (0..50_u64).any(|seed| {
                let mut case = Case::new(shape, 1, activation, pooling, seed);
                // Multiples of the step, so that adding it rounds nothing.
                for values in [&mut case.input, &mut case.weight, &mut case.bias] {
                    values
                        .iter_mut()
                        .for_each(|v| *v = (*v * 256.0).round() / 256.0);
                }
                let loss = |case: &Case| {
                    let [output, ..] = case.reference()?;
                    let terms = output.iter().zip(&case.output_gradient);
                    Some(terms.map(|(o, &g)| o.0 * f64::from(g)).sum::<f64>())
                };
                let Some([_, input, weight, bias]) = case.reference() else {
                    return false;
                };
                let slope = |change: &dyn Fn(&mut Case, f32)| {
                    let [mut up, mut down] = [case.clone(), case.clone()];
                    change(&mut up, step);
                    change(&mut down, -step);
                    Some((loss(&up)? - loss(&down)?) / (2.0 * f64::from(step)))
                };
                let mut compared = 0;
                let mut compare = |expected: f64, slope: Option<f64>| {
                    if let Some(slope) = slope {
                        assert!(
                            (slope - expected).abs() < 1e-5,
                            "{activation:?} {pooling:?}: {slope}, expected {expected}"
                        );
                        compared += 1;
                    }
                };
                for i in (0..input.len()).step_by(7) {
                    compare(input[i].0, slope(&|case, step| case.input[i] += step));
                }
                for i in (0..weight.len()).step_by(5) {
                    compare(weight[i].0, slope(&|case, step| case.weight[i] += step));
                }
                for (i, expected) in bias.iter().enumerate() {
                    compare(expected.0, slope(&|case, step| case.bias[i] += step));
                }
                compared > 10
            });
            assert!(found, "{activation:?} {pooling:?}");
        }
    }
}

/// The results are bit-identical on any number of threads.
#[test]
#[cfg_attr(miri, ignore = "takes hours; small blocks cover the same code")]
fn the_number_of_threads_changes_nothing() {
    let first = Shape {
        in_channels: 1,
        out_channels: 6,
        height: 28,
        width: 28,
        kernel_size: 5,
        padding: 2,
    };
    for (activation, pooling) in [
        (Activation::Relu, Pooling::Max),
        (Activation::Sigmoid, Pooling::Average),
    ] {
        for (shape, input_gradient) in [(CONV2, true), (first, false)] {
            let case = Case::new(shape, 61, activation, pooling, 2);
            let run = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
                let pool = pool.build().unwrap();
                let run = || case.run(SimdLevel::best(), input_gradient);
                let (output, gradients) = pool.install(run);
                (output, gradients.input, gradients.weight, gradients.bias)
            };
            let one = run(1);
            for threads in [2, 3, 4] {
                assert!(run(threads) == one, "{threads} threads, {shape:?}");
            }
        }
    }
}

/// Output and input gradient of a block whose 1×1 kernel leaves the input as it is.
fn pool_of(values: [f32; 4]) -> (f32, Vec<f32>) {
    let shape = Shape {
        in_channels: 1,
        out_channels: 1,
        height: 2,
        width: 2,
        kernel_size: 1,
        padding: 0,
    };
    let plan = ConvPlan::new(shape, Activation::Relu, Pooling::Max).unwrap();
    let parameters = Parameters {
        weight: &[1.0],
        bias: &[0.0],
    };
    let (output, saved) = plan.forward(1, &values, parameters).unwrap();
    let gradients = plan.backward(ConvBackward {
        batch: 1,
        input: &values,
        weight: &[1.0],
        output: &output,
        saved: &saved,
        output_gradient: &[1.0],
        input_gradient: true,
    });
    (output[0], gradients.unwrap().input)
}

/// PyTorch's rules: `max_pool2d(torch.tensor([[[[3., 5.], [5., 1.]]]]), 2)` sends its gradient to the first 5,
/// and a NaN or an infinity is the maximum.
#[test]
fn ties_go_to_the_first_position_and_nan_propagates() {
    assert_eq!(
        pool_of([3.0, 5.0, 5.0, 1.0]),
        (5.0, vec![0.0, 1.0, 0.0, 0.0])
    );
    assert_eq!(pool_of([2.0; 4]).1, [1.0, 0.0, 0.0, 0.0]);
    assert!(pool_of([1.0, 2.0, f32::NAN, 9.0]).0.is_nan());
    assert!(pool_of([f32::NAN, 2.0, 1.0, 9.0]).0.is_nan());
    assert_eq!(pool_of([1.0, f32::INFINITY, 3.0, 4.0]).0, f32::INFINITY);
    assert_eq!(pool_of([-1.0, f32::NEG_INFINITY, -3.0, -4.0]).0, 0.0);
}

#[test]
fn values_saved_in_another_layout_are_refused() {
    // As many bytes by windows of one lane as by channels of eight.
    let shape = Shape {
        in_channels: 1,
        out_channels: 8,
        height: 6,
        width: 6,
        kernel_size: 1,
        padding: 0,
    };
    let (input, weight, bias) = (&[1.0; 36], &[1.0; 8], &[0.0; 8]);
    let plan = ConvPlan::new(shape, Activation::Relu, Pooling::Max).unwrap();
    let backward = |forward: SimdLevel, backward: SimdLevel| {
        let forward = plan.clone().with_level(forward);
        let (output, saved) = forward
            .forward(1, input, Parameters { weight, bias })
            .unwrap();
        plan.clone().with_level(backward).backward(ConvBackward {
            batch: 1,
            input,
            weight,
            output: &output,
            saved: &saved,
            output_gradient: &output,
            input_gradient: true,
        })
    };
    let levels = SimdLevel::all();
    for (i, &level) in levels.iter().enumerate() {
        for (j, &other) in levels.iter().enumerate() {
            let refused = backward(level, other).err();
            assert_eq!(refused, (i != j).then_some(KernelError::Saved));
        }
    }
}

#[test]
fn slices_of_the_wrong_length_are_refused() {
    let shape = Shape {
        in_channels: 2,
        out_channels: 3,
        height: 6,
        width: 6,
        kernel_size: 3,
        padding: 0,
    };
    let plan = ConvPlan::new(shape, Activation::Relu, Pooling::Max).unwrap();
    let (input, weight, bias) = (vec![0.0; 2 * 72], vec![0.0; 54], vec![0.0; 3]);
    let refuse = |batch, input: &[f32], weight: &[f32], bias: &[f32]| {
        plan.forward(batch, input, Parameters { weight, bias })
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refuse(3, &input, &weight, &bias),
        "input has 144 values, expected 216"
    );
    assert_eq!(
        refuse(2, &input, &weight[1..], &bias),
        "weight has 53 values, expected 54"
    );
    assert_eq!(
        refuse(2, &input, &weight, &[]),
        "bias has 0 values, expected 3"
    );
    assert!(refuse(usize::MAX, &input, &weight, &bias).starts_with("input has"));

    let parameters = Parameters {
        weight: &weight,
        bias: &bias,
    };
    let (output, saved) = plan.forward(2, &input, parameters).unwrap();
    let (_, other) = plan.forward(1, &input[..72], parameters).unwrap();
    let arguments = ConvBackward {
        batch: 2,
        input: &input,
        weight: &weight,
        output: &output,
        saved: &saved,
        output_gradient: &output,
        input_gradient: false,
    };
    assert!(plan.backward(arguments).unwrap().input.is_empty());
    let short = ConvBackward {
        output_gradient: &output[1..],
        ..arguments
    };
    assert!(matches!(
        plan.backward(short),
        Err(KernelError::Length { .. })
    ));
    let foreign = ConvBackward {
        saved: &other,
        ..arguments
    };
    assert!(matches!(
        plan.backward(foreign),
        Err(KernelError::Length { what: "argmax", .. })
    ));
}

#[test]
fn impossible_shapes_are_refused() {
    let refuse = |shape: Shape| {
        ConvPlan::new(shape, Activation::Relu, Pooling::Max)
            .map(|_| ())
            .unwrap_err()
    };
    for shape in [
        Shape {
            in_channels: 17,
            height: 20_000,
            width: 20_000,
            ..CONV2
        },
        Shape {
            kernel_size: 0,
            ..CONV2
        },
        Shape {
            kernel_size: 15,
            ..CONV2
        },
        Shape { height: 5, ..CONV2 },
        Shape {
            padding: usize::MAX,
            ..CONV2
        },
        Shape {
            in_channels: 0,
            ..CONV2
        },
        Shape {
            out_channels: 0,
            ..CONV2
        },
        // Its weights, packed for the gradient of the input, have no positions of 32 bits.
        Shape {
            out_channels: 10_000_000,
            ..CONV2
        },
        Shape {
            height: 0,
            padding: 8,
            ..CONV2
        },
        Shape {
            width: 0,
            padding: 8,
            ..CONV2
        },
        Shape {
            in_channels: 1 << 32,
            out_channels: 1 << 32,
            kernel_size: 1,
            ..CONV2
        },
        Shape {
            height: usize::MAX / 2,
            ..CONV2
        },
        Shape {
            in_channels: usize::MAX / 100,
            ..CONV2
        },
    ] {
        assert!(matches!(refuse(shape), KernelError::Shape { .. }));
    }
}
