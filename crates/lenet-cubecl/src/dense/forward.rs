//! The forward pass.

use cubecl::prelude::*;

use super::DenseLayer;
use super::tile::{
    DEPTH, Piece, Results, Tile, add_products, column_of, new_factors, new_piece, other_of, row_of,
    share_piece, term_of, tile_at,
};
use crate::activation::activate;
use crate::launch::UNITS;

/// `[images, outputs]` = activation(input · weight + bias).
#[cube(launch)]
pub(super) fn dense_forward(
    input: &[f32],
    weight: &[f32],
    bias: &[f32],
    output: &mut [f32],
    images: usize,
    networks: usize,
    #[comptime] layer: DenseLayer,
    #[comptime] stride: usize,
    #[comptime] results: Results,
) {
    let (inputs, outputs) = comptime!((layer.inputs, layer.outputs));
    let tile = tile_at(CUBE_POS, networks, images, outputs, results);
    let mut factors = new_factors(results);
    let mut piece = new_piece(results);
    let mut sums = Array::<f32>::new(comptime!(results.count()));
    #[unroll]
    for i in 0..comptime!(results.count()) {
        let column = column_of(&tile, i, results);
        sums[i] = bias[tile.network * stride + min(column, comptime!(outputs - 1))];
    }
    read_forward(
        input, weight, &mut piece, &tile, 0, images, layer, stride, results,
    );
    for next in 1..comptime!(inputs.div_ceil(DEPTH) + 1) {
        share_piece(&piece, &mut factors, results, true, false);
        // Meanwhile the memory answers.
        read_forward(
            input, weight, &mut piece, &tile, next, images, layer, stride, results,
        );
        add_products(&mut factors, &mut sums, results);
    }
    #[unroll]
    for i in 0..comptime!(results.count()) {
        let image = row_of(&tile, i, results);
        let column = column_of(&tile, i, results);
        if image < images && column < outputs {
            let index = (tile.network * images + image) * outputs + column;
            output[index] = activated(sums[i], layer);
        }
    }
}

#[cube]
fn read_forward(
    input: &[f32],
    weight: &[f32],
    piece: &mut Piece,
    tile: &Tile,
    number: usize,
    images: usize,
    #[comptime] layer: DenseLayer,
    #[comptime] stride: usize,
    #[comptime] results: Results,
) {
    let (inputs, outputs) = comptime!((layer.inputs, layer.outputs));
    let (rows, columns) = comptime!((results.tile_rows(), results.tile_columns()));
    #[unroll]
    for i in 0..comptime!(rows * DEPTH / UNITS) {
        let k = number * DEPTH + term_of(i, rows, true);
        let row = min(tile.row + other_of(i, rows, true), images - 1);
        let image = tile.network * images + row;
        let value = input[image * inputs + min(k, comptime!(inputs - 1))];
        piece.left[i] = select(k < inputs, value, 0.0);
    }
    #[unroll]
    for i in 0..comptime!(columns * DEPTH / UNITS) {
        let k = number * DEPTH + term_of(i, columns, false);
        let column = min(
            tile.column + other_of(i, columns, false),
            comptime!(outputs - 1),
        );
        let place = min(k, comptime!(inputs - 1)) * outputs + column;
        let value = weight[tile.network * stride + place];
        piece.right[i] = select(k < inputs, value, 0.0);
    }
}

#[cube]
fn activated(value: f32, #[comptime] layer: DenseLayer) -> f32 {
    match comptime!(layer.activation) {
        Some(activation) => activate(value, activation),
        None => value,
    }
}
