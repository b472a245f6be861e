//! Which pixels a unit of a feature map sees, from the layer table alone.

use lenet_core::{LayerKind, LayerTable};
use serde::Serialize;

/// The receptive fields of a stage: the unit at `(row, column)` sees the input from
/// `start + stride · (row, column)` over `size` pixels, as far as that is inside the image. A unit whose field lies in the
/// padding sees nothing of it.
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

    /// The fields after windows of `size`, moved by `stride`, over a map padded by `padding`. All are square. Nothing
    /// overflows: networks are bounded before they are shown, and each pooling only doubles the stride.
    fn after(self, size: usize, stride: usize, padding: usize) -> Self {
        let [step, _] = self.stride;
        Self {
            size: self.size.map(|own| own + (size - 1) * step),
            stride: [step * stride; 2],
            start: self.start.map(|start| start - (padding * step) as isize),
        }
    }
}

/// The receptive fields of every layer, in the order of the table. From the flatten layer on there is no grid of them: a
/// unit of that layer sees what its unit of the last pooling sees, and later ones see all that those see.
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

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use lenet_core::LeNetConfig;
    use lenet_data::Picture;

    use super::*;
    use crate::engine::view::{View, view};
    use crate::networks::{Cost, check_cost};

    #[test]
    fn the_fields_of_modern_lenet_are_those_computed_by_hand() {
        let table = LeNetConfig::modern(10).layer_table().unwrap();
        let found: Vec<_> = fields(&table)
            .into_iter()
            .map(|field| field.map(|field| (field.size[0], field.stride[0], field.start[0])))
            .collect();
        let conv1 = Some((5, 1, -2));
        let pool1 = Some((6, 2, -2));
        let conv2 = Some((14, 2, -2));
        let pool2 = Some((16, 4, -2));
        let expected = [conv1, conv1, pool1, conv2, conv2, pool2];
        assert_eq!(found[..6], expected);
        assert!(found[6..].iter().all(Option::is_none));
    }

    /// Maps that padding keeps from shrinking would otherwise let the stride double without end.
    #[test]
    fn the_fields_of_the_deepest_network_are_small_numbers() {
        let deep = |convolutions| {
            LeNetConfig::modern(10)
                .with_kernel_size(3)
                .with_padding(2)
                .with_out_channels(vec![1; convolutions])
        };
        assert!(check_cost(&deep(17), Cost::OneImage).is_err());
        let table = check_cost(&deep(16), Cost::OneImage).unwrap();
        let fields: Vec<Field> = fields(&table).into_iter().flatten().collect();
        assert_eq!(fields.len(), 3 * 16);
        let last = fields.last().unwrap();
        // Each convolution adds two steps and each pooling one; padding takes two steps away in front.
        let steps = (1 << 16) - 1;
        assert_eq!(last.stride, [1 << 16; 2]);
        assert_eq!(last.size, [1 + 3 * steps; 2]);
        assert_eq!(last.start, [-2 * steps as isize; 2]);
    }

    /// The units of each stage that differ between two views, in any channel: `(stage, row, column)`.
    fn changed(a: &View, b: &View) -> Vec<(usize, usize, usize)> {
        let mut changed = Vec::new();
        for (index, ((stage, a), (_, b))) in a.stages().zip(b.stages()).enumerate() {
            let &[_, height, width] = stage.shape.as_slice() else {
                continue;
            };
            for row in 0..height {
                for column in 0..width {
                    let mut at = (row * width + column..a.len()).step_by(height * width);
                    if at.any(|at| a[at] != b[at]) {
                        changed.push((index, row, column));
                    }
                }
            }
        }
        changed
    }

    /// Average pooling and the sigmoid let every change through.
    #[test]
    fn a_pixel_changes_exactly_the_units_that_see_it() {
        let device = Device::flex();
        let classic = || LeNetConfig::classic(10);
        for config in [
            classic().with_image_size([16, 19]),
            classic()
                .with_kernel_size(3)
                .with_padding(3)
                .with_image_size([11, 8]),
            classic()
                .with_kernel_size(4)
                .with_padding(0)
                .with_image_size([17, 18]),
            classic()
                .with_out_channels([2, 3, 4])
                .with_padding(2)
                .with_image_size([13, 12]),
        ] {
            let [height, width] = config.image_size;
            let lenet = config.init(&device, 1).unwrap();
            let of = |pixels: &[u8]| {
                let picture = Picture::from_pixels(pixels, [height, width], [height, width]);
                view(&lenet, &picture.unwrap(), &device).unwrap()
            };
            let black = vec![0; height * width];
            let before = of(&black);
            for pixel in 0..height * width {
                let mut pixels = black.clone();
                pixels[pixel] = 255;
                let at = [pixel / width, pixel % width];

                let mut expected = Vec::new();
                for (index, (stage, _)) in before.stages().enumerate() {
                    let (Some(field), &[_, height, width]) = (stage.field, stage.shape.as_slice())
                    else {
                        continue;
                    };
                    for unit in
                        (0..height).flat_map(|row| (0..width).map(move |column| [row, column]))
                    {
                        let sees = (0..2).all(|axis| {
                            let start =
                                field.start[axis] + (field.stride[axis] * unit[axis]) as isize;
                            let end = start + field.size[axis] as isize;
                            (start..end).contains(&(at[axis] as isize))
                        });
                        if sees {
                            expected.push((index, unit[0], unit[1]));
                        }
                    }
                }
                assert_eq!(
                    changed(&before, &of(&pixels)),
                    expected,
                    "{config:?}, pixel {at:?}"
                );
            }
        }
    }
}
