use crate::KernelError;

/// Lanes of the widest vector; planes are a multiple of it long.
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

/// Where everything lies in the planes.
///
/// All planes share the row stride of the padded input, so that an offset within the kernel is a
/// fixed offset within a plane. Columns beyond the width of a map are junk in a forward pass and
/// zero in a backward pass.
#[derive(Clone, Debug)]
pub(crate) struct Geometry {
    pub(crate) shape: Shape,
    /// Columns of the padded input, the row stride of every plane.
    pub(crate) stride: usize,
    /// Height and width after the convolution.
    pub(crate) convolved: [usize; 2],
    /// Height and width after the pooling.
    pub(crate) pooled: [usize; 2],
    /// Offset of each weight of a kernel.
    pub(crate) offsets: Vec<usize>,
    /// The same backwards: counted from the margin down.
    pub(crate) backward_offsets: Vec<usize>,
    /// Zeros before a plane of gradients, so that offsets can be subtracted.
    pub(crate) margin: usize,
    /// Length of a plane of the padded input.
    pub(crate) in_plane: usize,
    /// Length of a plane of the convolution's output.
    pub(crate) out_plane: usize,
    /// Length of a plane of gradients of the output, margin included.
    pub(crate) out_gradient_plane: usize,
    /// Length of a plane of gradients of the padded input.
    pub(crate) in_gradient_plane: usize,
}

impl Geometry {
    pub(crate) fn new(shape: Shape) -> Result<Self, KernelError> {
        Self::checked(shape).ok_or(KernelError::Shape {
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
        let round = |len: usize| len.checked_next_multiple_of(LANES);
        let offsets: Vec<usize> = (0..k)
            .flat_map(|y| (0..k).map(move |x| y * stride + x))
            .collect();
        let margin = *offsets.last()?;
        let padded = rows.checked_mul(stride)?;
        let [height, width] = convolved;
        let out_plane = round((height - 1) * stride + width)?;
        let in_gradient_plane = round(padded)?;
        let in_plane = round(padded.max(out_plane + margin))?;
        let out_gradient_plane = round(in_gradient_plane.checked_add(margin)?)?;
        // Every buffer of one sample must be addressable.
        in_plane
            .checked_mul(shape.in_channels.max(1))?
            .checked_mul(4)?;
        out_gradient_plane
            .checked_mul(shape.out_channels.max(1))?
            .checked_mul(4)?;
        Some(Self {
            shape,
            stride,
            convolved,
            pooled,
            backward_offsets: offsets.iter().map(|offset| margin - offset).collect(),
            offsets,
            margin,
            in_plane,
            out_plane,
            out_gradient_plane,
            in_gradient_plane,
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

    /// Copies one sample into planes, whose borders and tails must be zero already.
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

    /// Copies the gradients of one sample's input out of planes.
    pub(crate) fn crop(&self, planes: &[f32], input_gradient: &mut [f32]) {
        let Shape {
            height,
            width,
            padding,
            ..
        } = self.shape;
        let start = padding * self.stride + padding;
        let maps = input_gradient.chunks_exact_mut(height * width);
        for (map, plane) in maps.zip(planes.chunks_exact(self.in_gradient_plane)) {
            let rows = plane.get(start..).unwrap_or_default().chunks(self.stride);
            for (row, values) in rows.zip(map.chunks_exact_mut(width)) {
                if let Some(row) = row.get(..width) {
                    values.copy_from_slice(row);
                }
            }
        }
    }
}
