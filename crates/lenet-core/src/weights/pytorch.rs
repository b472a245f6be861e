//! Files that `torch.save` writes. The pickle is interpreted as data, and nothing in it is run.

use std::fs::File;
use std::path::Path;

use pytorch_reader::{DType, PytorchReader};
use zip::{CompressionMethod, ZipArchive};

use super::FoundTensor;
use crate::WeightsError;

/// Largest pickle in bytes: a network of a hundred layers and the state of its optimiser need less. The size
/// of what a pickle builds is bounded only by its own.
const MAX_PICKLE: u64 = 128 << 10;

/// The tensors in the file at `path`, which is already open as `file`.
pub(super) fn read(path: &Path, file: File) -> Result<Vec<FoundTensor>, WeightsError> {
    check_archive(file)?;
    let reader = PytorchReader::new(path).map_err(|error| refused(error.to_string()))?;
    let tensors = reader
        .into_tensors()
        .into_values()
        .map(|tensor| FoundTensor {
            name: tensor.name.clone(),
            shape: tensor.shape().to_vec(),
            other_type: (tensor.dtype() != DType::F32).then(|| format!("{:?}", tensor.dtype())),
            read: Box::new(move || {
                let bytes = tensor.read().map_err(|error| error.to_string())?;
                let (numbers, _) = bytes.as_chunks::<4>();
                Ok(numbers.iter().map(|&b| f32::from_ne_bytes(b)).collect())
            }),
        });
    Ok(tensors.collect())
}

/// Refuses archives that `torch.save` does not write, and those that could unpack to more than the file's size.
fn check_archive(file: File) -> Result<(), WeightsError> {
    let zip = |error: zip::result::ZipError| {
        refused(format!(
            "{error}; if it was saved before PyTorch 1.6, load and save it with a newer version"
        ))
    };
    let mut archive = ZipArchive::new(file).map_err(zip)?;
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(zip)?;
        let name = entry.name().map_err(zip)?;
        if entry.compression() != CompressionMethod::Stored {
            return Err(refused(format!(
                "{name} is compressed, which torch.save does not do"
            )));
        }
        let size = entry.size();
        if name.ends_with("data.pkl") && size > MAX_PICKLE {
            return Err(refused(format!(
                "{name} has {size} bytes, more than {MAX_PICKLE}: save only the state_dict"
            )));
        }
    }
    Ok(())
}

fn refused(reason: String) -> WeightsError {
    WeightsError::Format {
        format: "PyTorch",
        reason,
    }
}
