//! Evaluating a network on labelled images. Which class is confused with which is in `confusion.rs`.

use std::sync::atomic::{AtomicBool, Ordering};

use burn::module::Module;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor};
use lenet_core::{LeNet, read_back};
use lenet_data::{ImageDataset, Order};
use serde::{Deserialize, Serialize};

use crate::dataset::check_fit;
use crate::pool::{self, Helpers};
use crate::{ConfusionMatrix, TrainingError};

/// Images per batch; affects the result only by rounding.
const BATCH_SIZE: usize = 1000;

/// How well a network classifies a data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Evaluation {
    /// Fraction of correctly classified images, from 0 to 1.
    pub accuracy: f64,
    /// Mean cross-entropy in nats.
    pub mean_loss: f64,
    /// Number of images.
    pub images: usize,
    /// Which class was predicted for which.
    pub confusion: ConfusionMatrix,
}

/// Evaluates `lenet` on `dataset`, computing on `device` with the threads described at
/// [`Trainer::fit`](crate::Trainer::fit).
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
/// [`TrainingError`] if the images do not fit the network, there are none, the network's output is infinite or
/// NaN, or the device fails.
pub fn evaluate(
    lenet: &LeNet,
    dataset: &ImageDataset,
    device: &Device,
) -> Result<Evaluation, TrainingError> {
    pool::run(device, |helpers| {
        evaluate_within(lenet, dataset, device, helpers)
    })
}

/// Evaluates like [`evaluate`], but ends without a result, after the current batch of 1000 images (on a GPU after all of
/// them), once `stop` is true.
///
/// ```
/// use std::sync::atomic::AtomicBool;
///
/// use burn::tensor::Device;
/// use lenet_core::LeNetConfig;
/// use lenet_data::synthetic;
/// use lenet_train::{evaluate, evaluate_with_stop};
///
/// let device = Device::flex();
/// let lenet = LeNetConfig::modern(10).init(&device, 0)?;
/// let images = synthetic::garments(100, 0);
/// let evaluation = evaluate_with_stop(&lenet, &images, &device, &AtomicBool::new(false))?;
/// assert_eq!(evaluation, Some(evaluate(&lenet, &images, &device)?));
/// let stopped = evaluate_with_stop(&lenet, &images, &device, &AtomicBool::new(true))?;
/// assert_eq!(stopped, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// As for [`evaluate`].
pub fn evaluate_with_stop(
    lenet: &LeNet,
    dataset: &ImageDataset,
    device: &Device,
    stop: &AtomicBool,
) -> Result<Option<Evaluation>, TrainingError> {
    let stops = || stop.load(Ordering::Relaxed);
    pool::run(device, |helpers| {
        evaluate_until(lenet, dataset, device, helpers, stops)
    })
}

/// Evaluates with the threads of a run.
pub(crate) fn evaluate_within(
    lenet: &LeNet,
    dataset: &ImageDataset,
    device: &Device,
    helpers: &Helpers,
) -> Result<Evaluation, TrainingError> {
    match evaluate_until(lenet, dataset, device, helpers, || false)? {
        Some(evaluation) => Ok(evaluation),
        None => unreachable!("expected an evaluation, as nothing stops it"),
    }
}

/// Evaluates with the threads of a run, and without a result if `stops` says so before a batch.
fn evaluate_until(
    lenet: &LeNet,
    dataset: &ImageDataset,
    device: &Device,
    helpers: &Helpers,
    stops: impl Fn() -> bool,
) -> Result<Option<Evaluation>, TrainingError> {
    check_fit(lenet.config(), dataset)?;
    let device = device.clone().without_autodiff();
    let lenet = lenet.valid();
    #[cfg(feature = "gpu")]
    if let Some(found) = crate::training::predict(&lenet, dataset, &device)? {
        let evaluation = summarize(dataset, &found.classes, &found.log_likelihoods)?;
        return Ok((!stops()).then_some(evaluation));
    }

    // Results stay on the device until the end: one read-back for the whole data set.
    let (mut predictions, mut likelihoods) = (Vec::new(), Vec::new());
    let mut batches = dataset.batches(BATCH_SIZE, Order::Sequential, &device)?;
    let mut next_batch = batches.next();
    while let Some(batch) = next_batch {
        if stops() {
            return Ok(None);
        }
        let forward = || {
            let logits = lenet.forward(batch.images);
            let prediction = logits.clone().argmax(1).squeeze_dim::<1>(1);
            (prediction, log_likelihood(logits, batch.labels))
        };
        let (prediction, likelihood);
        // The next batch takes so long that a thread prepares it from the start.
        ((prediction, likelihood), next_batch) =
            helpers.step(|| (), |()| forward(), || batches.next());
        predictions.push(prediction);
        likelihoods.push(likelihood);
    }
    let predictions = read_back::<i64>(Tensor::cat(predictions, 0))?;
    let likelihoods = read_back::<f32>(Tensor::cat(likelihoods, 0))?;

    let predictions: Vec<usize> = predictions.into_iter().map(class).collect();
    summarize(dataset, &predictions, &likelihoods).map(Some)
}

/// The evaluation of a network that predicted these classes, and gave the labels these logarithms of probabilities.
pub(crate) fn summarize(
    dataset: &ImageDataset,
    predictions: &[usize],
    likelihoods: &[f32],
) -> Result<Evaluation, TrainingError> {
    let lost = likelihoods.iter().filter(|l| !l.is_finite()).count();
    if lost > 0 {
        return Err(TrainingError::NonFiniteOutput {
            dataset: dataset.name().to_owned(),
            images: dataset.len(),
            found: lost,
        });
    }

    let labels: Vec<usize> = dataset.labels().iter().map(|&label| label.into()).collect();
    let confusion = ConfusionMatrix::new(dataset.class_names(), &labels, predictions);
    let correct = labels
        .iter()
        .zip(predictions)
        .filter(|(label, found)| label == found)
        .count();
    let log_likelihood: f64 = likelihoods.iter().map(|&l| f64::from(l)).sum();
    Ok(Evaluation {
        accuracy: correct as f64 / dataset.len() as f64,
        mean_loss: -log_likelihood / dataset.len() as f64,
        images: dataset.len(),
        confusion,
    })
}

/// The index that argmax returned.
fn class(index: i64) -> usize {
    match usize::try_from(index) {
        Ok(class) => class,
        Err(_) => unreachable!("argmax returned {index}, expected an index"),
    }
}

/// Logarithm of the predicted probability of each label, `[batch]`.
fn log_likelihood(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    log_softmax(logits, 1)
        .gather(1, labels.unsqueeze_dim(1))
        .squeeze_dim(1)
}
