//! Training on any device, with burn's autodiff. On Flex, `lenet-core` fuses the layers.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use lenet_core::{LeNet, NamedTensor, read_back};
use lenet_data::{Batch, Batches, ImageDataset, Order};

use super::learner::Learner;
use super::sgd::Sgd;
use crate::pool::Helpers;
use crate::{Evaluation, TrainingConfig, TrainingError};

pub(super) struct Composed<'a> {
    config: &'a TrainingConfig,
    train: &'a ImageDataset,
    device: Device,
    /// `None` only while a step consumes it.
    lenet: Option<LeNet>,
    sgd: Sgd,
    batches: Option<Batches<'a>>,
    next_batch: Option<Batch>,
    losses: Vec<Tensor<1>>,
}

impl<'a> Composed<'a> {
    /// `device` and `lenet` are with autodiff.
    pub(super) fn new(
        config: &'a TrainingConfig,
        train: &'a ImageDataset,
        device: Device,
        lenet: LeNet,
        velocity: Option<LeNet>,
    ) -> Self {
        let mut sgd = Sgd::new(config);
        if let Some(velocity) = velocity {
            sgd.set_velocity(velocity);
        }
        Self {
            config,
            train,
            device,
            lenet: Some(lenet),
            sgd,
            batches: None,
            next_batch: None,
            losses: Vec::new(),
        }
    }

    fn lenet(&self) -> &LeNet {
        let Some(lenet) = &self.lenet else {
            unreachable!("a step returns the network that it consumes")
        };
        lenet
    }
}

impl Learner for Composed<'_> {
    fn start_epoch(&mut self, epoch: usize, step: usize) -> Result<(), TrainingError> {
        let order = Order::Shuffled {
            seed: self.config.seed,
            epoch: epoch as u64,
        };
        let batches = self
            .train
            .batches(self.config.batch_size, order, &self.device)?;
        let mut batches = batches.with_augmentation(self.config.augmentation);
        self.next_batch = batches.nth(step);
        self.batches = Some(batches);
        Ok(())
    }

    fn step(&mut self, rate: f64, helpers: &Helpers) -> Result<usize, TrainingError> {
        let (Some(lenet), Some(batch)) = (self.lenet.take(), self.next_batch.take()) else {
            unreachable!("an epoch has a batch for each of its steps")
        };
        let images = batch.len();
        let forward = || {
            let loss = lenet.loss(batch.images, batch.labels);
            (lenet, loss)
        };
        let sgd = &mut self.sgd;
        let descend = |(lenet, loss): (LeNet, Tensor<1>)| {
            let lenet = sgd.step(rate, lenet, loss.backward());
            (lenet, loss.inner())
        };
        let batches = &mut self.batches;
        let next = || batches.as_mut().and_then(Iterator::next);
        let ((lenet, loss), next_batch) = helpers.step(forward, descend, next);
        self.lenet = Some(lenet);
        self.next_batch = next_batch;
        self.losses.push(loss);
        Ok(images)
    }

    fn read_losses(&mut self) -> Result<Vec<f32>, TrainingError> {
        let losses = std::mem::take(&mut self.losses);
        if losses.is_empty() {
            return Ok(Vec::new());
        }
        Ok(read_back(Tensor::cat(losses, 0))?)
    }

    fn network(&self) -> Result<LeNet, TrainingError> {
        Ok(self.lenet().valid())
    }

    fn evaluate(&self, _dataset: &ImageDataset) -> Result<Option<Evaluation>, TrainingError> {
        Ok(None)
    }

    fn velocity(&self) -> Result<Vec<NamedTensor>, TrainingError> {
        match self.sgd.velocity(self.lenet()) {
            Some(velocity) => velocity.state_dict().map_err(TrainingError::device),
            None => Ok(Vec::new()),
        }
    }
}
