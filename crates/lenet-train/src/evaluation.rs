use burn::module::Module;
use burn::tensor::{Device, Tensor};
use lenet_core::LeNet;
use lenet_data::{ImageDataset, Order};
use serde::{Deserialize, Serialize};

use crate::loss::log_likelihood;
use crate::pool::{self, Helpers};
use crate::training::check_fit;
use crate::{ConfusionMatrix, TrainingError};

/// Images to a batch; the result does not depend on it beyond rounding.
const BATCH_SIZE: usize = 1000;

/// How well a network does on images it did not learn from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Evaluation {
    /// The part of the images that was recognised, from 0 to 1.
    pub accuracy: f64,
    /// Mean cross-entropy in nats.
    pub mean_loss: f64,
    /// Number of images.
    pub images: usize,
    /// What was taken for what.
    pub confusion: ConfusionMatrix,
}

/// Judges `lenet` by `dataset` on `device`, on threads of its own as [`Trainer::fit`](crate::Trainer::fit).
///
/// ```
/// use burn::tensor::Device;
/// use lenet_core::LeNetConfig;
/// use lenet_data::synthetic;
/// use lenet_train::evaluate;
///
/// let device = Device::flex();
/// let untrained = LeNetConfig::modern(10).init(&device, 0)?;
/// let evaluation = evaluate(&untrained, &synthetic::garments(100, 0), &device)?;
/// assert!(evaluation.accuracy < 0.5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`TrainingError`] if the images do not fit the network, there are none, the network's output is infinite
/// or not a number, or the device fails.
pub fn evaluate(
    lenet: &LeNet,
    dataset: &ImageDataset,
    device: &Device,
) -> Result<Evaluation, TrainingError> {
    pool::run(device, |helpers| {
        evaluate_within(lenet, dataset, device, helpers)
    })
}

/// Evaluates within the run that has these helpers.
pub(crate) fn evaluate_within(
    lenet: &LeNet,
    dataset: &ImageDataset,
    device: &Device,
    helpers: &Helpers,
) -> Result<Evaluation, TrainingError> {
    check_fit(lenet.config(), dataset)?;
    let device = device.clone().without_autodiff();
    let lenet = lenet.valid();

    // Results stay on the device until the end: one read-back for the whole data set.
    let (mut predictions, mut likelihoods) = (Vec::new(), Vec::new());
    let mut batches = dataset.batches(BATCH_SIZE, Order::Sequential, &device)?;
    let mut next_batch = batches.next();
    while let Some(batch) = next_batch {
        let forward = || {
            let logits = lenet.forward(batch.images);
            let prediction = logits.clone().argmax(1).squeeze_dim::<1>(1);
            (prediction, log_likelihood(logits, batch.labels))
        };
        let (prediction, likelihood);
        ((prediction, likelihood), next_batch) = helpers.step(forward, || batches.next());
        predictions.push(prediction);
        likelihoods.push(likelihood);
    }
    let predictions: Vec<usize> =
        to_vec::<i64>(Tensor::cat(predictions, 0).try_into_data_as::<i64>())?
            .into_iter()
            .map(|class| usize::try_from(class).unwrap_or(usize::MAX))
            .collect();
    let likelihoods: Vec<f32> = to_vec(Tensor::cat(likelihoods, 0).try_into_data_as::<f32>())?;

    let lost = likelihoods.iter().filter(|l| !l.is_finite()).count();
    if lost > 0 {
        return Err(TrainingError::NonFiniteOutput {
            dataset: dataset.name().to_owned(),
            images: dataset.len(),
            found: lost,
        });
    }

    let labels: Vec<usize> = dataset.labels().iter().map(|&label| label.into()).collect();
    let confusion = ConfusionMatrix::new(dataset.class_names(), &labels, &predictions);
    let right = labels
        .iter()
        .zip(&predictions)
        .filter(|(label, found)| label == found)
        .count();
    let log_likelihood: f64 = likelihoods.iter().map(|&l| f64::from(l)).sum();
    Ok(Evaluation {
        accuracy: right as f64 / dataset.len() as f64,
        mean_loss: -log_likelihood / dataset.len() as f64,
        images: dataset.len(),
        confusion,
    })
}

/// The numbers of a tensor that was read back.
pub(crate) fn to_vec<E: burn::tensor::Element>(
    data: Result<burn::tensor::TensorData, impl std::fmt::Debug>,
) -> Result<Vec<E>, TrainingError> {
    let device = |message| TrainingError::Device { message };
    data.map_err(|error| device(format!("{error:?}")))?
        .try_into_vec::<E>()
        .map_err(|error| device(format!("{error:?}")))
}
