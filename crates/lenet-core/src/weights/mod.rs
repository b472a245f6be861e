//! Weights in files: what a file holds, and whether a network can take it.

mod names;
#[cfg(feature = "pytorch")]
mod pytorch;
mod record;
mod safetensors;
mod shapes;

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use burn::tensor::Device;

use crate::file::read_file;
use crate::{LeNet, LeNetConfig, NamedTensor, TensorDifference, WeightsError};

/// Key under which a file's metadata holds the configuration as JSON.
const CONFIG_KEY: &str = "lenet_config";

/// Most bytes of a file: what the largest network and a header of 100 megabytes need.
const MAX_BYTES: u64 = 4 * (i32::MAX as u64) + 100_000_000;

/// The tensors of a file, whose values are looked at when a network takes them, and the configuration if
/// the file says it.
///
/// ```
/// use burn::tensor::Device;
/// use lenet_core::{LeNet, LeNetConfig, Weights};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("lenet.safetensors");
/// let device = Device::flex();
/// let trained = LeNetConfig::tweakable(10).with_kernel_size(3).init(&device, 0)?;
/// trained.save_safetensors(&path)?;
///
/// // The file says which network it is of.
/// let weights = Weights::open(&path)?;
/// let lenet = LeNet::from_weights(weights, &LeNetConfig::modern(10), &device)?;
/// assert_eq!(lenet.state_dict()?, trained.state_dict()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Weights {
    config: Option<LeNetConfig>,
    tensors: Vec<FoundTensor>,
    /// Bytes of the file.
    len: u64,
}

/// A tensor of a file.
pub(crate) struct FoundTensor {
    /// Of the notebook's `nn.Sequential` wherever the file's can be told to mean that.
    name: String,
    shape: Vec<usize>,
    /// The element type as the format spells it, where it is not a 32-bit float.
    other_type: Option<String>,
    /// Reads the values, as many as the shape says.
    read: Box<dyn FnOnce() -> Result<Vec<f32>, String> + Send>,
}

impl fmt::Debug for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tensors = self.tensors.iter().map(|t| (&t.name, &t.shape));
        f.debug_struct("Weights")
            .field("config", &self.config)
            .field("tensors", &tensors.collect::<Vec<_>>())
            .finish()
    }
}

impl Weights {
    /// Opens a file of weights; its content tells the format:
    ///
    /// - safetensors, as [`LeNet::save_safetensors`] and PyTorch's `save_file` write it;
    /// - burn's record, as [`LeNet::save_record`] and burn's own `ModuleRecord::save` write it, so also
    ///   the model checkpoints of burn's `Learner`;
    /// - with the feature `pytorch`: a `state_dict`, also under the key `state_dict` or
    ///   `model_state_dict` of a checkpoint, or a whole module, as `torch.save` writes it since PyTorch 1.6.
    ///   No code in such a file is ever run.
    ///
    /// Names are those of an `nn.Sequential` as in section 7.6 of *Dive into Deep Learning* (convolution,
    /// activation and pooling, three modules for each convolution; flatten; dense layers with an
    /// activation between them), whatever prefix they all share: `0.weight`, `net.0.weight`,
    /// `module.net.0.weight`. In burn's record they are those of [`LeNet`] itself, without a prefix.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] if the file cannot be read or is no such file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, WeightsError> {
        let path = path.as_ref();
        let io = |source| WeightsError::Io {
            path: path.to_owned(),
            source,
        };
        let mut start = Vec::new();
        let file = File::open(path).map_err(io)?;
        let len = file.metadata().map_err(io)?.len();
        file.take(16).read_to_end(&mut start).map_err(io)?;
        let weights = match format(&start) {
            Some(Format::PyTorch) => pytorch(path, len),
            Some(_) => Self::from_bytes(read_file(path, MAX_BYTES).map_err(io)?),
            None => Err(unknown(&start)),
        };
        weights.map_err(|source| WeightsError::File {
            path: path.to_owned(),
            source: Box::new(source),
        })
    }

    /// The weights in the bytes of a safetensors file or a burn record.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] if they are neither.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Result<Self, WeightsError> {
        let bytes = bytes.into();
        let len = bytes.len() as u64;
        let (config, tensors) = match format(&bytes) {
            Some(Format::Safetensors) => safetensors::read(bytes)?,
            Some(Format::Record) => record::read(bytes)?,
            Some(Format::PyTorch) => {
                return Err(WeightsError::Format {
                    format: "PyTorch",
                    reason: "such a file is read from disk only".to_owned(),
                });
            }
            None => return Err(unknown(&bytes)),
        };
        let config = config.map(|text| serde_json::from_str(&text));
        let config = config.transpose().map_err(|error| WeightsError::Metadata {
            reason: error.to_string(),
        })?;
        Ok(Self::new(config, tensors, len))
    }

    fn new(config: Option<LeNetConfig>, mut tensors: Vec<FoundTensor>, len: u64) -> Self {
        names::to_sequential(&mut tensors);
        Self {
            config,
            tensors,
            len,
        }
    }

    /// The configuration that the file says its network has.
    pub fn config(&self) -> Option<&LeNetConfig> {
        self.config.as_ref()
    }

    /// The configuration that the file says its network has; where it says none, what follows from the
    /// shapes of its tensors.
    ///
    /// Shapes tell the channels, kernel sizes, hidden dimensions and classes. `like` tells what they do
    /// not: the size of the images, activation, pooling and, if the features of the first dense layer
    /// allow it, padding; else the padding is the first that fits of the presets', half the kernel, and none.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Shapes`] if the tensors are not those of any such network.
    pub fn config_like(&self, like: &LeNetConfig) -> Result<LeNetConfig, WeightsError> {
        match &self.config {
            Some(config) => Ok(config.clone()),
            None => shapes::config(&self.tensors, like),
        }
    }
}

impl From<Vec<NamedTensor>> for Weights {
    fn from(state: Vec<NamedTensor>) -> Self {
        let tensors = state.into_iter().map(|tensor| FoundTensor {
            name: tensor.name,
            shape: tensor.shape,
            other_type: None,
            read: Box::new(|| Ok(tensor.values)),
        });
        // The values are in memory already, and no more are made of them.
        Self::new(None, tensors.collect(), u64::MAX)
    }
}

impl LeNet {
    /// The network that these weights are of, on `device`. Where they do not say their configuration, it
    /// follows from their shapes and from `like`, as [`Weights::config_like`] tells.
    ///
    /// # Errors
    ///
    /// [`WeightsError`], before anything of the network's size is allocated, if the tensors are not those
    /// of the configuration.
    pub fn from_weights(
        weights: Weights,
        like: &LeNetConfig,
        device: &Device,
    ) -> Result<Self, WeightsError> {
        let config = weights.config_like(like)?;
        let values = values(&config, weights)?;
        Ok(config.init(device, 0)?.with_values(values))
    }

    /// This network with these weights, on the same device.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use lenet_core::{LeNetConfig, Weights};
    ///
    /// let lenet = LeNetConfig::modern(10).init(&Device::flex(), 0)?;
    /// let other = LeNetConfig::modern(10).init(&Device::flex(), 1)?;
    /// let same = other.load_weights(Weights::from_bytes(lenet.to_safetensors()?)?)?;
    /// assert_eq!(same.state_dict()?, lenet.state_dict()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`WeightsError::Mismatch`] with everything that is missing, superfluous, of another shape or
    /// element type, or not a finite number. Weights that say their configuration must also have the same
    /// activation, pooling and padding, which shapes do not tell: [`WeightsError::Function`].
    pub fn load_weights(self, weights: Weights) -> Result<Self, WeightsError> {
        if let Some(found) = &weights.config {
            same_function(self.config(), found)?;
        }
        let values = values(self.config(), weights)?;
        Ok(self.with_values(values))
    }
}

enum Format {
    Safetensors,
    Record,
    PyTorch,
}

/// The format of a file that begins with these bytes.
fn format(start: &[u8]) -> Option<Format> {
    let header = start.first_chunk().map(|len| u64::from_le_bytes(*len));
    if start.starts_with(&burn_pack::MAGIC_NUMBER.to_le_bytes()) {
        Some(Format::Record)
    } else if start.get(8) == Some(&b'{') && header.is_some_and(|len| len <= 100_000_000) {
        Some(Format::Safetensors)
    } else if start.starts_with(b"PK") || start.first() == Some(&0x80) {
        Some(Format::PyTorch)
    } else {
        None
    }
}

fn unknown(start: &[u8]) -> WeightsError {
    let start = start.get(..8).unwrap_or(start);
    WeightsError::UnknownFormat {
        start: start.to_vec(),
    }
}

#[cfg(feature = "pytorch")]
fn pytorch(path: &Path, len: u64) -> Result<Weights, WeightsError> {
    Ok(Weights::new(None, pytorch::read(path)?, len))
}

#[cfg(not(feature = "pytorch"))]
fn pytorch(_path: &Path, _len: u64) -> Result<Weights, WeightsError> {
    Err(WeightsError::Format {
        format: "PyTorch",
        reason: "lenet-core was built without its feature `pytorch`".to_owned(),
    })
}

/// The values of every parameter of the configuration, in order; all shapes are compared before any value
/// is looked at.
fn values(config: &LeNetConfig, weights: Weights) -> Result<Vec<Vec<f32>>, WeightsError> {
    let mut tensors: HashMap<String, FoundTensor> = HashMap::new();
    let mut unexpected = Vec::new();
    for tensor in weights.tensors {
        // The second one of a name is none of the network's.
        if let Some(second) = tensors.insert(tensor.name.clone(), tensor) {
            unexpected.push(second);
        }
    }
    let (mut differences, mut found) = (Vec::new(), Vec::new());
    for (name, expected) in config.parameter_shapes()? {
        match tensors.remove(&name) {
            None => differences.push(TensorDifference::Missing { name, expected }),
            Some(tensor) if tensor.shape != expected => {
                differences.push(TensorDifference::Shape {
                    name,
                    expected,
                    found: tensor.shape,
                });
            }
            Some(FoundTensor {
                other_type: Some(found),
                ..
            }) => differences.push(TensorDifference::ElementType { name, found }),
            Some(tensor) => found.push(tensor),
        }
    }
    unexpected.extend(tensors.into_values());
    unexpected.sort_by(|a, b| a.name.cmp(&b.name));
    differences.extend(unexpected.into_iter().map(|tensor| {
        let (name, found) = (tensor.name, tensor.shape);
        TensorDifference::Unexpected { name, found }
    }));

    let mut values = Vec::new();
    if differences.is_empty() {
        // Tensors may share their bytes, and so claim any size.
        let numbers = found
            .iter()
            .map(|t| t.shape.iter().product::<usize>() as u64);
        let claimed = 4 * numbers.sum::<u64>();
        if claimed > weights.len {
            return Err(WeightsError::Format {
                format: "weights",
                reason: format!("its tensors claim {claimed} of {} bytes", weights.len),
            });
        }
        for tensor in found {
            match read(tensor) {
                Ok(numbers) => values.push(numbers),
                Err(difference) => differences.push(difference),
            }
        }
    }
    match differences.is_empty() {
        true => Ok(values),
        false => Err(WeightsError::Mismatch { differences }),
    }
}

/// The values of a tensor, of the number that its shape says, and all finite.
fn read(tensor: FoundTensor) -> Result<Vec<f32>, TensorDifference> {
    let name = tensor.name;
    let values = match (tensor.read)() {
        Ok(values) => values,
        Err(reason) => return Err(TensorDifference::Unreadable { name, reason }),
    };
    let expected = tensor.shape.iter().product();
    if values.len() != expected {
        return Err(TensorDifference::Length {
            name,
            expected,
            found: values.len(),
        });
    }
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(TensorDifference::NotFinite {
            name,
            index,
            found: values.get(index).copied().unwrap_or(f32::NAN).to_string(),
        }),
        None => Ok(values),
    }
}

/// Little-endian 32-bit floats.
fn floats(bytes: &[u8]) -> Vec<f32> {
    let (numbers, _) = bytes.as_chunks::<4>();
    numbers.iter().map(|&b| f32::from_le_bytes(b)).collect()
}

/// Whether two configurations of the same shapes compute the same.
fn same_function(expected: &LeNetConfig, found: &LeNetConfig) -> Result<(), WeightsError> {
    let convolutions = expected.out_channels.len();
    let padding = |config: &LeNetConfig| {
        let each = (0..convolutions).map(|index| config.padding.get(index).unwrap_or_default());
        format!("{:?}", each.collect::<Vec<_>>())
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
        ("padding", padding(expected), padding(found)),
    ];
    let different = pairs.into_iter().find(|(_, ours, theirs)| ours != theirs);
    match different {
        None => Ok(()),
        Some((what, expected, found)) => Err(WeightsError::Function {
            what,
            expected,
            found,
        }),
    }
}
