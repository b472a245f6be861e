use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};

/// Logarithm of the probability given to each label, `[batch]`.
pub(crate) fn log_likelihood(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    log_softmax(logits, 1)
        .gather(1, labels.unsqueeze_dim(1))
        .squeeze_dim(1)
}
