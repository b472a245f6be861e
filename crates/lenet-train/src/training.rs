use std::time::Instant;

use burn::grad_clipping::GradientClippingConfig;
use burn::module::Module;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Tensor};
use lenet_core::{InputError, LeNet, LeNetConfig};
use lenet_data::{ImageDataset, Order};
use serde::{Deserialize, Serialize};

use crate::evaluation::to_vec;
use crate::pool::{self, Helpers};
use crate::{Evaluation, Event, Observer, TrainingConfig, TrainingError, cross_entropy, evaluate};

/// Steps between two looks at the losses: often enough to stop a diverged run soon, seldom enough
/// that a GPU never waits.
const STEPS_PER_READ: usize = 50;

/// What one epoch gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EpochMetrics {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Mean training loss over the images of the epoch, in nats.
    pub mean_loss: f64,
    /// Training loss of the last batch: what the notebook of *Dive into Deep Learning* plots.
    pub last_batch_loss: f64,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Seconds for the epoch's training, without validation.
    pub seconds: f64,
    /// Accuracy on the validation set after the epoch, from 0 to 1, if there is one.
    pub validation_accuracy: Option<f64>,
    /// Mean loss on the validation set after the epoch, if there is one.
    pub validation_loss: Option<f64>,
}

/// A trained network and how it came about.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TrainingRun {
    /// The network after the last epoch, without autodiff.
    pub lenet: LeNet,
    /// One entry for each epoch.
    pub epochs: Vec<EpochMetrics>,
}

/// Trains a network from its seed.
///
/// On Flex the training occupies a thread of the current rayon pool, the observer is called there, and the
/// pool's other threads help.
///
/// `validation`, if given, is judged after every epoch and never learnt from. The test set has no
/// place here: [`evaluate`] the result with it, once.
///
/// ```
/// use burn::tensor::Device;
/// use lenet_core::LeNetConfig;
/// use lenet_data::synthetic;
/// use lenet_train::{TrainingConfig, evaluate, observer::Silent, train};
///
/// let device = Device::flex();
/// let splits = synthetic::garment_splits(256, 100);
/// let config = TrainingConfig::default().with_epochs(1);
/// let network = LeNetConfig::modern(10);
/// let run = train(&network, &config, &splits.train, None, &device, &mut Silent)?;
/// let result = evaluate(&run.lenet, &splits.test, &device)?;
/// println!("loss {:.3}, test accuracy {:.3}", run.epochs[0].mean_loss, result.accuracy);
/// # Ok::<(), lenet_train::TrainingError>(())
/// ```
///
/// # Errors
///
/// [`TrainingError`] if the configurations and the data do not fit together, before the first
/// step; if the loss becomes infinite or not a number; or if the device fails.
pub fn train(
    network: &LeNetConfig,
    config: &TrainingConfig,
    train: &ImageDataset,
    validation: Option<&ImageDataset>,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<TrainingRun, TrainingError> {
    pool::run(device, |helpers| {
        train_here(
            network, config, train, validation, device, observer, helpers,
        )
    })
}

fn train_here(
    network: &LeNetConfig,
    config: &TrainingConfig,
    train: &ImageDataset,
    validation: Option<&ImageDataset>,
    device: &Device,
    observer: &mut dyn Observer,
    helpers: &Helpers,
) -> Result<TrainingRun, TrainingError> {
    config.validate()?;
    for dataset in [Some(train), validation].into_iter().flatten() {
        check_fit(network, dataset)?;
    }
    let device = device.clone().autodiff();
    let mut lenet = network.init(&device, config.seed)?;
    let mut optimizer = sgd(config);
    let steps = train.len().div_ceil(config.batch_size);
    observer.observe(&Event::started(network, config, train, steps));

    let mut epochs = Vec::with_capacity(config.epochs.min(1024));
    for epoch in 0..config.epochs {
        let start = Instant::now();
        let mut losses = Losses::new(epoch, steps);
        let order = Order::Shuffled {
            seed: config.seed,
            epoch: epoch as u64,
        };
        let mut batches = train
            .batches(config.batch_size, order, &device)?
            .with_augmentation(config.augmentation);
        for step in 0..steps {
            let rate = config.schedule.learning_rate(
                config.learning_rate,
                epoch * steps + step,
                steps,
                config.epochs.saturating_mul(steps),
            );
            lenet = helpers.step(|| -> Result<_, TrainingError> {
                let Some(batch) = batches.next() else {
                    return Ok(lenet);
                };
                let images = batch.len();
                let loss = cross_entropy(lenet.forward(batch.images), batch.labels);
                let gradients = GradientsParams::from_grads(loss.backward(), &lenet);
                let lenet = optimizer.step(rate, lenet, gradients);
                losses.push(loss.inner(), images, rate)?;
                Ok(lenet)
            })?;
            observer.observe(&Event::Step {
                epoch: epoch + 1,
                step: step + 1,
                steps,
                loss: losses.latest,
            });
        }
        let (mean_loss, learning_rate) = losses.finish()?;
        let seconds = start.elapsed().as_secs_f64();
        let validated: Option<Evaluation> = validation
            .map(|dataset| evaluate(&lenet, dataset, &device))
            .transpose()?;
        let metrics = EpochMetrics {
            epoch: epoch + 1,
            mean_loss,
            last_batch_loss: losses.latest.unwrap_or(f64::NAN),
            learning_rate,
            seconds,
            validation_accuracy: validated.as_ref().map(|evaluation| evaluation.accuracy),
            validation_loss: validated.as_ref().map(|evaluation| evaluation.mean_loss),
        };
        observer.observe(&Event::Epoch {
            metrics: &metrics,
            epochs: config.epochs,
        });
        epochs.push(metrics);
    }
    observer.observe(&Event::Finished);
    Ok(TrainingRun {
        lenet: lenet.valid(),
        epochs,
    })
}

fn sgd(config: &TrainingConfig) -> ModuleOptimizer {
    let mut sgd = SgdConfig::new();
    if config.momentum > 0.0 {
        let momentum = MomentumConfig::new()
            .with_momentum(config.momentum)
            .with_dampening(0.0);
        sgd = sgd.with_momentum(Some(momentum));
    }
    if config.weight_decay > 0.0 {
        sgd = sgd.with_weight_decay(Some(WeightDecayConfig::new(config.weight_decay)));
    }
    sgd.with_gradient_clipping(config.gradient_clipping.map(GradientClippingConfig::Norm))
        .init()
}

/// The losses of an epoch; those of the last few steps are still on the device.
struct Losses {
    epoch: usize,
    steps: usize,
    done: usize,
    pending: Vec<Pending>,
    weighted_sum: f64,
    images: usize,
    rate: f64,
    /// The last loss that was read.
    latest: Option<f64>,
}

struct Pending {
    loss: Tensor<1>,
    images: usize,
    rate: f64,
}

impl Losses {
    fn new(epoch: usize, steps: usize) -> Self {
        Self {
            epoch,
            steps,
            done: 0,
            pending: Vec::with_capacity(STEPS_PER_READ),
            weighted_sum: 0.0,
            images: 0,
            rate: 0.0,
            latest: None,
        }
    }

    fn push(&mut self, loss: Tensor<1>, images: usize, rate: f64) -> Result<(), TrainingError> {
        self.pending.push(Pending { loss, images, rate });
        if self.pending.len() < STEPS_PER_READ {
            return Ok(());
        }
        self.read()
    }

    /// Reads what is pending in one transfer; the first loss that is not finite is an error.
    fn read(&mut self) -> Result<(), TrainingError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let losses = self
            .pending
            .iter()
            .map(|pending| pending.loss.clone())
            .collect();
        let losses = to_vec::<f32>(Tensor::cat(losses, 0).try_into_data_as::<f32>())?;
        for (pending, loss) in self.pending.drain(..).zip(losses) {
            let loss = f64::from(loss);
            self.done += 1;
            if !loss.is_finite() {
                return Err(TrainingError::NonFiniteLoss {
                    epoch: self.epoch + 1,
                    step: self.done,
                    steps: self.steps,
                    loss,
                    learning_rate: pending.rate,
                });
            }
            self.weighted_sum += loss * pending.images as f64;
            self.images += pending.images;
            self.rate = pending.rate;
            self.latest = Some(loss);
        }
        Ok(())
    }

    /// Mean loss over the images, and the last learning rate.
    fn finish(&mut self) -> Result<(f64, f64), TrainingError> {
        self.read()?;
        Ok((self.weighted_sum / self.images.max(1) as f64, self.rate))
    }
}

/// Whether the network can take these images and has a logit for each of their classes.
pub(crate) fn check_fit(
    network: &LeNetConfig,
    dataset: &ImageDataset,
) -> Result<(), TrainingError> {
    let name = || dataset.name().to_owned();
    if dataset.is_empty() {
        return Err(TrainingError::NoImages { dataset: name() });
    }
    let [height, width] = network.image_size;
    let expected = [network.in_channels, height, width];
    let [found_height, found_width] = dataset.image_size();
    if expected != [1, found_height, found_width] {
        return Err(InputError {
            expected,
            found: [dataset.len(), 1, found_height, found_width],
        }
        .into());
    }
    match dataset.class_names().len() {
        found if found > network.classes => Err(TrainingError::Classes {
            dataset: name(),
            expected: network.classes,
            found,
        }),
        _ => Ok(()),
    }
}
