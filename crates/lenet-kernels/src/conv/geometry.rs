//! The sizes that both layouts share, checked against the address space.

use crate::simd::LANES;
use crate::{KernelError, Shape};

/// The sizes that follow from a shape.
#[derive(Clone, Copy)]
pub(super) struct Geometry {
    pub(super) shape: Shape,
    /// Rows and columns of the padded input.
    pub(super) padded: [usize; 2],
    /// Height and width of the output: rows and columns of windows.
    pub(super) pooled: [usize; 2],
}

impl Geometry {
    pub(super) fn new(shape: Shape) -> Result<Self, KernelError> {
        Self::checked(shape).ok_or(KernelError::Shape(shape))
    }

    fn checked(shape: Shape) -> Option<Self> {
        let k = shape.kernel_size;
        let [inputs, outputs] = [shape.in_channels, shape.out_channels];
        let border = shape.padding.checked_mul(2)?;
        let padded = [
            border.checked_add(shape.height)?,
            border.checked_add(shape.width)?,
        ];
        let lost = k.checked_sub(1)?;
        let [rows, columns] = padded;
        let pooled = [rows.checked_sub(lost)? / 2, columns.checked_sub(lost)? / 2];
        if [inputs, outputs, shape.height, shape.width].contains(&0) || pooled.contains(&0) {
            return None;
        }
        // Every buffer of one sample, and the weights, must be addressable, filled up to whole vectors.
        let plane = rows.checked_mul(columns)?;
        let [padded_inputs, padded_outputs] = [inputs, outputs].map(|n| n.checked_add(LANES));
        let taps = k.checked_add(LANES)?.checked_pow(2)?.checked_mul(16)?;
        padded_inputs?
            .checked_mul(padded_outputs?)?
            .checked_mul(taps)?;
        let widest = plane.checked_add(LANES)?.checked_mul(taps)?;
        widest.checked_mul(padded_inputs?.max(padded_outputs?))?;
        // Positions in an image, and in packed weights with their rows of zeros, are stored in 32 bits.
        let row = k.checked_mul(padded_inputs?)?.checked_add(LANES)?;
        let packed = outputs.checked_mul(k.checked_mul(3)?)?.checked_mul(row)?;
        u32::try_from(plane.checked_mul(padded_inputs?)?.max(packed)).ok()?;
        Some(Self {
            shape,
            padded,
            pooled,
        })
    }

    /// Values of one sample's input.
    pub(super) fn input_len(&self) -> usize {
        self.shape.in_channels * self.shape.height * self.shape.width
    }

    /// Values of one output map.
    pub(super) fn map_len(&self) -> usize {
        self.pooled[0] * self.pooled[1]
    }

    /// Values of one sample's output.
    pub(super) fn output_len(&self) -> usize {
        self.shape.out_channels * self.map_len()
    }

    /// Weights that connect an input channel to an output channel.
    pub(super) fn taps(&self) -> usize {
        self.shape.kernel_size * self.shape.kernel_size
    }

    /// Weights of one output channel.
    pub(super) fn fan_in(&self) -> usize {
        self.shape.in_channels * self.taps()
    }

    pub(super) fn weight_len(&self) -> usize {
        self.shape.out_channels * self.fan_in()
    }
}
