//! Matrix products for the dense layers.

use pulp::{Simd, WithSimd};

use crate::Activation;
use crate::aligned::Aligned;

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
    /// A matrix that lies row by row. Copying it would take longer than reading rows that straddle lines of
    /// the cache, so only one that is too narrow is.
    pub(crate) fn new(matrix: &'a [f32], columns: usize) -> Self {
        let rows = matrix.len() / columns.max(1);
        if columns >= PANEL {
            return Self {
                values: Values::AsTheyLie(matrix),
                stride: columns,
                rows,
                columns,
            };
        }
        let mut packed = Self::packed(rows, columns);
        let (to, _) = packed.as_chunks_mut::<PANEL>();
        for (to, row) in to.iter_mut().zip(matrix.chunks_exact(columns.max(1))) {
            let values = to.iter_mut().zip(row);
            values.for_each(|(to, &from)| *to = from);
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

/// The left matrix of a product.
#[derive(Clone, Copy)]
pub(crate) enum Left<'a> {
    /// As it is, row by row.
    Rows(&'a [f32]),
    /// The transpose of a matrix that lies row by row and has this many columns.
    Transposed(&'a [f32], usize),
}

/// Some rows of `output = activation(left · right + bias)`, without what is not there.
pub(crate) struct Product<'a> {
    pub(crate) left: Left<'a>,
    pub(crate) right: &'a Panels<'a>,
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) activation: Option<Activation>,
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
        if let Some(activation) = self.activation {
            activation.apply(self.output);
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
        for (first, panel) in self.right.iter() {
            let mut start = [0.0; PANEL];
            if let Some(bias) = self.bias.and_then(|bias| bias.get(first..)) {
                start
                    .iter_mut()
                    .zip(bias)
                    .for_each(|(start, &bias)| *start = bias);
            }
            let Some(&start) = S::as_simd_f32s(&start).0.first_chunk::<V>() else {
                return;
            };
            let Some(sums) = self.tile::<S, R, V>(simd, row, panel, start) else {
                return;
            };
            let output = self.output.get_mut(row * columns..).unwrap_or_default();
            for (output, sums) in output.chunks_mut(columns).zip(sums) {
                let output = output.get_mut(first..).unwrap_or_default();
                match S::as_mut_simd_f32s(output).0.first_chunk_mut::<V>() {
                    Some(output) => *output = sums,
                    None => {
                        let mut tile = [0.0; PANEL];
                        if let Some(tile) = S::as_mut_simd_f32s(&mut tile).0.first_chunk_mut::<V>()
                        {
                            *tile = sums;
                        }
                        let values = output.iter_mut().zip(tile);
                        values.for_each(|(output, value)| *output = value);
                    }
                }
            }
        }
    }

    /// `R` rows of one panel: the sums stay in registers.
    #[expect(
        clippy::indexing_slicing,
        reason = "all rows are cut to one length before the loop over it"
    )]
    #[inline(always)]
    fn tile<S: Simd, const R: usize, const V: usize>(
        &self,
        simd: S,
        row: usize,
        panel: &[f32],
        start: [S::f32s; V],
    ) -> Option<[[S::f32s; V]; R]> {
        let depth = self.right.rows;
        let row = self.first_row + row;
        let mut sums = [start; R];
        let panel = panel.chunks(self.right.stride).take(depth);
        match self.left {
            Left::Rows(values) => {
                let mut rows: [&[f32]; R] = [&[]; R];
                for (rows, row) in rows.iter_mut().zip(row..) {
                    *rows = values.get(row * depth..(row + 1) * depth)?;
                }
                if rows.iter().any(|row| row.len() != depth) {
                    return None;
                }
                for (k, values) in (0..depth).zip(panel) {
                    let mut left = [0.0; R];
                    for (left, row) in left.iter_mut().zip(&rows) {
                        *left = row[k];
                    }
                    add_products(
                        simd,
                        left,
                        S::as_simd_f32s(values).0.first_chunk()?,
                        &mut sums,
                    );
                }
            }
            Left::Transposed(values, columns) => {
                for (left, values) in values.chunks(columns).zip(panel) {
                    let left = left.get(row..)?.first_chunk()?;
                    add_products(
                        simd,
                        *left,
                        S::as_simd_f32s(values).0.first_chunk()?,
                        &mut sums,
                    );
                }
            }
        }
        Some(sums)
    }
}

/// Adds to each row's sums the values, times the row's factor.
#[inline(always)]
fn add_products<S: Simd, const R: usize, const V: usize>(
    simd: S,
    left: [f32; R],
    values: &[S::f32s; V],
    sums: &mut [[S::f32s; V]; R],
) {
    for (sums, left) in sums.iter_mut().zip(left) {
        let left = simd.splat_f32s(left);
        for (sum, &value) in sums.iter_mut().zip(values) {
            *sum = simd.mul_add_e_f32s(left, value, *sum);
        }
    }
}
