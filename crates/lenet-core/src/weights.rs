use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::file::{read_file, write_file};
use crate::state_dict::FoundTensor;
use crate::{LeNet, LeNetConfig, WeightsError};

/// Key under which a file's metadata holds the configuration as JSON.
const CONFIG_KEY: &str = "lenet_config";

impl LeNet {
    /// Saves the weights as safetensors, with the configuration in the file's metadata.
    ///
    /// Keys and layouts are PyTorch's, for the `nn.Sequential` of the notebook held in a module's
    /// `net`: convolution weights `[out_channels, in_channels, kernel_size, kernel_size]` under
    /// `net.0.weight`, dense weights `[outputs, inputs]`. `load_state_dict(load_file(path))` takes
    /// it. The file replaces an older one only when it is complete.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use lenet_core::LeNetConfig;
    ///
    /// let directory = tempfile::tempdir()?;
    /// let path = directory.path().join("lenet.safetensors");
    /// let lenet = LeNetConfig::modern(10).init(&Device::flex(), 0)?;
    /// lenet.save_safetensors(&path)?;
    ///
    /// let other = LeNetConfig::modern(10).init(&Device::flex(), 1)?;
    /// let same = other.load_safetensors(&path)?;
    /// assert_eq!(same.to_safetensors()?, lenet.to_safetensors()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`WeightsError`] if the device or the file system refuses; an existing file is then
    /// untouched.
    pub fn save_safetensors(&self, path: impl AsRef<Path>) -> Result<(), WeightsError> {
        let path = path.as_ref();
        let bytes = self.to_safetensors()?;
        write_file(path, &bytes).map_err(|source| WeightsError::Io {
            path: path.to_owned(),
            source,
        })
    }

    /// The bytes that [`save_safetensors`](Self::save_safetensors) writes.
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
        let views = views
            .collect::<Result<Vec<_>, _>>()
            .map_err(|source| WeightsError::Format { source })?;
        let config = serde_json::to_string(self.config()).unwrap_or_default();
        let metadata = HashMap::from([(CONFIG_KEY.to_owned(), config)]);
        safetensors::serialize(views, Some(metadata))
            .map_err(|source| WeightsError::Format { source })
    }

    /// This network with the weights of a safetensors file, on the same device.
    ///
    /// The keys are those of [`save_safetensors`](Self::save_safetensors), with or without the
    /// prefix `net.`.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] if the file cannot be read, is no safetensors file, or holds another
    /// network's weights, with the list of all tensors that differ. A file that names its
    /// configuration, as those of [`save_safetensors`](Self::save_safetensors) do, must also have the
    /// same activation, pooling and padding, which shapes do not tell.
    pub fn load_safetensors(self, path: impl AsRef<Path>) -> Result<Self, WeightsError> {
        let path = path.as_ref();
        let bytes = read_file(path, self.largest_file()).map_err(|source| WeightsError::Io {
            path: path.to_owned(),
            source,
        })?;
        self.from_safetensors(&bytes)
    }

    /// [`load_safetensors`](Self::load_safetensors) from memory.
    ///
    /// # Errors
    ///
    /// As [`load_safetensors`](Self::load_safetensors).
    pub fn from_safetensors(self, bytes: &[u8]) -> Result<Self, WeightsError> {
        let file =
            SafeTensors::deserialize(bytes).map_err(|source| WeightsError::Format { source })?;
        self.check_function(bytes)?;
        let tensors = file.tensors().into_iter();
        self.load(tensors.map(|(name, view)| FoundTensor {
            name,
            shape: view.shape().to_vec(),
            values: match view.dtype() {
                Dtype::F32 => {
                    let (numbers, _) = view.data().as_chunks::<4>();
                    Ok(numbers.iter().map(|&b| f32::from_le_bytes(b)).collect())
                }
                other => Err(format!("{other:?}")),
            },
        }))
    }

    /// Most bytes of a weights file: what four float32 files of this network and much else would need.
    fn largest_file(&self) -> u64 {
        let table = self.config().layer_table();
        let parameters = table.map_or(0, |table| table.parameters()) as u64;
        16 * parameters + (64 << 20)
    }

    /// Whether the configuration in the file's metadata, if there is one, computes the same.
    fn check_function(&self, bytes: &[u8]) -> Result<(), WeightsError> {
        let (_, metadata) =
            SafeTensors::read_metadata(bytes).map_err(|source| WeightsError::Format { source })?;
        let text = metadata.metadata().as_ref().and_then(|m| m.get(CONFIG_KEY));
        let config = text.and_then(|text| serde_json::from_str::<LeNetConfig>(text).ok());
        let Some(found) = config else {
            return Ok(());
        };
        let expected = self.config();
        let padding = |config: &LeNetConfig| -> String {
            let each = (0..self.conv.len()).map(|index| config.padding.get(index));
            format!(
                "{:?}",
                each.map(Option::unwrap_or_default).collect::<Vec<_>>()
            )
        };
        let pairs = [
            (
                "activation",
                expected.activation.to_string(),
                found.activation.to_string(),
            ),
            (
                "pooling",
                expected.pooling.to_string(),
                found.pooling.to_string(),
            ),
            ("padding", padding(expected), padding(&found)),
        ];
        for (what, expected, found) in pairs {
            if expected != found {
                return Err(WeightsError::Function {
                    what,
                    expected,
                    found,
                });
            }
        }
        Ok(())
    }
}
