//! What a network predicts for all test images of a data set: computed when somebody asks, once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::Device;
use lenet_core::{LeNet, PredictError, Prediction};
use lenet_data::{ImageDataset, Order};

use crate::error::ApiError;
use crate::gallery::DatasetId;
use crate::server::work::Work;
use crate::shared::Shared;

/// Images per batch.
const BATCH_SIZE: usize = 500;

/// The predicted class of each test image.
type Classes = Arc<[usize]>;

/// The predicted classes of the test images, in their order, for each data set.
#[derive(Default)]
pub(crate) struct Predictions {
    of: Mutex<HashMap<DatasetId, Arc<Shared<Classes>>>>,
}

impl Predictions {
    /// The predicted classes of `images`, the test images of `dataset`, which fit the network.
    pub(crate) async fn get(
        &self,
        dataset: DatasetId,
        images: ImageDataset,
        lenet: LeNet,
        device: Device,
        work: Work,
    ) -> Result<Classes, ApiError> {
        let shared = {
            let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(of.entry(dataset).or_default())
        };
        let predict = move || work.evaluate(|| predict(&lenet, &images, &device));
        shared.get(predict).await
    }
}

fn predict(lenet: &LeNet, images: &ImageDataset, device: &Device) -> Result<Classes, ApiError> {
    let mut classes = Vec::with_capacity(images.len());
    for batch in images.batches(BATCH_SIZE, Order::Sequential, device)? {
        match lenet.predict(batch.images) {
            Ok(predictions) => {
                classes.extend(predictions.iter().map(Prediction::class));
            }
            Err(error @ PredictError::ReadBack(_)) => {
                return Err(ApiError::internal(&error));
            }
            Err(error) => return Err(ApiError::invalid(error.to_string())),
        }
    }
    Ok(classes.into())
}
