//! The loops of gather and scatter; `mod.rs` explains them.

use pulp::Simd;

use super::sparse::{Nonzero, SampleGradient};
use super::{Patches, Tile, most_sums};
use crate::simd::{chunk, chunk_mut};

/// Calls a function for the shape of a tile: its rows, one row more, and its vectors. Only shapes with at most
/// [`most_sums`] are compiled.
macro_rules! for_shape {
    ($function:ident, $tile:expr, $operands:tt) => {
        for_shape!(
            @ $function, $tile, $operands,
            (7 8 1)(6 7 1)(5 6 1)(4 5 1)(3 4 1)(2 3 1)(1 2 1)(7 8 2)(6 7 2)(5 6 2)(4 5 2)(3 4 2)(2 3 2)(1 2 2)
            (7 8 3)(6 7 3)(5 6 3)(4 5 3)(3 4 3)(2 3 3)(1 2 3)(5 6 4)(4 5 4)(3 4 4)(2 3 4)(1 2 4)
        )
    };
    (@ $function:ident, $tile:expr, $operands:tt, $(($r:literal $more:literal $v:literal))*) => {
        match $tile.shape {
            // Not as guards of the arms, which would be tested one after the other.
            $(($r, $v) => if const { $more * $v <= most_sums(S::REGISTER_COUNT) } {
                for_shape!(# $function, $r, $more, $v, $operands)
            } else {
                unreachable!("a tile has at most {} sums", most_sums(S::REGISTER_COUNT))
            },)*
            shape => unreachable!("no tile has the shape {shape:?}"),
        }
    };
    (# gather, $r:literal, $more:literal, $v:literal, ($($operand:expr),*)) => {
        gather::<S, $r, $v>($($operand),*)
    };
    (# scatter, $r:literal, $more:literal, $v:literal, ($($operand:expr),*)) => {
        scatter::<S, $more, $v>($($operand),*)
    };
}

impl Patches {
    /// Adds to the gradient of a channel's weights, packed, the patches of the images at its nonzero gradients.
    #[inline(always)]
    pub(in crate::conv) fn add_weight_gradient<S: Simd>(
        &self,
        simd: S,
        (channel, nonzeros): (usize, &[Nonzero]),
        images: &[f32],
        weight_gradient: &mut [f32],
    ) {
        for &tile in &self.tiles {
            let within = tile.row * self.row + tile.column;
            let (rows, vectors) = tile.shape;
            let len = rows * vectors * S::F32_LANES;
            let to = &mut weight_gradient[tile.gradients + channel * len..][..len];
            for_shape!(
                gather,
                tile,
                (simd, (within, self.row), nonzeros, images, to)
            );
        }
    }

    /// Adds to the gradient of a sample's input the weights, packed, at each patch's nonzero gradients.
    #[inline(always)]
    pub(in crate::conv) fn add_input_gradient<S: Simd>(
        &self,
        simd: S,
        gradients: SampleGradient<'_>,
        weight: &[f32],
        in_gradient: &mut [f32],
    ) {
        for &tile in &self.tiles {
            let weight = &weight[self.weights_of(tile)];
            for_shape!(
                scatter,
                tile,
                (simd, self, tile, gradients, weight, in_gradient)
            );
        }
    }
}

/// Adds to one channel's weights in a tile its nonzero gradients, each times its patch of the images.
#[inline(always)]
fn gather<S: Simd, const R: usize, const V: usize>(
    simd: S,
    (within, row_len): (usize, usize),
    nonzeros: &[Nonzero],
    images: &[f32],
    to: &mut [f32],
) {
    // All of one length, so that the loop over them checks one bound.
    let images = &images[within..];
    let reach = images.len() - (R - 1) * row_len;
    let mut rows = [images; R];
    for (row, image) in rows.iter_mut().enumerate() {
        *image = &images[row * row_len..][..reach];
    }
    let mut sums = [[simd.splat_f32s(0.0); V]; R];
    for nonzero in nonzeros {
        let gradient = simd.splat_f32s(nonzero.gradient);
        let start = nonzero.patch as usize;
        for (sums, image) in sums.iter_mut().zip(&rows) {
            let values = S::as_simd_f32s(&image[start..start + V * S::F32_LANES]).0;
            for (sum, &value) in sums.iter_mut().zip(values) {
                *sum = simd.mul_add_e_f32s(gradient, value, *sum);
            }
        }
    }
    let to = S::as_mut_simd_f32s(to).0;
    for (to, &sum) in to.iter_mut().zip(sums.as_flattened()) {
        *to = simd.add_f32s(*to, sum);
    }
}

/// Adds to a tile of each patch the weights of some channels, each times its gradient. `N` is the number of rows of
/// the tile and one more.
#[inline(always)]
fn scatter<S: Simd, const N: usize, const V: usize>(
    simd: S,
    patches: &Patches,
    tile: Tile,
    gradients: SampleGradient<'_>,
    weight: &[f32],
    in_gradient: &mut [f32],
) {
    let (weight, _) = S::as_simd_f32s(weight).0.as_chunks::<V>();
    for column in 0..2 {
        let first = patches.place(column) + tile.row * patches.row + tile.column;
        for &window in &patches.apart {
            let gradients = gradients.of_column(window, column);
            if gradients.is_empty() {
                continue;
            }
            let mut sums = [[simd.splat_f32s(0.0); V]; N];
            for (channel, row, gradient) in gradients {
                let gradient = simd.splat_f32s(gradient);
                // From the row of zeros above the weights on, or from the first weights to the zeros below.
                let weights = chunk::<_, N>(weight, channel * (N + 1) + 1 - row);
                for (sums, weights) in sums.iter_mut().zip(weights) {
                    for (sum, &weight) in sums.iter_mut().zip(weights) {
                        *sum = simd.mul_add_e_f32s(gradient, weight, *sum);
                    }
                }
            }
            let mut row = first + patches.windows[window] as usize;
            for sums in sums {
                add_row(simd, sums, &mut in_gradient[row..row + V * S::F32_LANES]);
                row += patches.row;
            }
        }
    }
}

/// Adds the sums of one row of a tile to the image.
#[inline(always)]
pub(super) fn add_row<S: Simd, const V: usize>(simd: S, sums: [S::f32s; V], to: &mut [f32]) {
    let to = chunk_mut::<_, V>(S::as_mut_simd_f32s(to).0, 0);
    for (to, sum) in to.iter_mut().zip(sums) {
        *to = simd.add_f32s(*to, sum);
    }
}
