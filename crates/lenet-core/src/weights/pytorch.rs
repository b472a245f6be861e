use std::path::Path;

use pytorch_reader::{DType, PytorchReader};

use super::{FoundTensor, floats};
use crate::WeightsError;

/// The tensors of a file that `torch.save` wrote. Its pickles are interpreted as data, never run.
pub(super) fn read(path: &Path) -> Result<Vec<FoundTensor>, WeightsError> {
    let refused = |reason: String| WeightsError::Format {
        format: "PyTorch",
        reason,
    };
    let len = path.metadata().map_or(0, |metadata| metadata.len());
    let reader = PytorchReader::new(path).map_err(|error| refused(error.to_string()))?;
    let tensors = reader.into_tensors().into_values().map(|tensor| {
        let claimed = tensor.byte_len();
        FoundTensor {
            name: tensor.name.clone(),
            shape: tensor.shape().to_vec(),
            other_type: (tensor.dtype() != DType::F32).then(|| format!("{:?}", tensor.dtype())),
            read: Box::new(move || {
                // A view can repeat what the file has once, and so claim any size.
                if claimed as u64 > len {
                    return Err(format!("{claimed} bytes of a file of {len}"));
                }
                let bytes = tensor.read().map_err(|error| error.to_string())?;
                Ok(floats(&bytes))
            }),
        }
    });
    Ok(tensors.collect())
}
