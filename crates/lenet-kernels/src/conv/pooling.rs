//! The poolings, and their computation on the four vectors of a window.

use std::fmt;

use pulp::Simd;

/// How each 2×2 window, stride 2, becomes one value; an odd last row or column is dropped.
// Exhaustive for the same reason as `Activation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Pooling {
    /// The mean of the window.
    Average,
    /// The largest value of the window.
    Max,
}

impl fmt::Display for Pooling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Average => "average pooling",
            Self::Max => "max pooling",
        })
    }
}

/// The maximum of each window's four values and its argmax, 0 to 3 in reading order. As in PyTorch, the first
/// of equal values counts, and NaN is larger than any number.
#[inline(always)]
pub(super) fn max<S: Simd>(simd: S, [a, b, c, d]: [S::f32s; 4]) -> (S::f32s, S::u32s) {
    let (upper, upper_is_b) = larger(simd, a, b);
    let (lower, lower_is_d) = larger(simd, c, d);
    let (max, is_lower) = larger(simd, upper, lower);
    let argmax = simd.select_u32s(
        is_lower,
        simd.select_u32s(lower_is_d, simd.splat_u32s(3), simd.splat_u32s(2)),
        simd.select_u32s(upper_is_b, simd.splat_u32s(1), simd.splat_u32s(0)),
    );
    (max, argmax)
}

/// The larger of two values, and whether that is the second.
#[inline(always)]
fn larger<S: Simd>(simd: S, first: S::f32s, second: S::f32s) -> (S::f32s, S::m32s) {
    let is_larger = simd.greater_than_f32s(second, first);
    let is_nan = simd.not_m32s(simd.equal_f32s(second, second));
    let is_second = simd.or_m32s(is_larger, is_nan);
    (simd.select_f32s(is_second, second, first), is_second)
}

/// The mean of each window's four values.
#[inline(always)]
pub(super) fn average<S: Simd>(simd: S, [a, b, c, d]: [S::f32s; 4]) -> S::f32s {
    let sum = simd.add_f32s(simd.add_f32s(a, b), simd.add_f32s(c, d));
    simd.mul_f32s(sum, simd.splat_f32s(0.25))
}
