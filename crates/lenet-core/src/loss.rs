use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};

/// Mean softmax cross-entropy of `logits` `[batch, classes]` for `labels` `[batch]`, a tensor of one value in
/// nats.
///
/// On Flex in 32-bit floats it is one pass of `lenet-kernels`; on a GPU in 32-bit floats, one launch of `lenet-cubecl`.
/// Otherwise it is composed of burn's operations.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use lenet_core::cross_entropy;
///
/// let device = Device::flex();
/// let logits = Tensor::<2>::zeros([4, 10], &device);
/// let labels = Tensor::from_data([0, 3, 5, 9], &device);
/// let loss = cross_entropy(logits, labels).into_scalar::<f32>();
/// assert!((loss - 10.0_f32.ln()).abs() < 1e-6);
/// ```
///
/// # Panics
///
/// If a label is not below the number of classes, with the message of burn's `gather`. On a GPU the loss is NaN instead.
pub fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    #[cfg(feature = "flex")]
    if let Some(loss) = crate::fused::cross_entropy(&logits, &labels) {
        return loss;
    }
    #[cfg(feature = "gpu")]
    if let Some(loss) = crate::gpu::cross_entropy(&logits, &labels) {
        return loss;
    }
    let likelihoods = log_softmax(logits, 1).gather(1, labels.unsqueeze_dim(1));
    -likelihoods.mean()
}
