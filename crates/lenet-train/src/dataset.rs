//! Data sets as training sees them: whether they fit a network, and how a file identifies them.

use lenet_core::{InputError, LeNetConfig};
use lenet_data::ImageDataset;
use serde::{Deserialize, Serialize};

use crate::TrainingError;

/// Identifies a data set in a file that belongs to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DatasetIdentity {
    name: String,
    pub(crate) images: usize,
    /// SHA-256 of shape, labels and pixels.
    digest: String,
}

impl From<&ImageDataset> for DatasetIdentity {
    fn from(dataset: &ImageDataset) -> Self {
        Self {
            name: dataset.name().to_owned(),
            images: dataset.len(),
            digest: dataset.digest(),
        }
    }
}

/// Checks that the network accepts these images and has a logit for each of their classes.
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
    let found = dataset.class_names().len();
    if found > network.classes {
        return Err(TrainingError::Classes {
            dataset: name(),
            expected: network.classes,
            found,
        });
    }
    Ok(())
}
