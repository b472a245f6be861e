//! The dense layer with its activation: three products of matrices. A cube computes a tile of the results, from factors
//! that it brings to shared memory piece by piece, and reads the next piece while it multiplies; a unit computes a few
//! rows of one or two columns. Each sum is added up in order, so it does not depend on the division into tiles.

use cubecl::prelude::*;
use lenet_kernels::Activation;

use crate::activation::{activate, derivative};
use crate::launch::{UNITS, at_once, cubes};
use crate::{Buffer, Parameters};

/// Rows and columns of the units of a cube.
const SIDE: usize = 16;
/// Units that keep a large GPU busy: as many as it has at once.
const BUSY: usize = 1 << 18;
/// Terms of a sum whose factors are in shared memory at once.
const DEPTH: usize = 32;

/// A dense layer of several networks side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DenseLayer {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) activation: Option<Activation>,
}

impl DenseLayer {
    pub(crate) fn weight_len(&self) -> usize {
        self.inputs * self.outputs
    }

    pub(crate) fn forward(
        &self,
        [networks, images]: [usize; 2],
        input: &Buffer,
        parameters: &Parameters,
        output: &Buffer,
    ) {
        let client = input.client();
        let results = Results::new(networks, images, self.outputs);
        let (count, dim) = cubes(client, results.tiles(networks, images, self.outputs));
        dense_forward::launch(
            client,
            count,
            dim,
            input.arg(),
            parameters.weight.arg(),
            parameters.bias.arg(),
            output.arg(),
            images,
            networks,
            *self,
            parameters.stride,
            results,
        );
    }

    /// Writes the gradients of the parameters and, if there is a buffer for it, that of the input, in one launch.
    pub(crate) fn backward(
        &self,
        [networks, images]: [usize; 2],
        pass: DensePass<'_>,
        gradients: &Parameters,
        input_gradient: Option<&Buffer>,
    ) {
        let client = pass.input.client();
        let of_weights = Results::new(networks, self.inputs + 1, self.outputs);
        let weight_tiles = of_weights.tiles(networks, self.inputs + 1, self.outputs);
        let of_input = Results::new(networks, images, self.inputs);
        let input_tiles = of_input.tiles(networks, images, self.inputs);
        let tiles = weight_tiles + input_gradient.map_or(0, |_| input_tiles);
        let (count, dim) = cubes(client, tiles);
        dense_backward::launch(
            client,
            count,
            dim,
            pass.input.arg(),
            pass.parameters.weight.arg(),
            pass.output.arg(),
            pass.output_gradient.arg(),
            gradients.weight.arg(),
            gradients.bias.arg(),
            input_gradient.map(Buffer::arg).into(),
            images,
            networks,
            weight_tiles,
            *self,
            [pass.parameters.stride, gradients.stride],
            [of_weights, of_input],
        );
    }
}

/// What the backward pass of a layer reads.
#[derive(Clone, Copy)]
pub(crate) struct DensePass<'a> {
    pub(crate) input: &'a Buffer,
    pub(crate) parameters: &'a Parameters,
    pub(crate) output: &'a Buffer,
    pub(crate) output_gradient: &'a Buffer,
}

/// The results of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Results {
    rows: usize,
    columns: usize,
}

impl Results {
    fn new(networks: usize, rows: usize, columns: usize) -> Self {
        let of_unit = at_once(networks * rows * columns, BUSY, |n| n != 3);
        Self {
            rows: of_unit,
            columns: if of_unit == 4 && columns > SIDE { 2 } else { 1 },
        }
    }

    /// Tiles of a matrix of results of each network.
    fn tiles(&self, networks: usize, rows: usize, columns: usize) -> usize {
        networks * rows.div_ceil(self.tile_rows()) * columns.div_ceil(self.tile_columns())
    }

    fn tile_rows(&self) -> usize {
        SIDE * self.rows
    }

    fn tile_columns(&self) -> usize {
        SIDE * self.columns
    }

    /// As many as either.
    fn or(&self, other: Self) -> Self {
        Self {
            rows: self.rows.max(other.rows),
            columns: self.columns.max(other.columns),
        }
    }

    /// Number of results.
    fn count(&self) -> usize {
        self.rows * self.columns
    }
}

/// The first row and column of a tile.
#[derive(CubeType)]
struct Tile {
    network: usize,
    row: usize,
    column: usize,
}

/// A tile of results of so many rows and columns; the last one if there are fewer.
#[cube]
fn tile_at(
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

/// A piece of both factors in shared memory, the terms of the sums first: `[DEPTH, rows]` and `[DEPTH, columns]`, a value
/// apart, so that neighbouring units access different banks.
#[derive(CubeType)]
struct Factors {
    left: Shared<[f32]>,
    right: Shared<[f32]>,
}

/// The values of a piece that a unit reads from the device's memory.
#[derive(CubeType)]
struct Piece {
    left: Array<f32>,
    right: Array<f32>,
}

#[cube]
fn new_factors(#[comptime] results: Results) -> Factors {
    Factors {
        left: Shared::<[f32]>::new_slice(comptime!(DEPTH * (results.tile_rows() + 1))),
        right: Shared::<[f32]>::new_slice(comptime!(DEPTH * (results.tile_columns() + 1))),
    }
}

#[cube]
fn new_piece(#[comptime] results: Results) -> Piece {
    Piece {
        left: Array::<f32>::new(comptime!(results.tile_rows() * DEPTH / UNITS)),
        right: Array::<f32>::new(comptime!(results.tile_columns() * DEPTH / UNITS)),
    }
}

#[cube]
fn new_sums(#[comptime] results: Results) -> Array<f32> {
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
fn term_of(i: usize, #[comptime] size: usize, #[comptime] by_term: bool) -> usize {
    let index = UNIT_POS as usize + i * UNITS;
    if comptime!(by_term) {
        index % DEPTH
    } else {
        index / size
    }
}

/// The row or column of that value.
#[cube]
fn other_of(i: usize, #[comptime] size: usize, #[comptime] by_term: bool) -> usize {
    let index = UNIT_POS as usize + i * UNITS;
    if comptime!(by_term) {
        index / DEPTH
    } else {
        index % size
    }
}

/// Brings a piece to shared memory, once no unit needs the one before it any more.
#[cube]
fn share_piece(
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
fn add_products(factors: &mut Factors, sums: &mut Array<f32>, #[comptime] results: Results) {
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

/// `[images, outputs]` = activation(input · weight + bias).
#[cube(launch)]
fn dense_forward(
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
    let unit = UNIT_POS as usize;
    let mut sums = Array::<f32>::new(comptime!(results.count()));
    #[unroll]
    for i in 0..comptime!(results.count()) {
        let column = tile.column + comptime!(i % results.columns * SIDE) + unit % SIDE;
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
        let image = tile.row + comptime!(i / results.columns * SIDE) + unit / SIDE;
        let column = tile.column + comptime!(i % results.columns * SIDE) + unit % SIDE;
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

/// The gradients of the parameters; behind their tiles those of the input.
#[cube(launch)]
fn dense_backward(
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
    if CUBE_POS < weight_tiles || comptime!(input_gradient.is_none()) {
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
    let first = 0usize;
    read_weight_gradient(
        input,
        output,
        output_gradient,
        &mut piece,
        &tile,
        first,
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
    let unit = UNIT_POS as usize;
    #[unroll]
    for i in 0..comptime!(results.count()) {
        let row = tile.row + comptime!(i / results.columns * SIDE) + unit / SIDE;
        let column = tile.column + comptime!(i % results.columns * SIDE) + unit % SIDE;
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
    let unit = UNIT_POS as usize;
    #[unroll]
    for i in 0..comptime!(results.count()) {
        let image = tile.row + comptime!(i / results.columns * SIDE) + unit / SIDE;
        let column = tile.column + comptime!(i % results.columns * SIDE) + unit % SIDE;
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

#[cube]
fn activated(value: f32, #[comptime] layer: DenseLayer) -> f32 {
    match comptime!(layer.activation) {
        Some(activation) => activate(value, activation),
        None => value,
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
