//! Burn's record format, out and in.

use std::path::Path;

use burn_pack::{Bytes, DType, Reader, Tensor, Writer};

use super::safetensors::save;
use super::{CONFIG_KEY, FoundTensor, floats};
use crate::state_dict::transpose;
use crate::{LeNet, WeightsError};

impl LeNet {
    /// Saves the weights as a burn record (`.bpk`), with the configuration in the file's metadata.
    ///
    /// Read the file with [`Weights::open`](crate::Weights::open) or with burn's `ModuleRecord::load`. An
    /// existing file is replaced only by a complete one.
    ///
    /// ```
    /// use burn::module::Module;
    /// use burn::store::ModuleRecord;
    /// use burn::tensor::Device;
    /// use lenet_core::LeNetConfig;
    ///
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("lenet.bpk");
    /// let lenet = LeNetConfig::modern(10).init(&Device::flex(), 0)?;
    /// lenet.save_record(&path)?;
    ///
    /// let other = LeNetConfig::modern(10).init(&Device::flex(), 1)?;
    /// let same = other.load_record(ModuleRecord::load(&path)?);
    /// assert_eq!(same.state_dict()?, lenet.state_dict()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`WeightsError`] if the device or the file system fails; an existing file is then unchanged.
    pub fn save_record(&self, path: impl AsRef<Path>) -> Result<(), WeightsError> {
        let conv = self.conv.iter().map(|conv| [conv.weight.id, conv.bias.id]);
        let dense = self
            .dense
            .iter()
            .map(|dense| [dense.weight.id, dense.bias.id]);
        let ids = conv.chain(dense).flatten();
        let convolutions = self.conv.len();
        let state = self.state_dict()?.into_iter().enumerate().zip(ids);
        let tensors = state.map(|((index, tensor), id)| {
            let layer = index / 2;
            let parameter = if index % 2 == 0 { "weight" } else { "bias" };
            let (name, shape, values) = match (layer.checked_sub(convolutions), &*tensor.shape) {
                (None, _) => (format!("conv.{layer}"), tensor.shape, tensor.values),
                (Some(layer), &[outputs, inputs]) => {
                    let values = transpose(&tensor.values, outputs, inputs);
                    (format!("dense.{layer}"), vec![inputs, outputs], values)
                }
                (Some(layer), _) => (format!("dense.{layer}"), tensor.shape, tensor.values),
            };
            let name = format!("{name}.{parameter}");
            let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            let bytes = Bytes::from_bytes_vec(bytes);
            Tensor::new(name, DType::F32, shape, Some(id.val()), bytes)
        });
        let writer = Writer::new(tensors.collect()).with_metadata(CONFIG_KEY, &self.config_json());
        save(path.as_ref(), &writer.into_bytes().map_err(refused)?)
    }
}

/// The configuration in the metadata, and the tensors with PyTorch's names and layouts.
pub(super) fn read(bytes: Vec<u8>) -> Result<(Option<String>, Vec<FoundTensor>), WeightsError> {
    let reader = Reader::from_bytes(Bytes::from_bytes_vec(bytes)).map_err(refused)?;
    let config = reader.metadata().get(CONFIG_KEY).cloned();
    let tensors = reader.into_tensors().map_err(refused)?;
    let convolutions = tensors
        .iter()
        .filter_map(|tensor| match module(&tensor.name) {
            Some(("conv", index, _)) => index.checked_add(1),
            _ => None,
        });
    let convolutions = convolutions.max().unwrap_or(0);
    let tensors = tensors
        .into_iter()
        .map(|tensor| found(tensor, convolutions));
    Ok((config, tensors.collect()))
}

/// `conv.1.weight` as `conv`, 1 and `weight`.
fn module(name: &str) -> Option<(&str, usize, &str)> {
    let (list, rest) = name.split_once('.')?;
    let (index, parameter) = rest.split_once('.')?;
    // No network has more layers, and arithmetic with the index cannot overflow.
    let index = index.parse().ok().filter(|&index| index < 1 << 16)?;
    Some((list, index, parameter))
}

fn found(tensor: Tensor, convolutions: usize) -> FoundTensor {
    let mut shape = tensor.shape.to_vec();
    let (name, is_dense) = match module(&tensor.name) {
        Some(("conv", index, parameter)) => (format!("net.{}.{parameter}", 3 * index), false),
        Some(("dense", index, parameter)) => {
            let module = 3 * convolutions + 1 + 2 * index;
            (format!("net.{module}.{parameter}"), true)
        }
        _ => (tensor.name.clone(), false),
    };
    // burn stores dense weights as [inputs, outputs].
    let transposed = match *shape {
        [inputs, outputs] if is_dense => Some((inputs, outputs)),
        _ => None,
    };
    if transposed.is_some() {
        shape.reverse();
    }
    FoundTensor {
        name,
        shape,
        other_type: (tensor.dtype != DType::F32).then(|| format!("{:?}", tensor.dtype)),
        read: Box::new(move || {
            let values = floats(&tensor.into_bytes().map_err(|error| error.to_string())?);
            Ok(match transposed {
                Some((inputs, outputs)) => transpose(&values, inputs, outputs),
                None => values,
            })
        }),
    }
}

fn refused(error: burn_pack::Error) -> WeightsError {
    WeightsError::Format {
        format: "burn record",
        reason: error.to_string(),
    }
}
