//! Gradients by patches of the input: the layout for sparse gradients, and for the gradient of the input.
//!
//! The gradient `g` of one value before the pooling, in output channel `o`, touches one patch of the input, the
//! `kernel_size × kernel_size` pixels that the value was computed from:
//!
//! ```text
//! weight gradient[o] += g · patch of the image                   gather
//! patch of the input gradient += g · weight[o]                   scatter
//! ```
//!
//! In max pooling only the argmax of each window has a gradient, at most a quarter of all positions, and fewer
//! still where ReLU is flat. So instead of a dense convolution, the backward pass visits the nonzero gradients
//! ([`SparseGradient`]) and does a patch of work for each. Behind average pooling every value has a gradient, and
//! `dense.rs` adds up what meets in a row of the image before it is written.
//!
//! # What lies where
//!
//! Images have their channels innermost, with a border of zeros, so that a row of a patch is one run of values,
//! whatever the number of channels. Weights are packed the same way, a patch for each output channel:
//!
//! ```text
//!            pixel 0    pixel 1    pixel 2    pixel 3
//!  row 0   | r  g  b  | r  g  b  | r  g  b  | r  g  b  |
//!                     +---------------------+
//!  row 1   | r  g  b  | R  G  B  | R  G  B  | r  g  b  |         the patch of a 2×2 kernel:
//!  row 2   | r  g  b  | R  G  B  | R  G  B  | r  g  b  |         2 rows of 2 pixels, 6 values each
//!                     +---------------------+
//! ```
//!
//! Rows of a patch are filled up to whole vectors. The image is read beyond the patch, where packed weights have
//! zeros and sums are dropped in the end. A patch is cut into tiles of at most `R` rows by `V` vectors:
//!
//! | what | order |
//! |---|---|
//! | image | row, column, channel |
//! | packed weights | tile, out channel, row of the tile between two rows of zeros, vector of the tile, lane |
//! | gradient of the weights | tile, out channel, row of the tile, vector of the tile, lane |
//!
//! # Loops
//!
//! ```text
//! gather: for output channel, tile            scatter: for tile, column of a window, window with nonzeros there
//!   sums[R][V] = 0                              sums[R + 1][V] = 0          // up to 24 registers of 32
//!   for nonzero of the channel                  for nonzero of the column
//!     sums += splat(g) · image[its patch]         sums += splat(g) · weight[its channel]
//!   weight gradient[channel] += sums            input gradient[patch] += sums
//! ```
//!
//! Either loop loads a vector for each multiply-add and stores nothing. What costs more are the ends: a loop of
//! unknown length that the processor mispredicts, and sums read, added to and written back. So lists are made as
//! long as possible. Gather visits the nonzeros of several samples, whose images a cache holds. Scatter takes both
//! places of a column of a window at once: their patches are one row apart, so the sums have one row more, and the
//! weights begin a row earlier or later, at one of the rows of zeros. (Through these, an infinite gradient turns the
//! row beside its patch into NaN, too.) The channels with a gradient at a place are the bits of a word, so no list is
//! built for each patch.

mod dense;
mod image;
mod sparse;
mod tiles;

use std::ops::Range;

use super::geometry::Geometry;
use crate::Shape;
use crate::simd::{Aligned, LANES, Vectors, parts};

pub(super) use sparse::SparseGradient;

/// Values of all images that a first-level cache of 48 KiB holds beside a few others: gather reads them once for each
/// output channel.
const NEAR: usize = 10 << 10;

/// Where everything lies.
pub(super) struct Patches {
    shape: Shape,
    lanes: usize,
    /// Values of a pixel.
    pixel: usize,
    /// Values of a row of the image.
    row: usize,
    /// Values of an image, and as many more as a vector may reach beyond its end.
    image: usize,
    tiles: Vec<Tile>,
    /// Where in the packed weights each weight is, and where in their gradient.
    weights: Vec<[u32; 2]>,
    /// Values of the packed weights.
    weight_len: usize,
    /// Values of the gradient of the weights.
    gradient_len: usize,
    /// Where the patch of each window's first value begins.
    windows: Vec<u32>,
    /// The windows in an order in which patches that follow each other do not overlap, so that the sums of one
    /// are in the cache before the next reads them.
    apart: Vec<usize>,
}

/// A part of a patch whose values fit the registers.
#[derive(Clone, Copy)]
struct Tile {
    row: usize,
    /// In values, from the beginning of a row.
    column: usize,
    /// Rows and vectors.
    shape: (usize, usize),
    /// Where the packed weights of the tile begin.
    weights: usize,
    /// Where the gradient of its weights begins.
    gradients: usize,
}

/// Where a layout has the gradients of the values before the pooling.
pub(super) struct GradientPlaces {
    /// Rows and columns of values: twice those of windows.
    rows: usize,
    columns: usize,
    /// The gradients of each value, row by row, of which each is that of a patch.
    patches: Vec<usize>,
    /// From there, those of each output channel.
    channels: Vec<usize>,
    /// From there to the end of the last one.
    reach: usize,
}

impl GradientPlaces {
    /// Given where the gradients of each window are, how far it is from there to those of each output channel, and
    /// from one place in a window to the next.
    pub(super) fn new(
        geometry: &Geometry,
        windows: &[usize],
        channels: Vec<usize>,
        place_len: usize,
    ) -> Self {
        let [rows, columns] = geometry.pooled;
        let values =
            (0..2 * rows).flat_map(|row| (0..2 * columns).map(move |column| (row, column)));
        let patches = values.map(|(row, column)| {
            let place = row % 2 * 2 + column % 2;
            windows[row / 2 * columns + column / 2] + place * place_len
        });
        Self {
            rows: 2 * rows,
            columns: 2 * columns,
            patches: patches.collect(),
            reach: channels.iter().max().map_or(0, |last| last + 1),
            channels,
        }
    }
}

/// Most sums of a tile, so that some of the registers stay free.
const fn most_sums(registers: usize) -> usize {
    if registers >= 32 { 24 } else { 12 }
}

impl Patches {
    pub(super) fn new(geometry: &Geometry, vectors: Vectors) -> Self {
        let Vectors { lanes, registers } = vectors;
        let shape = geometry.shape;
        // Pixels of many channels begin at half a vector, which is worth the zeros.
        let pixel = match shape.in_channels {
            channels @ ..LANES => channels,
            channels => channels.next_multiple_of(LANES / 2),
        };
        let [rows, columns] = geometry.padded;
        let row = columns * pixel;
        let [pooled_height, pooled_width] = geometry.pooled;
        let windows = (0..pooled_height)
            .flat_map(|y| (0..pooled_width).map(move |x| (2 * y * row + 2 * x * pixel) as u32));
        // Patches of windows this far apart do not overlap.
        let step = (shape.kernel_size + 1).div_ceil(2);
        let firsts = (0..step).flat_map(|y| (0..step).map(move |x| (y, x)));
        let apart = firsts.flat_map(|(y, x)| {
            let rows = (y..pooled_height).step_by(step);
            rows.flat_map(move |row| {
                let columns = (x..pooled_width).step_by(step);
                columns.map(move |column| row * pooled_width + column)
            })
        });
        let patch_row = shape.kernel_size * pixel;
        let most = most_sums(registers);
        let row_vectors = patch_row.div_ceil(lanes);
        // As many rows as leave room for one more, which scatter needs, and for two vectors; then as many vectors as
        // there is room for.
        let row_parts = shape.kernel_size.div_ceil((most / 2 - 1).min(7));
        let most_rows = shape.kernel_size.div_ceil(row_parts);
        let most_vectors = (most / (most_rows + 1)).clamp(1, 4);
        let mut tiles = Vec::new();
        let [mut weights, mut gradients] = [0; 2];
        for columns in parts(row_vectors, most_vectors) {
            for rows in parts(shape.kernel_size, most_rows) {
                tiles.push(Tile {
                    row: rows.start,
                    column: columns.start * lanes,
                    shape: (rows.len(), columns.len()),
                    weights,
                    gradients,
                });
                let row = shape.out_channels * columns.len() * lanes;
                weights += (rows.len() + 2) * row;
                gradients += rows.len() * row;
            }
        }
        let mut patches = Self {
            image: (rows * row + patch_row + LANES).next_multiple_of(LANES),
            tiles,
            weights: vec![[0; 2]; geometry.weight_len()],
            weight_len: weights,
            gradient_len: gradients,
            windows: windows.collect(),
            apart: apart.collect(),
            lanes,
            shape,
            pixel,
            row,
        };
        let mut weights = std::mem::take(&mut patches.weights);
        patches.for_each_weight(|weight, at| weights[weight] = at.map(|at| at as u32));
        patches.weights = weights;
        patches
    }

    /// Values of an image buffer.
    pub(super) fn image_len(&self) -> usize {
        self.image
    }

    /// Values of the gradient of the weights, as [`add_weight_gradient`](Self::add_weight_gradient) adds it up.
    pub(super) fn gradient_len(&self) -> usize {
        self.gradient_len
    }

    /// Samples whose images a cache holds, up to `most`; at least one.
    pub(super) fn samples_at_once(&self, most: usize) -> usize {
        (NEAR / self.image).clamp(1, most)
    }

    /// Where the packed weights of a tile lie.
    fn weights_of(&self, tile: Tile) -> Range<usize> {
        let (rows, vectors) = tile.shape;
        let len = self.shape.out_channels * (rows + 2) * vectors * self.lanes;
        tile.weights..tile.weights + len
    }

    /// How much further the patch of a place in a window begins.
    #[inline(always)]
    fn place(&self, place: usize) -> usize {
        (place & 1) * self.pixel + (place >> 1) * self.row
    }

    /// Packs weights `[out channel, in channel, row, column]`.
    pub(super) fn pack(&self, weight: &[f32]) -> Aligned {
        let mut packed = Aligned::zeros(self.weight_len);
        for (&[at, _], &weight) in self.weights.iter().zip(weight) {
            packed[at as usize] = weight;
        }
        packed
    }

    /// Unpacks the gradient of the weights.
    pub(super) fn unpack(&self, gradient: &[f32]) -> Vec<f32> {
        let weights = self.weights.iter();
        weights.map(|&[_, at]| gradient[at as usize]).collect()
    }

    /// Calls with the index of each weight, in the packed weights and in their gradient.
    fn for_each_weight(&self, mut call: impl FnMut(usize, [usize; 2])) {
        let Shape {
            in_channels,
            out_channels,
            kernel_size,
            ..
        } = self.shape;
        for tile in &self.tiles {
            let (rows, vectors) = tile.shape;
            let row_len = vectors * self.lanes;
            for out in 0..out_channels {
                for row in 0..rows {
                    let weights = tile.weights + (out * (rows + 2) + 1 + row) * row_len;
                    let gradients = tile.gradients + (out * rows + row) * row_len;
                    for lane in 0..row_len {
                        let column = (tile.column + lane) / self.pixel;
                        let channel = (tile.column + lane) % self.pixel;
                        if column < kernel_size && channel < in_channels {
                            let map = (out * in_channels + channel) * kernel_size;
                            let weight = (map + tile.row + row) * kernel_size + column;
                            call(weight, [weights + lane, gradients + lane]);
                        }
                    }
                }
            }
        }
    }
}
