use pulp::Simd;

/// How a 2×2 window becomes one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The largest value.
    Max,
    /// The mean.
    Average,
}

/// The largest of each window's four values and where it is, 0 to 3 in reading order: the first one of
/// equals, and a NaN before everything, as in PyTorch.
#[inline(always)]
pub(crate) fn largest<S: Simd>(simd: S, [a, b, c, d]: [S::f32s; 4]) -> (S::f32s, S::u32s) {
    let (upper, right_of_upper) = larger(simd, a, b);
    let (lower, right_of_lower) = larger(simd, c, d);
    let (best, below) = larger(simd, upper, lower);
    let place = simd.select_u32s(
        below,
        simd.select_u32s(right_of_lower, simd.splat_u32s(3), simd.splat_u32s(2)),
        simd.select_u32s(right_of_upper, simd.splat_u32s(1), simd.splat_u32s(0)),
    );
    (best, place)
}

/// The larger of two values, and whether it is the second.
#[inline(always)]
fn larger<S: Simd>(simd: S, first: S::f32s, second: S::f32s) -> (S::f32s, S::m32s) {
    let larger = simd.greater_than_f32s(second, first);
    let is_nan = simd.not_m32s(simd.equal_f32s(second, second));
    let wins = simd.or_m32s(larger, is_nan);
    (simd.select_f32s(wins, second, first), wins)
}

/// The mean of each window's four values.
#[inline(always)]
pub(crate) fn average<S: Simd>(simd: S, [a, b, c, d]: [S::f32s; 4]) -> S::f32s {
    let sum = simd.add_f32s(simd.add_f32s(a, b), simd.add_f32s(c, d));
    simd.mul_f32s(sum, simd.splat_f32s(0.25))
}
