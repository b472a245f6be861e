//! The cross-entropy against its definition in 64-bit floats, on every SIMD level of the machine.

use lenet_kernels::{CrossEntropy, KernelError, SimdLevel};
use proptest::prelude::*;

/// The loss and the gradient of the logits.
fn defined(logits: &[f32], classes: usize, labels: &[usize]) -> (f64, Vec<f64>) {
    let (mut loss, mut gradient) = (0.0, Vec::new());
    let count = labels.len() as f64;
    for (row, &label) in logits.chunks_exact(classes).zip(labels) {
        let row: Vec<f64> = row.iter().copied().map(f64::from).collect();
        let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row.iter().map(|value| (value - largest).exp()).sum();
        loss += (largest + sum.ln() - row[label]) / count;
        let probabilities = row.iter().map(|value| (value - largest).exp() / sum);
        gradient.extend(
            probabilities
                .enumerate()
                .map(|(class, p)| (p - f64::from(u8::from(class == label))) / count),
        );
    }
    (loss, gradient)
}

fn check(logits: &[f32], classes: usize, labels: &[usize]) {
    let (expected_loss, expected) = defined(logits, classes, labels);
    for level in SimdLevel::all() {
        let cross_entropy = CrossEntropy::new(classes, labels.to_vec()).unwrap();
        let (loss, gradient) = cross_entropy.with_level(level).forward(logits).unwrap();
        let difference = (f64::from(loss) - expected_loss).abs();
        assert!(
            difference <= 1e-6 * expected_loss.max(1.0),
            "{level:?}: loss {loss}, expected {expected_loss}"
        );
        assert_eq!(gradient.len(), expected.len());
        for (i, (&found, expected)) in gradient.iter().zip(&expected).enumerate() {
            let difference = (f64::from(found) - expected).abs() * labels.len() as f64;
            assert!(
                difference <= 1e-6,
                "{level:?}: gradient {i} is {found}, expected {expected}"
            );
        }
    }
}

proptest! {
    #[test]
    #[cfg_attr(miri, ignore = "takes long; a small batch covers the same code")]
    fn random_logits_agree_with_the_definition(
        (classes, labels, logits) in (1_usize..40, 1_usize..40).prop_flat_map(|(classes, batch)| (
            Just(classes),
            prop::collection::vec(0..classes, batch),
            prop::collection::vec(-100.0_f32..100.0, batch * classes),
        )),
    ) {
        check(&logits, classes, &labels);
    }
}

#[test]
fn a_small_batch_agrees_with_the_definition() {
    check(&[0.5, -1.0, 2.0, 0.0, 0.1, 0.2], 3, &[2, 0]);
    check(&[1e30, 0.0, -1e30, 0.0], 4, &[0]);
    check(&[7.0], 1, &[0]);
}

#[test]
fn nan_stays_visible() {
    for value in [f32::NAN, f32::INFINITY] {
        for level in SimdLevel::all() {
            let cross_entropy = CrossEntropy::new(3, vec![0, 1]).unwrap();
            let logits = [0.0, value, 0.0, 1.0, 2.0, 3.0];
            let (loss, gradient) = cross_entropy.with_level(level).forward(&logits).unwrap();
            assert!(loss.is_nan() && gradient[..3].iter().any(|value| value.is_nan()));
            assert!(gradient[3..].iter().all(|value| value.is_finite()));
        }
    }
}

#[test]
fn without_samples_there_is_no_mean() {
    let cross_entropy = CrossEntropy::new(10, Vec::new()).unwrap();
    let (loss, gradient) = cross_entropy.forward(&[]).unwrap();
    assert!(loss.is_nan() && gradient.is_empty());
}

#[test]
fn bad_arguments_are_refused() {
    let error = CrossEntropy::new(10, vec![9, 10]).unwrap_err();
    let (label, classes) = (10, 10);
    assert_eq!(error, KernelError::Label { label, classes });
    let cross_entropy = CrossEntropy::new(10, vec![9, 3]).unwrap();
    for len in [0, 10, 19, 21] {
        let result = cross_entropy.forward(&vec![0.0; len]);
        assert!(matches!(result, Err(KernelError::Length { .. })), "{len}");
    }
}
