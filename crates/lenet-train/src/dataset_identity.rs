use lenet_data::ImageDataset;
use serde::{Deserialize, Serialize};

/// What tells a data set from another in a file that belongs to it.
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
