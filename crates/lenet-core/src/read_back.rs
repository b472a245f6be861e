//! Copying tensors from their device to host memory.

use burn::tensor::{Element, TensorReadError};
use thiserror::Error;

/// Copies the values of a tensor from its device to host memory, in row-major order (last dimension fastest).
///
/// It takes tensors of any rank and kind; `E` is the element type to convert to, such as `f32` for floats or
/// `i64` for integers. The call waits until the device has computed the tensor.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use lenet_core::read_back;
///
/// let tensor = Tensor::<2>::from_floats([[1.0, 2.0], [3.0, 4.0]], &Device::flex());
/// assert_eq!(read_back::<i64>(tensor.clone().argmax(1))?, [1, 1]);
/// assert_eq!(read_back::<f32>(tensor)?, [1.0, 2.0, 3.0, 4.0]);
/// # Ok::<(), lenet_core::ReadBackError>(())
/// ```
///
/// # Errors
///
/// [`ReadBackError`] if the device fails, or its element type does not convert to `E`.
pub fn read_back<E: Element>(tensor: impl any::Tensor) -> Result<Vec<E>, ReadBackError> {
    tensor.values().map_err(|source| ReadBackError {
        source: Box::new(source),
    })
}

/// A tensor's values could not be copied to host memory.
#[derive(Debug, Error)]
#[error("cannot read a tensor from its device")]
pub struct ReadBackError {
    /// In a box, since it is large and errors that contain it are returned from everywhere.
    source: Box<TensorReadError>,
}

/// Spares callers of [`read_back`] a type argument each for rank and kind.
mod any {
    use burn::tensor::kind::Basic;
    use burn::tensor::{self, Element, TensorReadError};

    pub trait Tensor {
        fn values<E: Element>(self) -> Result<Vec<E>, TensorReadError>;
    }

    impl<const D: usize, K: Basic> Tensor for tensor::Tensor<D, K> {
        fn values<E: Element>(self) -> Result<Vec<E>, TensorReadError> {
            self.try_into_vec_as()
        }
    }
}
