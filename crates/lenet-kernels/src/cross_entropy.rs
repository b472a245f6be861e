use pulp::WithSimd;

use crate::activation::exp;
use crate::kernel::length;
use crate::{KernelError, Level};

/// The kernel of the mean softmax cross-entropy, in nats, of some samples' labels.
///
/// ```
/// use lenet_kernels::CrossEntropyKernel;
///
/// let kernel = CrossEntropyKernel::new(2, vec![1, 0])?;
/// let (loss, gradient) = kernel.forward(&[0.0, 0.0, 0.0, 0.0])?;
/// assert!((loss - 2.0_f32.ln()).abs() < 1e-6);
/// assert_eq!(gradient, [0.25, -0.25, -0.25, 0.25]);
/// # Ok::<(), lenet_kernels::KernelError>(())
/// ```
#[derive(Clone, Debug)]
pub struct CrossEntropyKernel {
    classes: usize,
    labels: Vec<usize>,
    level: Level,
}

impl CrossEntropyKernel {
    /// A kernel for this number of classes and the label of each sample.
    ///
    /// # Errors
    ///
    /// [`KernelError::Label`] if a label is not below `classes`.
    pub fn new(classes: usize, labels: Vec<usize>) -> Result<Self, KernelError> {
        match labels.iter().find(|&&label| label >= classes) {
            Some(&label) => Err(KernelError::Label { label, classes }),
            None => Ok(Self {
                classes,
                labels,
                level: Level::best(),
            }),
        }
    }

    /// Uses this instruction set in place of the best one.
    #[must_use]
    pub fn with_level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// The loss of `logits` `[batch, classes]`, NaN if there are none, and its gradient.
    ///
    /// # Errors
    ///
    /// [`KernelError::Length`] if the slice has another length.
    pub fn forward(&self, logits: &[f32]) -> Result<(f32, Vec<f32>), KernelError> {
        let expected = self.labels.len().checked_mul(self.classes);
        length("logits", expected, logits)?;
        let mut gradient = logits.to_vec();
        let loss = self.level.run(Pass {
            kernel: self,
            values: &mut gradient,
        });
        Ok((loss, gradient))
    }
}

/// Puts gradients in place of logits and returns the loss.
struct Pass<'a> {
    kernel: &'a CrossEntropyKernel,
    values: &'a mut [f32],
}

impl WithSimd for Pass<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) -> f32 {
        let CrossEntropyKernel {
            classes, labels, ..
        } = self.kernel;
        let (classes, count) = ((*classes).max(1), labels.len() as f32);
        // So that no exponential overflows.
        for row in self.values.chunks_exact_mut(classes) {
            let largest = row.iter().fold(f32::NEG_INFINITY, |most, &v| most.max(v));
            row.iter_mut().for_each(|value| *value -= largest);
        }
        // In 64 bits, so that the number of samples does not cost digits.
        let mut loss = 0.0_f64;
        let rows = self.values.chunks_exact(classes);
        for (row, &label) in rows.zip(labels) {
            loss -= f64::from(row.get(label).copied().unwrap_or_default());
        }
        self.values
            .iter_mut()
            .for_each(|value| *value = exp(*value));
        let rows = self.values.chunks_exact_mut(classes);
        for (row, &label) in rows.zip(labels) {
            let sum: f32 = row.iter().sum();
            loss += f64::from(sum.ln());
            row.iter_mut().for_each(|value| *value /= sum);
            if let Some(value) = row.get_mut(label) {
                *value -= 1.0;
            }
            row.iter_mut().for_each(|value| *value /= count);
        }
        (loss / labels.len() as f64) as f32
    }
}
