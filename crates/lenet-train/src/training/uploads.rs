//! Data sets on GPUs.

use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::CubeDevice;
use lenet_cubecl::{DeviceImages, GpuError};
use lenet_data::ImageDataset;

/// The data sets of a sweep on its GPUs, each uploaded once.
#[derive(Clone, Default)]
pub(super) struct Uploads(Arc<Mutex<Vec<Upload>>>);

struct Upload {
    device: CubeDevice,
    /// A clone shares its pixels, so comparing two of them is cheap.
    dataset: ImageDataset,
    images: DeviceImages,
}

impl Uploads {
    pub(super) fn get(
        &self,
        device: &CubeDevice,
        dataset: &ImageDataset,
    ) -> Result<DeviceImages, GpuError> {
        // Others that want the same wait for it.
        let mut uploads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |upload: &&Upload| upload.device == *device && upload.dataset == *dataset;
        if let Some(upload) = uploads.iter().find(is_it) {
            return Ok(upload.images.clone());
        }
        let images = upload(device, dataset)?;
        uploads.push(Upload {
            device: device.clone(),
            dataset: dataset.clone(),
            images: images.clone(),
        });
        Ok(images)
    }
}

pub(super) fn upload(
    device: &CubeDevice,
    dataset: &ImageDataset,
) -> Result<DeviceImages, GpuError> {
    let (pixels, labels) = (dataset.images(), dataset.labels());
    DeviceImages::new(&device.client(), pixels, labels, dataset.image_size())
}
