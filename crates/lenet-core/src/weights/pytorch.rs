use std::fs::File;
use std::path::Path;

use pytorch_reader::{DType, PytorchReader};
use zip::{CompressionMethod, ZipArchive};

use super::FoundTensor;
use crate::WeightsError;

/// Largest description of the tensors, in bytes: a network of a hundred layers and its optimiser's state
/// need less. What can be made of a longer one has no bound.
const MAX_PICKLE: u64 = 128 << 10;

/// The tensors of a file that `torch.save` wrote. Its pickle is interpreted as data, never run.
pub(super) fn read(path: &Path) -> Result<Vec<FoundTensor>, WeightsError> {
    check_archive(path)?;
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

/// Refuses what `torch.save` does not write, and what can unfold to more than the file holds.
fn check_archive(path: &Path) -> Result<(), WeightsError> {
    let io = |source| WeightsError::Io {
        path: path.to_owned(),
        source,
    };
    let zip = |error: zip::result::ZipError| {
        refused(format!(
            "{error}; if it was saved before PyTorch 1.6, load it there and save it anew"
        ))
    };
    let mut archive = ZipArchive::new(File::open(path).map_err(io)?).map_err(zip)?;
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
                "{name} has {size} bytes, more than {MAX_PICKLE}: save the state_dict alone"
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
