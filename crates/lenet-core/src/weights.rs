use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use burn::module::Param;
use burn::tensor::{Tensor, TensorData};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::{LeNet, LeNetConfig, TensorDifference, WeightsError};

/// Key under which a file's metadata holds the configuration as JSON.
const CONFIG_KEY: &str = "lenet_config";

/// One parameter in PyTorch's terms.
struct Entry {
    /// As in the `state_dict` of the notebook's `self.net = nn.Sequential(...)`.
    name: String,
    /// PyTorch's shape: dense weights are `[outputs, inputs]`.
    shape: Vec<usize>,
    values: Vec<f32>,
}

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
        let io = |source| WeightsError::Io {
            path: path.to_owned(),
            source,
        };
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut file = temporary_file().tempfile_in(folder).map_err(io)?;
        file.write_all(&bytes).map_err(io)?;
        file.as_file().sync_all().map_err(io)?;
        file.persist(path).map_err(|error| io(error.error))?;
        Ok(())
    }

    /// The bytes that [`save_safetensors`](Self::save_safetensors) writes.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Device`] if the weights cannot be read back from the device.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, WeightsError> {
        let entries = self.entries()?;
        let bytes: Vec<Vec<u8>> = entries
            .iter()
            .map(|entry| entry.values.iter().flat_map(|v| v.to_le_bytes()).collect())
            .collect();
        let views = entries.iter().zip(&bytes).map(|(entry, bytes)| {
            TensorView::new(Dtype::F32, entry.shape.clone(), bytes)
                .map(|view| (entry.name.as_str(), view))
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
        let bytes = std::fs::read(path).map_err(|source| WeightsError::Io {
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
    pub fn from_safetensors(mut self, bytes: &[u8]) -> Result<Self, WeightsError> {
        let file =
            SafeTensors::deserialize(bytes).map_err(|source| WeightsError::Format { source })?;
        self.check_function(bytes)?;
        let mut found: HashMap<String, TensorView<'_>> = file
            .tensors()
            .into_iter()
            .map(|(name, view)| match name.starts_with("net.") {
                true => (name, view),
                false => (format!("net.{name}"), view),
            })
            .collect();

        let mut differences = Vec::new();
        let mut values = Vec::new();
        for (name, shape) in self.parameter_shapes() {
            let Some(view) = found.remove(&name) else {
                differences.push(TensorDifference::Missing {
                    name,
                    expected: shape,
                });
                continue;
            };
            if view.shape() != shape {
                differences.push(TensorDifference::Shape {
                    name,
                    expected: shape,
                    found: view.shape().to_vec(),
                });
            } else if view.dtype() != Dtype::F32 {
                differences.push(TensorDifference::ElementType {
                    name,
                    found: format!("{:?}", view.dtype()),
                });
            } else {
                let (numbers, _) = view.data().as_chunks::<4>();
                values.push(
                    numbers
                        .iter()
                        .map(|&b| f32::from_le_bytes(b))
                        .collect::<Vec<_>>(),
                );
            }
        }
        let mut unexpected: Vec<_> = found
            .into_iter()
            .map(|(name, view)| TensorDifference::Unexpected {
                name,
                found: view.shape().to_vec(),
            })
            .collect();
        unexpected.sort_by_key(ToString::to_string);
        differences.append(&mut unexpected);
        if !differences.is_empty() {
            return Err(WeightsError::Mismatch { differences });
        }

        let mut values = values.into_iter();
        let mut next = || values.next().unwrap_or_default();
        for block in &mut self.conv {
            replace(&mut block.weight, next());
            replace(&mut block.bias, next());
        }
        for dense in &mut self.dense {
            let [inputs, outputs] = dense.weight.dims();
            replace(&mut dense.weight, transpose(&next(), outputs, inputs));
            replace(&mut dense.bias, next());
        }
        Ok(self)
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

    /// Every parameter's key and PyTorch shape, in the order of the network.
    fn parameter_shapes(&self) -> Vec<(String, Vec<usize>)> {
        let conv = self.conv.iter().enumerate().map(|(index, block)| {
            let module = 3 * index;
            (
                module,
                block.weight.dims().to_vec(),
                block.bias.dims().to_vec(),
            )
        });
        let first_dense = 3 * self.conv.len() + 1;
        let dense = self.dense.iter().enumerate().map(|(index, dense)| {
            let [inputs, outputs] = dense.weight.dims();
            (
                first_dense + 2 * index,
                vec![outputs, inputs],
                vec![outputs],
            )
        });
        conv.chain(dense)
            .flat_map(|(module, weight, bias)| {
                [
                    (format!("net.{module}.weight"), weight),
                    (format!("net.{module}.bias"), bias),
                ]
            })
            .collect()
    }

    fn entries(&self) -> Result<Vec<Entry>, WeightsError> {
        let mut read = Vec::new();
        for block in &self.conv {
            read.push(host(block.weight.val()));
            read.push(host(block.bias.val()));
        }
        for dense in &self.dense {
            let [inputs, outputs] = dense.weight.dims();
            read.push(host(dense.weight.val()).map(|v| transpose(&v, inputs, outputs)));
            read.push(host(dense.bias.val()));
        }
        self.parameter_shapes()
            .into_iter()
            .zip(read)
            .map(|((name, shape), values)| match values {
                Ok(values) => Ok(Entry {
                    name,
                    shape,
                    values,
                }),
                Err(message) => Err(WeightsError::Device { name, message }),
            })
            .collect()
    }
}

fn host<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, String> {
    let data = tensor
        .try_into_data_as::<f32>()
        .map_err(|error| format!("{error:?}"))?;
    data.try_into_vec::<f32>()
        .map_err(|error| format!("{error:?}"))
}

/// Puts new values, already proven to be of the right number, in place of a parameter's.
fn replace<const D: usize>(parameter: &mut Param<Tensor<D>>, values: Vec<f32>) {
    let data = TensorData::new(values, parameter.dims());
    *parameter = parameter.clone().map(|old| {
        let new = Tensor::from_data(data, &old.device());
        if old.is_require_grad() {
            new.require_grad()
        } else {
            new
        }
    });
}

/// A `rows × columns` matrix, transposed.
fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|column| {
            values
                .iter()
                .skip(column)
                .step_by(columns.max(1))
                .take(rows)
                .copied()
        })
        .collect()
}

/// A file that anybody may read once it has its name, as any other new file.
fn temporary_file() -> tempfile::Builder<'static, 'static> {
    #[allow(unused_mut, reason = "permissions are a matter of Unix")]
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder
}
