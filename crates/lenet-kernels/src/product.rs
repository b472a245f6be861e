//! Matrix products for the dense layers.

use pulp::{Simd, WithSimd};

use crate::aligned::Aligned;

/// Rows of a product below which a matrix is not copied.
const FEW: usize = 8;

/// Columns of a panel: a few vectors of any instruction set, so that a tile's sums fill the registers.
const PANEL: usize = 32;

/// A matrix cut into panels of [`PANEL`] columns.
pub(crate) struct Panels<'a> {
    values: Values<'a>,
    /// Values from one row of a panel to the next.
    stride: usize,
    rows: usize,
    columns: usize,
}

enum Values<'a> {
    /// Panel after panel, each row by row; the last is filled up with zeros.
    Packed(Aligned),
    /// The matrix row by row, which has enough columns for a panel.
    AsTheyLie(&'a [f32]),
}

impl<'a> Panels<'a> {
    /// A matrix that lies row by row, for a product of `products` rows: if they are few, copying it would
    /// take longer than reading it as it lies.
    pub(crate) fn new(matrix: &'a [f32], columns: usize, products: usize) -> Self {
        let rows = matrix.len() / columns.max(1);
        if products < FEW && columns >= PANEL {
            return Self {
                values: Values::AsTheyLie(matrix),
                stride: columns,
                rows,
                columns,
            };
        }
        let mut packed = Self::packed(rows, columns);
        for (index, panel) in packed.chunks_exact_mut(panel_len(rows)).enumerate() {
            let first = index * PANEL;
            let (to, _) = panel.as_chunks_mut::<PANEL>();
            for (to, row) in to.iter_mut().zip(matrix.chunks_exact(columns)) {
                let row = row.get(first..).unwrap_or_default();
                match row.first_chunk::<PANEL>() {
                    Some(row) => *to = *row,
                    None => to.iter_mut().zip(row).for_each(|(to, &from)| *to = from),
                }
            }
        }
        Self::of(packed, rows, columns)
    }

    /// The transpose of a matrix of `rows` by `columns` that lies row by row.
    pub(crate) fn transposed(matrix: &[f32], rows: usize, columns: usize) -> Self {
        let mut packed = Self::packed(columns, rows);
        let blocks = matrix.chunks((PANEL * columns).max(1));
        let all = packed.chunks_exact_mut(panel_len(columns));
        for (panel, block) in all.zip(blocks) {
            for (column, row) in block.chunks_exact(columns.max(1)).enumerate() {
                let (to, _) = panel.as_chunks_mut::<PANEL>();
                for (to, &from) in to.iter_mut().zip(row) {
                    if let Some(to) = to.get_mut(column) {
                        *to = from;
                    }
                }
            }
        }
        Self::of(packed, columns, rows)
    }

    fn packed(rows: usize, columns: usize) -> Aligned {
        Aligned::zeros(rows * columns.next_multiple_of(PANEL))
    }

    fn of(packed: Aligned, rows: usize, columns: usize) -> Self {
        Self {
            values: Values::Packed(packed),
            stride: PANEL,
            rows,
            columns,
        }
    }

    /// The first column of each panel, and the values from its first row on.
    fn iter(&self) -> impl Iterator<Item = (usize, &[f32])> {
        (0..self.columns)
            .step_by(PANEL)
            .map(|first| match &self.values {
                Values::Packed(packed) => {
                    let values = packed.get(first * self.rows..);
                    (first, values.unwrap_or_default())
                }
                // The last one overlaps the one before it.
                Values::AsTheyLie(matrix) => {
                    let first = first.min(self.columns - PANEL);
                    (first, matrix.get(first..).unwrap_or_default())
                }
            })
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }
}

/// Values of a panel; at least one, so that slices can be cut by it.
fn panel_len(rows: usize) -> usize {
    (rows * PANEL).max(1)
}

/// Some rows of `output = left · right`, plus `bias` on every row if there is one.
///
/// `left` is read with strides, so that a transposed matrix serves as it lies.
pub(crate) struct Product<'a> {
    pub(crate) left: &'a [f32],
    pub(crate) row_stride: usize,
    pub(crate) column_stride: usize,
    pub(crate) right: &'a Panels<'a>,
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) first_row: usize,
    /// The rows to compute, `right.columns` values each.
    pub(crate) output: &'a mut [f32],
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        match S::F32_LANES {
            16 => self.all_rows::<S, 8, 2>(simd),
            8 => self.all_rows::<S, 2, 4>(simd),
            4 => self.all_rows::<S, 2, 8>(simd),
            _ => self.all_rows::<S, 1, PANEL>(simd),
        }
    }
}

impl Product<'_> {
    /// Tiles of `R` rows, then single ones.
    #[inline(always)]
    fn all_rows<S: Simd, const R: usize, const V: usize>(&mut self, simd: S) {
        let rows = self.output.len() / self.right.columns.max(1);
        let mut row = 0;
        while row + R <= rows {
            self.rows::<S, R, V>(simd, row);
            row += R;
        }
        while row < rows {
            self.rows::<S, 1, V>(simd, row);
            row += 1;
        }
    }

    #[inline(always)]
    fn rows<S: Simd, const R: usize, const V: usize>(&mut self, simd: S, row: usize) {
        let columns = self.right.columns;
        let starts: [usize; R] =
            std::array::from_fn(|r| (self.first_row + row + r) * self.row_stride);
        for (first, panel) in self.right.iter() {
            let mut start = [0.0; PANEL];
            if let Some(bias) = self.bias.and_then(|bias| bias.get(first..)) {
                start
                    .iter_mut()
                    .zip(bias)
                    .for_each(|(start, &bias)| *start = bias);
            }
            let mut sums = [[simd.splat_f32s(0.0); V]; R];
            for sums in &mut sums {
                let vectors = S::as_simd_f32s(&start).0;
                sums.iter_mut()
                    .zip(vectors)
                    .for_each(|(sum, &vector)| *sum = vector);
            }
            let depth = self.right.rows;
            for (k, values) in panel.chunks(self.right.stride).take(depth).enumerate() {
                let Some(vectors) = S::as_simd_f32s(values).0.first_chunk::<V>() else {
                    return;
                };
                for (sums, start) in sums.iter_mut().zip(starts) {
                    let Some(&left) = self.left.get(start + k * self.column_stride) else {
                        return;
                    };
                    let left = simd.splat_f32s(left);
                    for (sum, &vector) in sums.iter_mut().zip(vectors) {
                        *sum = simd.mul_add_e_f32s(left, vector, *sum);
                    }
                }
            }
            for (r, sums) in sums.into_iter().enumerate() {
                let mut tile = [0.0; PANEL];
                let vectors = S::as_mut_simd_f32s(&mut tile).0;
                vectors
                    .iter_mut()
                    .zip(sums)
                    .for_each(|(vector, sum)| *vector = sum);
                let out = self
                    .output
                    .get_mut((row + r) * columns..(row + r + 1) * columns);
                let out = out.and_then(|out| out.get_mut(first..)).unwrap_or_default();
                out.iter_mut()
                    .zip(tile)
                    .for_each(|(out, value)| *out = value);
            }
        }
    }
}
