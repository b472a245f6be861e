//! The safetensors format, out and in.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::{CONFIG_KEY, FoundTensor, floats};
use crate::file::{FileError, write_file};
use crate::{LeNet, WeightsError};

impl LeNet {
    /// Saves the weights as safetensors, with the configuration in the file's metadata.
    ///
    /// Keys and layouts are PyTorch's, for a module with the notebook's `nn.Sequential` in its field `net`:
    /// convolution weights `[out_channels, in_channels, kernel_size, kernel_size]` under `net.0.weight`,
    /// dense weights `[outputs, inputs]`. Read the file with [`Weights::open`](crate::Weights::open), or in
    /// PyTorch with `load_state_dict(load_file(path))`. An existing file is replaced only by a complete one.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] if the device or the file system fails; an existing file is then unchanged.
    pub fn save_safetensors(&self, path: impl AsRef<Path>) -> Result<(), WeightsError> {
        save(path.as_ref(), &self.to_safetensors()?)
    }

    /// The contents of the file that [`save_safetensors`](Self::save_safetensors) writes.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Device`] if the weights cannot be read back from the device.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, WeightsError> {
        let tensors = self.state_dict()?;
        let bytes: Vec<Vec<u8>> = tensors
            .iter()
            .map(|tensor| tensor.values.iter().flat_map(|v| v.to_le_bytes()).collect())
            .collect();
        let views = tensors.iter().zip(&bytes).map(|(tensor, bytes)| {
            TensorView::new(Dtype::F32, tensor.shape.clone(), bytes)
                .map(|view| (tensor.name.as_str(), view))
        });
        let views = views.collect::<Result<Vec<_>, _>>().map_err(refused)?;
        let metadata = HashMap::from([(CONFIG_KEY.to_owned(), self.config_json())]);
        safetensors::serialize(views, Some(metadata)).map_err(refused)
    }
}

pub(super) fn save(path: &Path, bytes: &[u8]) -> Result<(), WeightsError> {
    Ok(write_file(path, bytes).map_err(FileError::at(path))?)
}

/// The configuration in the metadata, and the tensors.
pub(super) fn read(bytes: Vec<u8>) -> Result<(Option<String>, Vec<FoundTensor>), WeightsError> {
    let (header, metadata) = SafeTensors::read_metadata(&bytes).map_err(refused)?;
    let user = metadata.metadata().as_ref();
    let config = user.and_then(|user| user.get(CONFIG_KEY)).cloned();
    let first = 8 + header;
    let infos = metadata.tensors();
    let bytes = Arc::new(bytes);
    let tensors = infos.into_iter().map(|(name, info)| {
        let bytes = Arc::clone(&bytes);
        let (start, end) = info.data_offsets;
        FoundTensor {
            name,
            shape: info.shape.clone(),
            other_type: (info.dtype != Dtype::F32).then(|| format!("{:?}", info.dtype)),
            read: Box::new(move || {
                let values = bytes.get(first + start..first + end);
                values
                    .map(floats)
                    .ok_or_else(|| "beyond the end of the file".to_owned())
            }),
        }
    });
    Ok((config, tensors.collect()))
}

fn refused(error: safetensors::SafeTensorError) -> WeightsError {
    WeightsError::Format {
        format: "safetensors",
        reason: error.to_string(),
    }
}
