//! The loss: softmax, cross-entropy and their gradient in one pass.

use pulp::WithSimd;

use crate::activation::exp;
use crate::conv::GROUP;
use crate::error::check_len;
use crate::{KernelError, SimdLevel};

/// The mean softmax cross-entropy of a batch, in nats, for the label of each sample.
///
/// ```
/// use lenet_kernels::CrossEntropy;
///
/// let loss = CrossEntropy::new(2, vec![1, 0])?;
/// let (loss, gradient) = loss.forward(&[0.0, 0.0, 0.0, 0.0])?;
/// assert!((loss - 2.0_f32.ln()).abs() < 1e-6);
/// assert_eq!(gradient, [0.25, -0.25, -0.25, 0.25]);
/// # Ok::<(), lenet_kernels::KernelError>(())
/// ```
#[derive(Clone, Debug)]
pub struct CrossEntropy {
    classes: usize,
    labels: Vec<usize>,
    level: SimdLevel,
}

impl CrossEntropy {
    /// The loss for this number of classes and the label of each sample.
    ///
    /// # Errors
    ///
    /// [`KernelError::Label`] if a label is not below `classes`.
    pub fn new(classes: usize, labels: Vec<usize>) -> Result<Self, KernelError> {
        check_labels(&labels, classes)?;
        Ok(Self {
            classes,
            labels,
            level: SimdLevel::best(),
        })
    }

    /// Uses this SIMD level instead of the fastest one.
    #[must_use]
    pub fn with_level(mut self, level: SimdLevel) -> Self {
        self.level = level;
        self
    }

    /// The loss of `logits` `[batch, classes]`, NaN for an empty batch, and its gradient in the same shape.
    ///
    /// # Errors
    ///
    /// [`KernelError::Length`] if the slice has another length.
    pub fn forward(&self, logits: &[f32]) -> Result<(f32, Vec<f32>), KernelError> {
        let expected = self.labels.len().checked_mul(self.classes);
        check_len("logits", expected, logits)?;
        let mut gradient = logits.to_vec();
        let count = self.labels.len();
        let rows = gradient.chunks_mut((GROUP * self.classes).max(1));
        let groups = self.labels.chunks(GROUP).zip(rows);
        let loss: f64 = groups
            .map(|(labels, rows)| loss_of_group(self.level, labels, rows, count))
            .sum();
        Ok(((loss / count as f64) as f32, gradient))
    }
}

/// Checks that every label is below `classes`.
pub(crate) fn check_labels(labels: &[usize], classes: usize) -> Result<(), KernelError> {
    match labels.iter().find(|&&label| label >= classes) {
        Some(&label) => Err(KernelError::Label { label, classes }),
        None => Ok(()),
    }
}

/// Replaces the logits of some samples of a batch of `count` by their gradients, and returns the sum of their
/// losses.
pub(crate) fn loss_of_group(
    level: SimdLevel,
    labels: &[usize],
    logits: &mut [f32],
    count: usize,
) -> f64 {
    level.run(Pass {
        labels,
        classes: (logits.len() / labels.len().max(1)).max(1),
        values: logits,
        count: count as f32,
    })
}

/// [`loss_of_group`], compiled for the SIMD level.
struct Pass<'a> {
    labels: &'a [usize],
    classes: usize,
    values: &'a mut [f32],
    /// Samples of the batch.
    count: f32,
}

impl WithSimd for Pass<'_> {
    type Output = f64;

    #[inline(always)]
    #[expect(
        clippy::indexing_slicing,
        reason = "every label is below the length of a row"
    )]
    fn with_simd<S: pulp::Simd>(self, simd: S) -> f64 {
        let Self {
            labels,
            classes,
            values,
            count,
        } = self;
        // Subtracting the maximum keeps exponentials from overflowing.
        for row in values.chunks_exact_mut(classes) {
            let largest = row.iter().fold(f32::NEG_INFINITY, |most, &v| most.max(v));
            for value in row {
                *value -= largest;
            }
        }
        // In 64 bits, so that large batches lose no digits.
        let mut loss = 0.0_f64;
        let rows = values.chunks_exact(classes);
        for (row, &label) in rows.zip(labels) {
            loss -= f64::from(row[label]);
        }
        exp(simd, values);
        let rows = values.chunks_exact_mut(classes);
        for (row, &label) in rows.zip(labels) {
            let sum: f32 = row.iter().sum();
            loss += f64::from(sum.ln());
            for value in &mut *row {
                *value /= sum;
            }
            row[label] -= 1.0;
            for value in row {
                *value /= count;
            }
        }
        loss
    }
}
