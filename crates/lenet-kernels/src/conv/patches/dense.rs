//! The gradient of the input where every value before the pooling has one: a transposed convolution.
//!
//! Patch by patch, a sum would be read from the image and written back for each of the patches that cover a pixel.
//! Here the rows of all patches that meet in a row of the image are added up in registers first:
//!
//! ```text
//! for tile, row of the image, up to 6 columns of patches
//!   sums[6][V] = 0
//!   for row of the tile, output channel                // the patch begins that many rows above
//!     weights[V] = load
//!     for column
//!       sums[column] += splat(gradient) · weights
//!   add sums to the image, column by column
//! ```

use pulp::Simd;

use super::tiles::add_row;
use super::{GradientPlaces, Patches, Tile, most_sums};
use crate::simd::{chunk, parts};

/// Calls a function for the number of columns and of vectors. Only those with at most `$most` sums are compiled.
macro_rules! for_columns {
    ($shape:expr, $most:expr, $self:ident.$method:ident $arguments:tt) => {
        for_columns!(
            @ $shape, $most, $self.$method $arguments,
            (1 1)(2 1)(3 1)(4 1)(5 1)(6 1)(1 2)(2 2)(3 2)(4 2)(5 2)(6 2)
            (1 3)(2 3)(3 3)(4 3)(5 3)(6 3)(1 4)(2 4)(3 4)(4 4)(5 4)(6 4)
        )
    };
    (@ $shape:expr, $most:expr, $self:ident.$method:ident $arguments:tt, $(($n:literal $v:literal))*) => {
        match $shape {
            $(($n, $v) => if const { $n * $v <= $most } {
                $self.$method::<S, $n, $v> $arguments
            } else {
                unreachable!("a tile has at most {} sums", $most)
            },)*
            shape => unreachable!("no tile has the shape {shape:?}"),
        }
    };
}

impl Patches {
    /// Adds to the gradient of the input, where `places` says which gradient belongs to which patch.
    #[inline(always)]
    pub(in crate::conv) fn add_dense_input_gradient<S: Simd>(
        &self,
        simd: S,
        weight: &[f32],
        (gradients, places): (&[f32], &GradientPlaces),
        in_gradient: &mut [f32],
    ) {
        for &tile in &self.tiles {
            let (rows, vectors) = tile.shape;
            let weight = &weight[self.weights_of(tile)];
            let most = (most_sums(S::REGISTER_COUNT) / vectors).min(6);
            for row in tile.row..tile.row + rows + places.rows - 1 {
                for columns in parts(places.columns, most) {
                    let at = (row, columns.start);
                    let from = (weight, gradients, places);
                    let to = &mut in_gradient[row * self.row + tile.column..];
                    for_columns!(
                        (columns.len(), vectors),
                        most_sums(S::REGISTER_COUNT),
                        self.add_columns(simd, tile, at, from, to)
                    );
                }
            }
        }
    }

    /// The sums of `N` columns of patches in a row of the image, `V` vectors each.
    #[inline(always)]
    fn add_columns<S: Simd, const N: usize, const V: usize>(
        &self,
        simd: S,
        tile: Tile,
        (row, column): (usize, usize),
        (weight, gradients, places): (&[f32], &[f32], &GradientPlaces),
        to: &mut [f32],
    ) {
        let (rows, _) = tile.shape;
        let (weight, _) = S::as_simd_f32s(weight).0.as_chunks::<V>();
        let mut sums = [[simd.splat_f32s(0.0); V]; N];
        for tile_row in 0..rows {
            // The patch's first row.
            let Some(first) = row.checked_sub(tile.row + tile_row) else {
                break;
            };
            if first >= places.rows {
                continue;
            }
            // All of one length, so that the loop over them checks one bound.
            let mut patches = [&gradients[..0]; N];
            let starts = &places.patches[first * places.columns + column..];
            for (patch, &start) in patches.iter_mut().zip(chunk::<_, N>(starts, 0)) {
                *patch = &gradients[start..][..places.reach];
            }
            for (channel, &at) in places.channels.iter().enumerate() {
                let weights = &weight[channel * (rows + 2) + 1 + tile_row];
                for (sums, patch) in sums.iter_mut().zip(&patches) {
                    let gradient = simd.splat_f32s(patch[at]);
                    for (sum, &weight) in sums.iter_mut().zip(weights) {
                        *sum = simd.mul_add_e_f32s(gradient, weight, *sum);
                    }
                }
            }
        }
        let mut pixel = column * self.pixel;
        for sums in sums {
            add_row(simd, sums, &mut to[pixel..]);
            pixel += self.pixel;
        }
    }
}
