//! The gradients.

use cubecl::prelude::*;

use super::DenseLayer;
use super::tile::{
    DEPTH, Factors, Piece, Results, Tile, add_products, column_of, new_factors, new_piece,
    new_sums, other_of, row_of, share_piece, term_of, tile_at,
};
use crate::activation::derivative;
use crate::launch::UNITS;

/// The gradients of the parameters; behind their tiles those of the input.
#[cube(launch)]
pub(super) fn dense_backward(
    input: &[f32],
    weight: &[f32],
    output: &[f32],
    output_gradient: &[f32],
    weight_gradient: &mut [f32],
    bias_gradient: &mut [f32],
    input_gradient: ComptimeOption<&mut [f32]>,
    images: usize,
    networks: usize,
    weight_tiles: usize,
    #[comptime] layer: DenseLayer,
    #[comptime] strides: [usize; 2],
    #[comptime] results: [Results; 2],
) {
    let [of_weights, of_input] = comptime!(results);
    let mut factors = new_factors(comptime!(of_weights.or(of_input)));
    if CUBE_POS < weight_tiles {
        multiply_weight_gradient(
            input,
            output,
            output_gradient,
            weight_gradient,
            bias_gradient,
            &mut factors,
            images,
            networks,
            layer,
            comptime!(strides[1]),
            of_weights,
        );
    } else {
        #[comptime]
        if let ComptimeOption::Some(input_gradient) = input_gradient {
            multiply_input_gradient(
                weight,
                output,
                output_gradient,
                input_gradient,
                &mut factors,
                CUBE_POS - weight_tiles,
                images,
                networks,
                layer,
                comptime!(strides[0]),
                of_input,
            );
        }
    }
}

/// `[inputs, outputs]` = inputᵀ · gradient, with a last row for the bias, whose input is 1.
#[cube]
fn multiply_weight_gradient(
    input: &[f32],
    output: &[f32],
    output_gradient: &[f32],
    weight_gradient: &mut [f32],
    bias_gradient: &mut [f32],
    factors: &mut Factors,
    images: usize,
    networks: usize,
    #[comptime] layer: DenseLayer,
    #[comptime] stride: usize,
    #[comptime] results: Results,
) {
    let (inputs, outputs) = comptime!((layer.inputs, layer.outputs));
    let rows = comptime!(inputs + 1).runtime();
    let tile = tile_at(CUBE_POS, networks, rows, outputs, results);
    let mut piece = new_piece(results);
    let mut sums = new_sums(results);
    read_weight_gradient(
        input,
        output,
        output_gradient,
        &mut piece,
        &tile,
        0,
        images,
        layer,
        results,
    );
    for next in 1..images.div_ceil(DEPTH) + 1 {
        share_piece(&piece, factors, results, false, false);
        // Meanwhile the memory answers.
        read_weight_gradient(
            input,
            output,
            output_gradient,
            &mut piece,
            &tile,
            next,
            images,
            layer,
            results,
        );
        add_products(factors, &mut sums, results);
    }
    #[unroll]
    for i in 0..comptime!(results.count()) {
        let row = row_of(&tile, i, results);
        let column = column_of(&tile, i, results);
        if column < outputs {
            if row < inputs {
                weight_gradient[tile.network * stride + row * outputs + column] = sums[i];
            } else if row == inputs {
                bias_gradient[tile.network * stride + column] = sums[i];
            }
        }
    }
}

#[cube]
fn read_weight_gradient(
    input: &[f32],
    output: &[f32],
    output_gradient: &[f32],
    piece: &mut Piece,
    tile: &Tile,
    number: usize,
    images: usize,
    #[comptime] layer: DenseLayer,
    #[comptime] results: Results,
) {
    let (inputs, outputs) = comptime!((layer.inputs, layer.outputs));
    let (rows, columns) = comptime!((results.tile_rows(), results.tile_columns()));
    #[unroll]
    for i in 0..comptime!(rows * DEPTH / UNITS) {
        let k = number * DEPTH + term_of(i, rows, false);
        let row = tile.row + other_of(i, rows, false);
        let image = tile.network * images + min(k, images - 1);
        let value = input[image * inputs + min(row, comptime!(inputs - 1))];
        let value = select(row == inputs, 1.0, value);
        piece.left[i] = select(k < images, value, 0.0);
    }
    #[unroll]
    for i in 0..comptime!(columns * DEPTH / UNITS) {
        let k = number * DEPTH + term_of(i, columns, false);
        let column = min(
            tile.column + other_of(i, columns, false),
            comptime!(outputs - 1),
        );
        let image = tile.network * images + min(k, images - 1);
        let value = before_activation(output, output_gradient, image * outputs + column, layer);
        piece.right[i] = select(k < images, value, 0.0);
    }
}

/// `[images, inputs]` = gradient · weightᵀ.
#[cube]
fn multiply_input_gradient(
    weight: &[f32],
    output: &[f32],
    output_gradient: &[f32],
    input_gradient: &mut [f32],
    factors: &mut Factors,
    index: usize,
    images: usize,
    networks: usize,
    #[comptime] layer: DenseLayer,
    #[comptime] stride: usize,
    #[comptime] results: Results,
) {
    let (inputs, outputs) = comptime!((layer.inputs, layer.outputs));
    let tile = tile_at(index, networks, images, inputs, results);
    let mut piece = new_piece(results);
    let mut sums = new_sums(results);
    read_input_gradient(
        weight,
        output,
        output_gradient,
        &mut piece,
        &tile,
        0,
        images,
        layer,
        stride,
        results,
    );
    for next in 1..comptime!(outputs.div_ceil(DEPTH) + 1) {
        share_piece(&piece, factors, results, true, true);
        // Meanwhile the memory answers.
        read_input_gradient(
            weight,
            output,
            output_gradient,
            &mut piece,
            &tile,
            next,
            images,
            layer,
            stride,
            results,
        );
        add_products(factors, &mut sums, results);
    }
    #[unroll]
    for i in 0..comptime!(results.count()) {
        let image = row_of(&tile, i, results);
        let column = column_of(&tile, i, results);
        if image < images && column < inputs {
            input_gradient[(tile.network * images + image) * inputs + column] = sums[i];
        }
    }
}

#[cube]
fn read_input_gradient(
    weight: &[f32],
    output: &[f32],
    output_gradient: &[f32],
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
        let place = (tile.network * images + row) * outputs + min(k, comptime!(outputs - 1));
        let value = before_activation(output, output_gradient, place, layer);
        piece.left[i] = select(k < outputs, value, 0.0);
    }
    #[unroll]
    for i in 0..comptime!(columns * DEPTH / UNITS) {
        let k = number * DEPTH + term_of(i, columns, true);
        let column = min(
            tile.column + other_of(i, columns, true),
            comptime!(inputs - 1),
        );
        let place = column * outputs + min(k, comptime!(outputs - 1));
        let value = weight[tile.network * stride + place];
        piece.right[i] = select(k < outputs, value, 0.0);
    }
}

/// The gradient of what the activation was applied to.
#[cube]
fn before_activation(
    output: &[f32],
    output_gradient: &[f32],
    index: usize,
    #[comptime] layer: DenseLayer,
) -> f32 {
    match comptime!(layer.activation) {
        Some(activation) => output_gradient[index] * derivative(output[index], activation),
        None => output_gradient[index],
    }
}
