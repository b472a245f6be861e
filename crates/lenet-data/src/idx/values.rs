//! The elements of an IDX file as numbers, and writing them.

use super::{ElementType, IdxError};

/// The elements of an IDX file as numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Unsigned bytes.
    U8(Vec<u8>),
    /// Signed bytes.
    I8(Vec<i8>),
    /// 16-bit integers.
    I16(Vec<i16>),
    /// 32-bit integers.
    I32(Vec<i32>),
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 64-bit floats.
    F64(Vec<f64>),
}

impl Values {
    /// The type of the elements.
    pub fn element_type(&self) -> ElementType {
        match self {
            Self::U8(_) => ElementType::U8,
            Self::I8(_) => ElementType::I8,
            Self::I16(_) => ElementType::I16,
            Self::I32(_) => ElementType::I32,
            Self::F32(_) => ElementType::F32,
            Self::F64(_) => ElementType::F64,
        }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(values) => values.len(),
            Self::I8(values) => values.len(),
            Self::I16(values) => values.len(),
            Self::I32(values) => values.len(),
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of an IDX file that holds these elements in this shape, the last dimension fastest.
    ///
    /// # Errors
    ///
    /// [`IdxError`] if the shape does not match the number of elements, or the format cannot express it.
    pub fn to_idx(&self, shape: &[usize]) -> Result<Vec<u8>, IdxError> {
        let too_large = || IdxError::ShapeTooLarge {
            shape: shape.to_vec(),
        };
        let rank = u8::try_from(shape.len()).map_err(|_| too_large())?;
        let product = shape
            .iter()
            .try_fold(1_usize, |product, &d| product.checked_mul(d));
        if product != Some(self.len()) {
            return Err(IdxError::ShapeMismatch {
                shape: shape.to_vec(),
                found: self.len(),
            });
        }

        let payload = self.len() * self.element_type().size();
        let mut bytes = Vec::with_capacity(4 + 4 * shape.len() + payload);
        bytes.extend([0, 0, self.element_type().code(), rank]);
        for &dimension in shape {
            let dimension = u32::try_from(dimension).map_err(|_| too_large())?;
            bytes.extend(dimension.to_be_bytes());
        }
        match self {
            Self::U8(values) => bytes.extend(values),
            Self::I8(values) => bytes.extend(values.iter().flat_map(|v| v.to_be_bytes())),
            Self::I16(values) => bytes.extend(values.iter().flat_map(|v| v.to_be_bytes())),
            Self::I32(values) => bytes.extend(values.iter().flat_map(|v| v.to_be_bytes())),
            Self::F32(values) => bytes.extend(values.iter().flat_map(|v| v.to_be_bytes())),
            Self::F64(values) => bytes.extend(values.iter().flat_map(|v| v.to_be_bytes())),
        }
        Ok(bytes)
    }
}
