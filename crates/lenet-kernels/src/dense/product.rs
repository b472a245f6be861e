//! The matrix product of the dense layer, `output = activation(left · right + bias)`.
//!
//! # What lies where
//!
//! The right matrix is read in panels of [`PANEL`] columns, each from top to bottom:
//!
//! ```text
//!  right:   panel 0      panel 1      panel 2           packed: one panel after the other, the last
//!  row 0  | 0 1 … 31 | | 32 … 63 | | 64 … 83 0 0 |      filled up with zeros, rows 32 values apart
//!  row 1  | …        | | …       | | …           |      in place: rows `columns` apart; the last panel
//!    ⋮                                                  begins early enough to end with the matrix
//! ```
//!
//! Copying a matrix takes longer than reading rows that straddle cache lines, so it is packed only if it has
//! fewer columns than a panel, or must be transposed. The left matrix is never copied: a step of the loop reads one
//! value of each of `R` rows, and those of a transposed matrix are adjacent.
//!
//! # Loops
//!
//! ```text
//! for tile of R rows                        // 8 with AVX-512, 2 with AVX2 and NEON
//!   for panel                               // V vectors: 2, 4 or 8
//!     sums[R][V] = bias or 0                // at most 16 registers
//!     for k in 0..rows of right
//!       values[V] = load(panel row k)
//!       for row of the tile
//!         sums[row][0..V] += values[0..V] · splat(left[row][k])
//!     store sums
//! ```
//!
//! It is fast because each value loaded is used `R` or `V` times, the sums never leave the registers, and the `R`
//! rows of the left matrix stay in the first-level cache while all panels pass by. Every sum adds its products in
//! the order of `k`, so a result depends neither on the number of threads nor on the rows around it.

use pulp::{Simd, WithSimd};

use crate::Activation;
use crate::simd::{Aligned, chunk, chunk_mut, transpose};

/// Columns of a panel: a few vectors of any SIMD level, so that the sums of a tile fill the registers.
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
    /// The matrix itself, in row-major order, with at least as many columns as a panel.
    InPlace(&'a [f32]),
}

impl<'a> Panels<'a> {
    /// A matrix in row-major order.
    pub(crate) fn new(matrix: &'a [f32], columns: usize) -> Self {
        let rows = matrix.len() / columns.max(1);
        if columns >= PANEL {
            return Self {
                values: Values::InPlace(matrix),
                stride: columns,
                rows,
                columns,
            };
        }
        let mut packed = Self::packed(rows, columns);
        let (to, _) = packed.as_chunks_mut::<PANEL>();
        for (to, row) in to.iter_mut().zip(matrix.chunks_exact(columns.max(1))) {
            to[..columns].copy_from_slice(row);
        }
        Self::of(packed, rows, columns)
    }

    /// The transpose of a matrix of `rows` by `columns` in row-major order.
    pub(super) fn transposed(matrix: &[f32], rows: usize, columns: usize) -> Self {
        let mut packed = Self::packed(columns, rows);
        // Not zero, so that slices can be cut by it.
        let panel_len = (PANEL * columns).max(1);
        let blocks = matrix.chunks(panel_len);
        for (panel, block) in packed.chunks_exact_mut(panel_len).zip(blocks) {
            let (to, _) = panel.as_chunks_mut::<PANEL>();
            for (fours, rows) in block.chunks(4 * columns).enumerate() {
                let (row, fours) = (4 * fours, columns / 4 * 4);
                if rows.len() == 4 * columns {
                    for column in (0..fours).step_by(4) {
                        let from = [0, 1, 2, 3].map(|row| chunk(rows, row * columns + column));
                        for (to, values) in to[column..].iter_mut().zip(transpose(from)) {
                            *chunk_mut(to, row) = values;
                        }
                    }
                }
                let rest = if rows.len() == 4 * columns { fours } else { 0 };
                for (row, values) in (row..).zip(rows.chunks_exact(columns)) {
                    for (to, &value) in to.iter_mut().zip(values).skip(rest) {
                        to[row] = value;
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
        let starts = (0..self.columns).step_by(PANEL);
        starts.map(|first| match &self.values {
            Values::Packed(packed) => (first, &packed[first * self.rows..]),
            // The last one overlaps the one before it.
            Values::InPlace(matrix) => {
                let first = first.min(self.columns - PANEL);
                // Without rows there is nothing to begin in.
                (first, &matrix[first.min(matrix.len())..])
            }
        })
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }
}

/// The left matrix of a product.
#[derive(Clone, Copy)]
pub(super) enum Left<'a> {
    /// A matrix in row-major order.
    Rows(&'a [f32]),
    /// The transpose of a row-major matrix with this many columns.
    Transposed(&'a [f32], usize),
}

/// Some rows of a product.
pub(super) struct Product<'a> {
    pub(super) left: Left<'a>,
    pub(super) right: &'a Panels<'a>,
    pub(super) bias: Option<&'a [f32]>,
    pub(super) activation: Option<Activation>,
    pub(super) first_row: usize,
    /// The rows to compute, `right.columns` values each.
    pub(super) output: &'a mut [f32],
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
            activation.apply(simd, self.output);
        }
    }
}

impl Product<'_> {
    /// Tiles of `R` rows, then of four if that is fewer, then single ones.
    #[inline(always)]
    fn all_rows<S: Simd, const R: usize, const V: usize>(&mut self, simd: S) {
        let rows = self.output.len() / self.right.columns.max(1);
        let mut row = 0;
        while row + R <= rows {
            self.rows::<S, R, V>(simd, row);
            row += R;
        }
        if const { R > 4 } {
            while row + 4 <= rows {
                self.rows::<S, 4, V>(simd, row);
                row += 4;
            }
        }
        while row < rows {
            self.rows::<S, 1, V>(simd, row);
            row += 1;
        }
    }

    /// `R` rows of all panels.
    #[inline(always)]
    fn rows<S: Simd, const R: usize, const V: usize>(&mut self, simd: S, row: usize) {
        let columns = self.right.columns;
        for (first, panel) in self.right.iter() {
            let mut start = [0.0; PANEL];
            if let Some(bias) = self.bias {
                for (start, &bias) in start.iter_mut().zip(&bias[first..]) {
                    *start = bias;
                }
            }
            let start = *chunk::<_, V>(S::as_simd_f32s(&start).0, 0);
            let sums = self.tile::<S, R, V>(simd, row, panel, start);
            let output = self.output[row * columns..].chunks_mut(columns);
            for (output, sums) in output.zip(sums) {
                let output = &mut output[first..];
                match S::as_mut_simd_f32s(output).0.first_chunk_mut::<V>() {
                    Some(output) => *output = sums,
                    None => {
                        let mut tile = [0.0; PANEL];
                        *chunk_mut(S::as_mut_simd_f32s(&mut tile).0, 0) = sums;
                        output.copy_from_slice(&tile[..output.len()]);
                    }
                }
            }
        }
    }

    /// `R` rows of one panel: the sums stay in registers.
    #[inline(always)]
    fn tile<S: Simd, const R: usize, const V: usize>(
        &self,
        simd: S,
        row: usize,
        panel: &[f32],
        start: [S::f32s; V],
    ) -> [[S::f32s; V]; R] {
        let depth = self.right.rows;
        let row = self.first_row + row;
        let mut sums = [start; R];
        let panel = panel.chunks(self.right.stride).take(depth);
        match self.left {
            Left::Rows(values) => {
                // All of one length, so that the loop over it checks no bounds.
                let mut rows = [&values[..0]; R];
                for (rows, row) in rows.iter_mut().zip(row..) {
                    *rows = &values[row * depth..][..depth];
                }
                for (k, values) in (0..depth).zip(panel) {
                    let mut left = [0.0; R];
                    for (left, row) in left.iter_mut().zip(&rows) {
                        *left = row[k];
                    }
                    add_products(simd, left, chunk(S::as_simd_f32s(values).0, 0), &mut sums);
                }
            }
            Left::Transposed(values, columns) => {
                for (left, values) in values.chunks(columns).zip(panel) {
                    let values = chunk(S::as_simd_f32s(values).0, 0);
                    add_products(simd, *chunk(left, row), values, &mut sums);
                }
            }
        }
        sums
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
