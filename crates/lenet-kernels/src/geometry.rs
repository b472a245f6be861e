use crate::KernelError;

/// Lanes of the widest vector.
pub(crate) const LANES: usize = 16;

/// The shapes of one convolution block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Height of the input.
    pub height: usize,
    /// Width of the input.
    pub width: usize,
    /// Height and width of the kernel.
    pub kernel_size: usize,
    /// Zeros added on each side.
    pub padding: usize,
}

/// What the layouts have in common.
#[derive(Clone, Debug)]
pub(crate) struct Geometry {
    pub(crate) shape: Shape,
    /// Columns of the padded input.
    pub(crate) stride: usize,
    /// Height and width after the pooling.
    pub(crate) pooled: [usize; 2],
    /// Where each weight of a kernel reads, in a map of the padded input.
    pub(crate) offsets: Vec<usize>,
    /// Values of a map of the padded input.
    pub(crate) in_plane: usize,
}

impl Geometry {
    pub(crate) fn new(shape: Shape) -> Result<Self, KernelError> {
        Self::checked(shape).ok_or(KernelError::Shape {
            in_channels: shape.in_channels,
            out_channels: shape.out_channels,
            kernel_size: shape.kernel_size,
            padding: shape.padding,
            height: shape.height,
            width: shape.width,
        })
    }

    fn checked(shape: Shape) -> Option<Self> {
        let k = shape.kernel_size;
        let rows = shape.padding.checked_mul(2)?.checked_add(shape.height)?;
        let stride = shape.padding.checked_mul(2)?.checked_add(shape.width)?;
        let convolved = [
            rows.checked_sub(k.checked_sub(1)?)?,
            stride.checked_sub(k - 1)?,
        ];
        let pooled = convolved.map(|size| size / 2);
        if pooled.contains(&0) {
            return None;
        }
        let in_plane = rows.checked_mul(stride)?;
        // Every buffer of one sample, and the weights, must be addressable, filled up to whole vectors.
        let [inputs, outputs] = [shape.in_channels, shape.out_channels];
        if [inputs, outputs, shape.height, shape.width].contains(&0) {
            return None;
        }
        let [padded_inputs, padded_outputs] = [inputs, outputs].map(|n| n.checked_add(LANES));
        let taps = k.checked_add(LANES)?.checked_pow(2)?.checked_mul(16)?;
        padded_inputs?
            .checked_mul(padded_outputs?)?
            .checked_mul(taps)?;
        let widest = in_plane.checked_add(LANES)?.checked_mul(taps)?;
        widest.checked_mul(padded_inputs?.max(padded_outputs?))?;
        // Places in an image, and channels, are noted in 32 bits.
        u32::try_from(in_plane.checked_mul(padded_inputs?)?.max(outputs)).ok()?;
        Some(Self {
            shape,
            stride,
            pooled,
            offsets: (0..k)
                .flat_map(|y| (0..k).map(move |x| y * stride + x))
                .collect(),
            in_plane,
        })
    }

    /// Values of one sample's input.
    pub(crate) fn input_len(&self) -> usize {
        self.shape.in_channels * self.shape.height * self.shape.width
    }

    /// Values of one sample's output.
    pub(crate) fn output_len(&self) -> usize {
        let [height, width] = self.pooled;
        self.shape.out_channels * height * width
    }

    pub(crate) fn weight_len(&self) -> usize {
        self.shape.out_channels * self.shape.in_channels * self.offsets.len()
    }

    /// Copies one sample into padded maps, whose borders must be zero already.
    pub(crate) fn pad(&self, input: &[f32], planes: &mut [f32]) {
        let Shape {
            height,
            width,
            padding,
            ..
        } = self.shape;
        let start = padding * self.stride + padding;
        let maps = input.chunks_exact(height * width);
        for (map, plane) in maps.zip(planes.chunks_exact_mut(self.in_plane)) {
            let rows = plane
                .get_mut(start..)
                .unwrap_or_default()
                .chunks_mut(self.stride);
            for (row, values) in rows.zip(map.chunks_exact(width)) {
                if let Some(row) = row.get_mut(..width) {
                    row.copy_from_slice(values);
                }
            }
        }
    }
}
