//! The loops of gather and scatter; `mod.rs` explains them.

use pulp::Simd;

use super::sparse::Nonzero;
use super::{Patches, SparseGradient, Tile, most_sums, most_sums_of_both};
use crate::simd::chunk;

/// Calls a function for the shape of a tile: `R` rows of `V` vectors. Only shapes with at most `$most`
/// sums are compiled.
macro_rules! for_shape {
    ($function:ident, $most:expr, $tile:expr, $operands:tt) => {
        for_shape!(
            @ $function, $most, $tile, $operands,
            (7 1)(6 1)(5 1)(4 1)(3 1)(2 1)(1 1)(7 2)(6 2)(5 2)(4 2)(3 2)(2 2)(1 2)
            (7 3)(6 3)(5 3)(4 3)(3 3)(2 3)(1 3)(6 4)(5 4)(4 4)(3 4)(2 4)(1 4)
        )
    };
    (@ $function:ident, $most:expr, $tile:expr, $operands:tt, $(($r:literal $v:literal))*) => {
        match $tile.shape {
            // Not as guards of the arms, which would be tested one after the other.
            $(($r, $v) => if const { $r * $v <= $most } {
                for_shape!(# $function, $r, $v, $operands)
            } else {
                unreachable!("a tile has at most {} sums", $most)
            },)*
            shape => unreachable!("no tile has the shape {shape:?}"),
        }
    };
    (# $function:ident, $r:literal, $v:literal, ($($operand:expr),*)) => {
        $function::<S, $r, $v>($($operand),*)
    };
}

impl Patches {
    /// Adds to the gradient of a channel's weights, packed, the patches of the image at its nonzero gradients.
    #[inline(always)]
    pub(in crate::conv) fn add_weight_gradient<S: Simd>(
        &self,
        simd: S,
        (channel, nonzeros): (usize, &[Nonzero]),
        image: &[f32],
        weight_gradient: &mut [f32],
    ) {
        for &tile in &self.tiles {
            let within = tile.row * self.row + tile.column;
            let len = self.tile_len(tile) / self.shape.out_channels;
            let to = &mut weight_gradient[tile.start + channel * len..][..len];
            for_shape!(
                gather,
                most_sums(S::REGISTER_COUNT),
                tile,
                (simd, (within, self.row), nonzeros, image, to)
            );
        }
    }

    /// Adds to the gradient of the input the weights, packed, at each patch's nonzero gradients.
    #[inline(always)]
    pub(in crate::conv) fn add_input_gradient<S: Simd>(
        &self,
        simd: S,
        gradients: &SparseGradient,
        weight: &[f32],
        in_gradient: &mut [f32],
    ) {
        for &tile in &self.tiles {
            let weight = &weight[tile.start..][..self.tile_len(tile)];
            for_shape!(
                scatter_sparse,
                most_sums(S::REGISTER_COUNT),
                tile,
                (simd, self, tile, gradients, weight, in_gradient)
            );
        }
    }

    /// [`add_weight_gradient`](Self::add_weight_gradient) of all channels and
    /// [`add_input_gradient`](Self::add_input_gradient) at once.
    #[inline(always)]
    pub(in crate::conv) fn add_gradients<S: Simd>(
        &self,
        simd: S,
        gradients: &SparseGradient,
        (image, weight): (&[f32], &[f32]),
        (weight_gradient, in_gradient): (&mut [f32], &mut [f32]),
    ) {
        for &tile in &self.tiles {
            let packed = tile.start..tile.start + self.tile_len(tile);
            let from = (image, &weight[packed.clone()]);
            let to = (&mut weight_gradient[packed], &mut *in_gradient);
            for_shape!(
                gather_and_scatter,
                most_sums_of_both(S::REGISTER_COUNT),
                tile,
                (simd, self, tile, gradients, from, to)
            );
        }
    }

    /// Where a tile of a patch begins in the image.
    #[inline(always)]
    fn position(&self, tile: Tile, window: u32, place: usize) -> usize {
        self.patch(window, place) + tile.row * self.row + tile.column
    }
}

/// Adds to one channel's weights in a tile its nonzero gradients, each times its patch of the image.
#[inline(always)]
fn gather<S: Simd, const R: usize, const V: usize>(
    simd: S,
    (within, row_len): (usize, usize),
    nonzeros: &[Nonzero],
    image: &[f32],
    to: &mut [f32],
) {
    let mut sums = [[simd.splat_f32s(0.0); V]; R];
    for nonzero in nonzeros {
        let gradient = simd.splat_f32s(nonzero.gradient);
        let mut row = nonzero.patch as usize + within;
        for sums in &mut sums {
            let values = S::as_simd_f32s(&image[row..row + V * S::F32_LANES]).0;
            for (sum, &value) in sums.iter_mut().zip(values) {
                *sum = simd.mul_add_e_f32s(gradient, value, *sum);
            }
            row += row_len;
        }
    }
    let to = S::as_mut_simd_f32s(to).0;
    for (to, &sum) in to.iter_mut().zip(sums.as_flattened()) {
        *to = simd.add_f32s(*to, sum);
    }
}

/// [`scatter`] of the nonzero gradients of all patches.
#[inline(always)]
fn scatter_sparse<S: Simd, const R: usize, const V: usize>(
    simd: S,
    patches: &Patches,
    tile: Tile,
    gradients: &SparseGradient,
    weight: &[f32],
    in_gradient: &mut [f32],
) {
    for place in 0..4 {
        for &window in &patches.apart {
            let start = patches.windows[window];
            let at = (patches.position(tile, start, place), patches.row);
            let gradients = gradients.of_patch(window, place);
            if gradients.is_empty() {
                continue;
            }
            scatter::<S, R, V>(simd, at, weight, gradients, in_gradient);
        }
    }
}

/// Adds to a tile of a patch the weights of some channels, each times its gradient.
#[inline(always)]
fn scatter<S: Simd, const R: usize, const V: usize>(
    simd: S,
    (mut row, row_len): (usize, usize),
    weight: &[f32],
    gradients: impl Iterator<Item = (usize, f32)>,
    in_gradient: &mut [f32],
) {
    let (weight, _) = S::as_simd_f32s(weight).0.as_chunks::<V>();
    let (weight, _) = weight.as_chunks::<R>();
    let mut sums = [[simd.splat_f32s(0.0); V]; R];
    for (channel, gradient) in gradients {
        let gradient = simd.splat_f32s(gradient);
        for (sums, weights) in sums.iter_mut().zip(&weight[channel]) {
            for (sum, &weight) in sums.iter_mut().zip(weights) {
                *sum = simd.mul_add_e_f32s(gradient, weight, *sum);
            }
        }
    }
    for sums in sums {
        add_row(simd, sums, &mut in_gradient[row..]);
        row += row_len;
    }
}

/// [`gather`] and [`scatter`] of the nonzero gradients of all patches.
#[inline(always)]
fn gather_and_scatter<S: Simd, const R: usize, const V: usize>(
    simd: S,
    patches: &Patches,
    tile: Tile,
    gradients: &SparseGradient,
    (image, weight): (&[f32], &[f32]),
    (weight_gradient, in_gradient): (&mut [f32], &mut [f32]),
) {
    let zero = simd.splat_f32s(0.0);
    let (weight, _) = S::as_simd_f32s(weight).0.as_chunks::<V>();
    let (weight, _) = weight.as_chunks::<R>();
    let (weight_gradient, _) = S::as_mut_simd_f32s(weight_gradient).0.as_chunks_mut::<V>();
    let (weight_gradient, _) = weight_gradient.as_chunks_mut::<R>();
    for place in 0..4 {
        for &window in &patches.apart {
            let start = patches.windows[window];
            let gradients = gradients.of_patch(window, place);
            if gradients.is_empty() {
                continue;
            }
            let first = patches.position(tile, start, place);
            let (mut values, mut sums) = ([[zero; V]; R], [[zero; V]; R]);
            let mut row = first;
            for values in &mut values {
                *values = *chunk(S::as_simd_f32s(&image[row..row + V * S::F32_LANES]).0, 0);
                row += patches.row;
            }
            for (channel, gradient) in gradients {
                let (weights, totals) = (&weight[channel], &mut weight_gradient[channel]);
                let gradient = simd.splat_f32s(gradient);
                let rows = sums
                    .iter_mut()
                    .zip(weights)
                    .zip(totals.iter_mut().zip(&values));
                for ((sums, weights), (totals, values)) in rows {
                    let vectors = sums
                        .iter_mut()
                        .zip(weights)
                        .zip(totals.iter_mut().zip(values));
                    for ((sum, &weight), (total, &value)) in vectors {
                        *sum = simd.mul_add_e_f32s(gradient, weight, *sum);
                        *total = simd.mul_add_e_f32s(gradient, value, *total);
                    }
                }
            }
            let mut row = first;
            for sums in sums {
                add_row(simd, sums, &mut in_gradient[row..]);
                row += patches.row;
            }
        }
    }
}

/// Adds the sums of one row of a tile to the image.
#[inline(always)]
pub(super) fn add_row<S: Simd, const V: usize>(simd: S, sums: [S::f32s; V], to: &mut [f32]) {
    let to = S::as_mut_simd_f32s(&mut to[..V * S::F32_LANES]).0;
    for (to, sum) in to.iter_mut().zip(sums) {
        *to = simd.add_f32s(*to, sum);
    }
}
