//! Which pixels a unit of a feature map sees, from the layer table alone.

use lenet_core::{LayerKind, LayerTable};
use serde::Serialize;

/// The receptive fields of a stage: the unit at `(row, column)` sees the input from
/// `start + stride · (row, column)` over `size` pixels, as far as that is inside the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Field {
    /// Height and width.
    pub(crate) size: [usize; 2],
    /// Distance between the fields of neighbouring units, downwards and to the right.
    pub(crate) stride: [usize; 2],
    /// Top and left of the first unit's field; negative where it begins in the padding.
    pub(crate) start: [isize; 2],
}

impl Field {
    /// Each pixel sees itself.
    pub(crate) const INPUT: Self = Self {
        size: [1, 1],
        stride: [1, 1],
        start: [0, 0],
    };

    /// The fields after windows of `size`, moved by `stride`, over a map padded by `padding`. All are square.
    fn after(self, size: usize, stride: usize, padding: usize) -> Self {
        let [step, _] = self.stride;
        Self {
            size: self.size.map(|own| own + (size - 1) * step),
            stride: [step * stride; 2],
            start: self.start.map(|start| start - (padding * step) as isize),
        }
    }
}

/// The receptive fields of every layer, in the order of the table. From the flatten layer on there are none: each
/// unit sees the whole image.
pub(crate) fn fields(table: &LayerTable) -> Vec<Option<Field>> {
    let mut field = Some(Field::INPUT);
    let rows = table.rows().iter();
    rows.map(|row| {
        field = match row.kind {
            LayerKind::Convolution {
                kernel_size,
                padding,
                ..
            } => field.map(|field| field.after(kernel_size, 1, padding)),
            LayerKind::Activation(_) => field,
            LayerKind::Pooling(_) => field.map(|field| field.after(2, 2, 0)),
            _ => None,
        };
        field
    })
    .collect()
}
