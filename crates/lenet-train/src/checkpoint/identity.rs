//! Which run a checkpoint belongs to.

use std::cmp::Ordering;

use lenet_core::LeNetConfig;
use lenet_data::ImageDataset;
use serde::{Deserialize, Serialize};

use super::Progress;
use crate::TrainingConfig;
use crate::dataset::DatasetIdentity;

/// Everything that determines a run. A run resumes only from checkpoints with the same identity.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RunIdentity {
    network: LeNetConfig,
    training: TrainingConfig,
    training_set: DatasetIdentity,
    validation_set: Option<DatasetIdentity>,
}

impl RunIdentity {
    pub(crate) fn new(
        network: &LeNetConfig,
        training: &TrainingConfig,
        train: &ImageDataset,
        validation: Option<&ImageDataset>,
    ) -> Self {
        Self {
            network: network.clone(),
            training: training.clone(),
            training_set: train.into(),
            validation_set: validation.map(DatasetIdentity::from),
        }
    }

    /// Steps per epoch.
    pub(super) fn steps(&self) -> usize {
        let batch_size = self.training.batch_size.max(1);
        self.training_set.images.div_ceil(batch_size)
    }

    /// Upper limit of a checkpoint's size in bytes: weights and velocities in float32, and room for the rest.
    pub(super) fn largest_file(&self) -> u64 {
        let table = self.network.layer_table();
        let parameters = table.map_or(0, |table| table.parameters()) as u64;
        8 * parameters + (64 << 20)
    }

    /// Checks that a run like this can be at this position.
    pub(super) fn check(&self, progress: &Progress) -> Result<(), String> {
        for seconds in [progress.partial.seconds, progress.total_seconds] {
            if !(seconds.is_finite() && seconds >= 0.0) {
                return Err(format!("its run took {seconds} seconds"));
            }
        }
        let (epoch, epochs) = (progress.epochs.len(), self.training.epochs);
        let (step, steps) = (progress.partial.step, self.steps());
        match epoch.cmp(&epochs) {
            Ordering::Less if step < steps => Ok(()),
            Ordering::Equal if step == 0 => Ok(()),
            _ => Err(format!(
                "its position is after epoch {epoch} of {epochs} and step {step} of {steps}"
            )),
        }
    }
}
