//! The SIMD levels of the machine, aligned memory for their vectors, results that several threads write, and
//! the few loads and sums that pulp lacks. Nothing here knows of layers.

#![expect(
    clippy::indexing_slicing,
    reason = "lengths follow from a layer's shapes, so an index out of bounds is a bug that must panic"
)]

mod aligned;
mod level;
mod transpose;
mod unfilled;

use std::ops::Range;

use pulp::Simd;

pub(crate) use aligned::Aligned;
pub use level::SimdLevel;
pub(crate) use level::{Vectors, for_tile, has_many_registers};
pub(crate) use transpose::{fours, transpose};
pub(crate) use unfilled::{Part, Unfilled};

/// Lanes of the widest vector.
pub(crate) const LANES: usize = 16;

/// Splits `0..count` into the fewest ranges of at most `most`, as even as possible.
pub(crate) fn parts(count: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    let parts = count.div_ceil(most);
    (0..parts).map(move |part| part * count / parts..(part + 1) * count / parts)
}

/// The `N` values from `at`.
// These panic with a fixed message: one that formats its arguments would keep them in registers or memory, which
// inner loops cannot afford.
#[inline(always)]
pub(crate) fn chunk<T, const N: usize>(values: &[T], at: usize) -> &[T; N] {
    match values.get(at..at + N).and_then(<[T]>::first_chunk) {
        Some(chunk) => chunk,
        None => unreachable!("a chunk reaches beyond the end of its slice"),
    }
}

/// [`chunk`] of a mutable slice.
#[inline(always)]
pub(crate) fn chunk_mut<T, const N: usize>(values: &mut [T], at: usize) -> &mut [T; N] {
    match values.get_mut(at..at + N).and_then(<[T]>::first_chunk_mut) {
        Some(chunk) => chunk,
        None => unreachable!("a chunk reaches beyond the end of its slice"),
    }
}

/// The vector of the values from `at`.
#[inline(always)]
pub(crate) fn load<S: Simd>(values: &[f32], at: usize) -> S::f32s {
    match values.get(at..at + S::F32_LANES) {
        Some(values) => S::as_simd_f32s(values).0[0],
        None => unreachable!("a vector reaches beyond the end of its slice"),
    }
}

/// The sum of all values, in an order that depends on the SIMD level alone.
#[inline(always)]
pub(crate) fn sum<S: Simd>(simd: S, values: &[f32]) -> f32 {
    let (vectors, rest) = S::as_simd_f32s(values);
    let (fours, single) = vectors.as_chunks::<4>();
    let mut sums = [simd.splat_f32s(0.0); 4];
    for four in fours {
        for (sum, &vector) in sums.iter_mut().zip(four) {
            *sum = simd.add_f32s(*sum, vector);
        }
    }
    let [a, b, c, d] = sums;
    let mut total = simd.add_f32s(simd.add_f32s(a, b), simd.add_f32s(c, d));
    for &vector in single {
        total = simd.add_f32s(total, vector);
    }
    simd.reduce_sum_f32s(total) + rest.iter().sum::<f32>()
}
