//! Tiles of a product of matrices: the first factor's rows, the second one's columns, and the terms of their sums piece by
//! piece.

use cubecl::prelude::*;

use crate::launch::{UNITS, at_once};

/// Rows and columns of the units of a cube.
pub(super) const SIDE: usize = 16;
/// Units that keep a large GPU busy: as many as it has at once.
const BUSY: usize = 1 << 18;
/// Terms of a sum whose factors are in shared memory at once.
pub(super) const DEPTH: usize = 32;

/// The results of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Results {
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl Results {
    pub(super) fn new(networks: usize, rows: usize, columns: usize) -> Self {
        let of_unit = at_once(networks * rows * columns, BUSY, |n| n != 3);
        Self {
            rows: of_unit,
            columns: if of_unit == 4 && columns > SIDE { 2 } else { 1 },
        }
    }

    /// Tiles of a matrix of results of each network.
    pub(super) fn tiles(&self, networks: usize, rows: usize, columns: usize) -> usize {
        networks * rows.div_ceil(self.tile_rows()) * columns.div_ceil(self.tile_columns())
    }

    pub(super) fn tile_rows(&self) -> usize {
        SIDE * self.rows
    }

    pub(super) fn tile_columns(&self) -> usize {
        SIDE * self.columns
    }

    /// As many as either.
    pub(super) fn or(&self, other: Self) -> Self {
        Self {
            rows: self.rows.max(other.rows),
            columns: self.columns.max(other.columns),
        }
    }

    /// Number of results.
    pub(super) fn count(&self) -> usize {
        self.rows * self.columns
    }
}

/// The first row and column of a tile.
#[derive(CubeType)]
pub(super) struct Tile {
    pub(super) network: usize,
    pub(super) row: usize,
    pub(super) column: usize,
}

/// A tile of results of so many rows and columns; the last one if there are fewer.
#[cube]
pub(super) fn tile_at(
    index: usize,
    networks: usize,
    rows: usize,
    columns: usize,
    #[comptime] results: Results,
) -> Tile {
    let down = rows.div_ceil(comptime!(results.tile_rows()));
    let across = columns.div_ceil(comptime!(results.tile_columns()));
    let index = min(index, networks * down * across - 1);
    Tile {
        network: index / (down * across),
        row: index / across % down * comptime!(results.tile_rows()),
        column: index % across * comptime!(results.tile_columns()),
    }
}

/// The row of the unit's result number `i`.
#[cube]
pub(super) fn row_of(tile: &Tile, i: usize, #[comptime] results: Results) -> usize {
    tile.row + i / results.columns * SIDE + UNIT_POS as usize / SIDE
}

/// The column of that result.
#[cube]
pub(super) fn column_of(tile: &Tile, i: usize, #[comptime] results: Results) -> usize {
    tile.column + i % results.columns * SIDE + UNIT_POS as usize % SIDE
}

/// A piece of both factors in shared memory, the terms of the sums first: `[DEPTH, rows]` and `[DEPTH, columns]`, a value
/// apart, so that neighbouring units access different banks.
#[derive(CubeType)]
pub(super) struct Factors {
    pub(super) left: Shared<[f32]>,
    pub(super) right: Shared<[f32]>,
}

/// The values of a piece that a unit reads from the device's memory.
#[derive(CubeType)]
pub(super) struct Piece {
    pub(super) left: Array<f32>,
    pub(super) right: Array<f32>,
}

#[cube]
pub(super) fn new_factors(#[comptime] results: Results) -> Factors {
    Factors {
        left: Shared::<[f32]>::new_slice(comptime!(DEPTH * (results.tile_rows() + 1))),
        right: Shared::<[f32]>::new_slice(comptime!(DEPTH * (results.tile_columns() + 1))),
    }
}

#[cube]
pub(super) fn new_piece(#[comptime] results: Results) -> Piece {
    Piece {
        left: Array::<f32>::new(comptime!(results.tile_rows() * DEPTH / UNITS)),
        right: Array::<f32>::new(comptime!(results.tile_columns() * DEPTH / UNITS)),
    }
}

#[cube]
pub(super) fn new_sums(#[comptime] results: Results) -> Array<f32> {
    let mut sums = Array::<f32>::new(comptime!(results.count()));
    #[unroll]
    for i in 0..comptime!(results.count()) {
        sums[i] = 0.0;
    }
    sums
}

/// The term of a unit's value number `i` of a factor with `size` rows or columns. Neighbouring units read neighbouring
/// terms, or rows or columns, whichever are neighbours in the device's memory.
#[cube]
pub(super) fn term_of(i: usize, #[comptime] size: usize, #[comptime] by_term: bool) -> usize {
    let index = UNIT_POS as usize + i * UNITS;
    if comptime!(by_term) {
        index % DEPTH
    } else {
        index / size
    }
}

/// The row or column of that value.
#[cube]
pub(super) fn other_of(i: usize, #[comptime] size: usize, #[comptime] by_term: bool) -> usize {
    let index = UNIT_POS as usize + i * UNITS;
    if comptime!(by_term) {
        index / DEPTH
    } else {
        index % size
    }
}

/// Brings a piece to shared memory, once no unit needs the one before it any more.
#[cube]
pub(super) fn share_piece(
    piece: &Piece,
    factors: &mut Factors,
    #[comptime] results: Results,
    #[comptime] left_by_term: bool,
    #[comptime] right_by_term: bool,
) {
    let (rows, columns) = comptime!((results.tile_rows(), results.tile_columns()));
    sync_cube();
    #[unroll]
    for i in 0..comptime!(rows * DEPTH / UNITS) {
        let term = term_of(i, rows, left_by_term);
        factors.left[term * comptime!(rows + 1) + other_of(i, rows, left_by_term)] = piece.left[i];
    }
    #[unroll]
    for i in 0..comptime!(columns * DEPTH / UNITS) {
        let term = term_of(i, columns, right_by_term);
        let place = term * comptime!(columns + 1) + other_of(i, columns, right_by_term);
        factors.right[place] = piece.right[i];
    }
    sync_cube();
}

/// Adds the products of the piece to the sums of the unit.
#[cube]
pub(super) fn add_products(
    factors: &mut Factors,
    sums: &mut Array<f32>,
    #[comptime] results: Results,
) {
    let unit = UNIT_POS as usize;
    let row = unit / SIDE;
    let column = unit % SIDE;
    let columns = comptime!(results.columns);
    let mut right = Array::<f32>::new(columns);
    #[unroll]
    for term in 0..DEPTH {
        #[unroll]
        for j in 0..columns {
            let place = term * comptime!(results.tile_columns() + 1) + j * SIDE + column;
            right[j] = factors.right[place];
        }
        #[unroll]
        for i in 0..comptime!(results.rows) {
            let place = term * comptime!(results.tile_rows() + 1) + i * SIDE + row;
            let left = factors.left[place];
            #[unroll]
            for j in 0..columns {
                sums[i * columns + j] += left * right[j];
            }
        }
    }
}
