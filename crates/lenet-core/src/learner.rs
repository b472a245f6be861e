//! Training with burn's `Learner`.

use burn::tensor::{Int, Tensor};
use burn::train::{ClassificationOutput, InferenceStep, TrainOutput, TrainStep};

use crate::{LeNet, cross_entropy};

/// Images `[batch, channel, height, width]` and labels `[batch]`.
type Labelled = (Tensor<4>, Tensor<1, Int>);

/// A training step of burn's `Learner` on images `[batch, channel, height, width]` and labels `[batch]`: forward
/// pass, mean cross-entropy, backward pass.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use burn::train::TrainStep;
/// use lenet_core::LeNetConfig;
///
/// let device = Device::flex().autodiff();
/// let lenet = LeNetConfig::modern(10).init(&device, 0)?;
/// let images = Tensor::zeros([2, 1, 28, 28], &device);
/// let output = TrainStep::step(&lenet, (images, Tensor::from_ints([3, 8], &device)));
/// assert_eq!(output.item.output.dims(), [2, 10]);
/// # Ok::<(), lenet_core::ConfigError>(())
/// ```
impl TrainStep for LeNet {
    type Input = Labelled;
    type Output = ClassificationOutput;

    fn step(&self, batch: Labelled) -> TrainOutput<ClassificationOutput> {
        let output = classify(self, batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

/// A validation step of burn's `Learner`: logits and mean cross-entropy, without gradients.
impl InferenceStep for LeNet {
    type Input = Labelled;
    type Output = ClassificationOutput;

    fn step(&self, batch: Labelled) -> ClassificationOutput {
        classify(self, batch)
    }
}

fn classify(lenet: &LeNet, (images, labels): Labelled) -> ClassificationOutput {
    let logits = lenet.forward(images);
    let loss = cross_entropy(logits.clone(), labels.clone());
    ClassificationOutput::new(loss, logits, labels)
}
