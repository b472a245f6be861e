//! Weights in files: formats, names and configuration. `load` decides whether a network can take them.

mod load;
mod names;
#[cfg(feature = "pytorch")]
mod pytorch;
mod record;
mod safetensors;
mod shapes;

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::file::{FileError, read_file};
use crate::{LeNetConfig, NamedTensor, WeightsError};

/// Key under which a file's metadata holds the configuration as JSON.
const CONFIG_KEY: &str = "lenet_config";

/// Largest file in bytes: the largest network and a header of 100 megabytes.
const MAX_BYTES: u64 = 4 * (i32::MAX as u64) + 100_000_000;

/// The tensors in a file, and the network's configuration if the file contains it.
///
/// Values are read only when a network takes them.
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
/// let lenet = LeNet::from_weights(Weights::open(&path)?, &device)?;
/// assert_eq!(lenet.config(), trained.config());
/// assert_eq!(lenet.state_dict()?, trained.state_dict()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Files from elsewhere contain tensors only. Their shapes determine the layers; a preset supplies the rest:
///
/// ```
/// use burn::tensor::Device;
/// use lenet_core::{LeNet, LeNetConfig, Weights};
///
/// let device = Device::flex();
/// let trained = LeNetConfig::classic(10).with_out_channels([4, 8]).init(&device, 0)?;
/// let tensors = trained.state_dict()?;
///
/// assert!(Weights::from(tensors.clone()).config().is_err());
/// let weights = Weights::from(tensors).with_preset(LeNetConfig::classic(10));
/// let lenet = LeNet::from_weights(weights, &device)?;
/// assert_eq!(lenet.config(), trained.config());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Weights {
    /// The configuration in the file.
    config: Option<LeNetConfig>,
    preset: Option<LeNetConfig>,
    tensors: Vec<FoundTensor>,
    /// Size of the file in bytes.
    len: u64,
}

/// A tensor in a file.
struct FoundTensor {
    /// In the notebook's `nn.Sequential`, wherever the name in the file can be mapped to it.
    name: String,
    shape: Vec<usize>,
    /// The element type in the format's own spelling, unless it is a 32-bit float.
    other_type: Option<String>,
    /// Reads the values, as many as the shape says.
    read: Box<dyn FnOnce() -> Result<Vec<f32>, String> + Send>,
}

impl fmt::Debug for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tensors = self.tensors.iter().map(|t| (&t.name, &t.shape));
        f.debug_struct("Weights")
            .field("config", &self.config)
            .field("preset", &self.preset)
            .field("tensors", &tensors.collect::<Vec<_>>())
            .finish()
    }
}

impl Weights {
    /// Opens a file of weights. The format is recognised by its content:
    ///
    /// - safetensors, as written by [`LeNet::save_safetensors`](crate::LeNet::save_safetensors) and by
    ///   PyTorch users with `safetensors.torch.save_file`;
    /// - a burn record, as written by [`LeNet::save_record`](crate::LeNet::save_record) and burn's
    ///   `ModuleRecord::save`, including the model checkpoints of burn's `Learner`;
    /// - with the feature `pytorch`: a `state_dict`, on its own or under the key `state_dict` or
    ///   `model_state_dict` of a checkpoint, or a whole module, as written by `torch.save` since PyTorch 1.6.
    ///   Code in such a file is never run.
    ///
    /// Names are those of an `nn.Sequential` as in section 7.6 of *Dive into Deep Learning*: convolution,
    /// activation and pooling, three modules for each convolution; flatten; then dense layers with an
    /// activation between them. A prefix that all names share is ignored: `0.weight`, `net.0.weight` and
    /// `module.net.0.weight` are the same. In a burn record the names are the fields of
    /// [`LeNet`](crate::LeNet), without a prefix.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] if the file cannot be read or is not in one of these formats.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, WeightsError> {
        let path = path.as_ref();
        let mut start = Vec::new();
        let file = File::open(path).map_err(FileError::at(path))?;
        let len = file.metadata().map_err(FileError::at(path))?.len();
        let read = (&file).take(16).read_to_end(&mut start);
        read.map_err(FileError::at(path))?;
        let weights = match Format::of(&start) {
            Some(Format::PyTorch) => from_pytorch(path, file, len),
            Some(_) => Self::from_bytes(read_file(path, MAX_BYTES).map_err(FileError::at(path))?),
            None => Err(unknown(&start)),
        };
        weights.map_err(|source| WeightsError::Contents {
            path: path.to_owned(),
            source: Box::new(source),
        })
    }

    /// Reads the contents of a safetensors file or a burn record.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] if the bytes are neither.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Result<Self, WeightsError> {
        let bytes = bytes.into();
        let len = bytes.len() as u64;
        let (config, tensors) = match Format::of(&bytes) {
            Some(Format::Safetensors) => safetensors::read(bytes)?,
            Some(Format::Record) => record::read(bytes)?,
            Some(Format::PyTorch) => {
                return Err(WeightsError::Format {
                    format: "PyTorch",
                    reason: "PyTorch files can only be read from disk".to_owned(),
                });
            }
            None => return Err(unknown(&bytes)),
        };
        let config = config.map(|text| serde_json::from_str(&text)).transpose()?;
        Ok(Self::new(config, tensors, len))
    }

    fn new(config: Option<LeNetConfig>, mut tensors: Vec<FoundTensor>, len: u64) -> Self {
        names::to_sequential(&mut tensors);
        Self {
            config,
            preset: None,
            tensors,
            len,
        }
    }

    /// Sets what the shapes of the tensors leave open, for a file without a configuration: activation,
    /// pooling, image size and padding. It does not override a configuration in the file.
    ///
    /// The shapes determine channels, kernel sizes, hidden dimensions and classes, regardless of the preset. If
    /// the preset's padding does not lead to the number of features that the first dense layer takes, the
    /// usual ones are tried: 2 for the first convolution only, 2 for all, half of each kernel, none.
    #[must_use]
    pub fn with_preset(mut self, preset: LeNetConfig) -> Self {
        self.preset = Some(preset);
        self
    }

    /// The configuration of the network: the one in the file or, without one, the one that follows from the
    /// shapes of the tensors and the [preset](Self::with_preset).
    ///
    /// # Errors
    ///
    /// [`WeightsError::UnknownConfig`] if there is neither a configuration nor a preset, and
    /// [`WeightsError::Shapes`] if the tensors do not form a LeNet.
    pub fn config(&self) -> Result<LeNetConfig, WeightsError> {
        match (&self.config, &self.preset) {
            (Some(config), _) => Ok(config.clone()),
            (None, Some(preset)) => shapes::config(&self.tensors, preset),
            (None, None) => Err(WeightsError::UnknownConfig),
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
        // The values are in memory already, so their size needs no limit.
        Self::new(None, tensors.collect(), u64::MAX)
    }
}

enum Format {
    Safetensors,
    Record,
    PyTorch,
}

impl Format {
    /// The format of a file that starts with these bytes.
    fn of(start: &[u8]) -> Option<Self> {
        let header = start.first_chunk().map(|len| u64::from_le_bytes(*len));
        if start.starts_with(&burn_pack::MAGIC_NUMBER.to_le_bytes()) {
            Some(Self::Record)
        } else if start.get(8) == Some(&b'{') && header.is_some_and(|len| len <= 100_000_000) {
            Some(Self::Safetensors)
        } else if start.starts_with(b"PK") || start.first() == Some(&0x80) {
            Some(Self::PyTorch)
        } else {
            None
        }
    }
}

fn unknown(start: &[u8]) -> WeightsError {
    let start = start.get(..8).unwrap_or(start);
    WeightsError::UnknownFormat {
        start: start.to_vec(),
    }
}

#[cfg(feature = "pytorch")]
fn from_pytorch(path: &Path, file: File, len: u64) -> Result<Weights, WeightsError> {
    Ok(Weights::new(None, pytorch::read(path, file)?, len))
}

#[cfg(not(feature = "pytorch"))]
fn from_pytorch(_: &Path, _: File, _: u64) -> Result<Weights, WeightsError> {
    Err(WeightsError::Format {
        format: "PyTorch",
        reason: "lenet-core was built without its feature `pytorch`".to_owned(),
    })
}

/// Little-endian 32-bit floats.
fn floats(bytes: &[u8]) -> Vec<f32> {
    let (numbers, _) = bytes.as_chunks::<4>();
    numbers.iter().map(|&b| f32::from_le_bytes(b)).collect()
}
