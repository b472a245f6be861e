use pulp::Simd;

use crate::Activation;

/// How a 2×2 window becomes one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The largest value.
    Max,
    /// The mean.
    Average,
}

/// Positions of a row that are compared at a time; every second one begins a window.
pub(crate) const POSITIONS: usize = 16;

/// The largest value of each of `count` windows and where it is, 0 to 3 in reading order; the first
/// one of equals, and a NaN before everything, as in PyTorch.
///
/// `upper` and `lower` begin with the two rows and must go on for a few values beyond their ends:
/// windows are formed at every position, which vectors do faster than picking every second one. For
/// the same reason a few values after the row's are written in `output` and `winners`, if they go on;
/// rows must be computed in order.
#[inline(always)]
pub(crate) fn max_row<S: Simd>(
    simd: S,
    upper: &[f32],
    lower: &[f32],
    count: usize,
    output: &mut [f32],
    winners: &mut [u8],
) {
    const WINDOWS: usize = POSITIONS / 2;
    for first in (0..count).step_by(WINDOWS) {
        let start = 2 * first;
        let (Some(a), Some(b), Some(c), Some(d)) = (
            positions(upper, start),
            positions(upper, start + 1),
            positions(lower, start),
            positions(lower, start + 1),
        ) else {
            return;
        };
        let mut best = [0.0; POSITIONS];
        let mut winner = [0; POSITIONS];
        let [a, b, c, d] = [a, b, c, d].map(|row| S::as_simd_f32s(row).0);
        let windows = a.iter().zip(b).zip(c).zip(d);
        let results = S::as_mut_simd_f32s(&mut best).0.iter_mut();
        let results = results.zip(S::as_mut_simd_u32s(&mut winner).0);
        for ((((&a, &b), &c), &d), (best, winner)) in windows.zip(results) {
            let index = [0, 1, 2, 3].map(|index| simd.splat_u32s(index));
            let upper = better(simd, (a, index[0]), (b, index[1]));
            let lower = better(simd, (c, index[2]), (d, index[3]));
            (*best, *winner) = better(simd, upper, lower);
        }
        let best: [f32; WINDOWS] = every_second(&best, |value| value);
        let winner: [u8; WINDOWS] = every_second(&winner, |winner: u32| winner as u8);
        write(
            output.get_mut(first..).unwrap_or_default(),
            best,
            count - first,
        );
        write(
            winners.get_mut(first..).unwrap_or_default(),
            winner,
            count - first,
        );
    }
}

/// The first value of each pair.
#[inline(always)]
fn every_second<T: Copy, U, const N: usize>(
    values: &[T; POSITIONS],
    convert: impl Fn(T) -> U,
) -> [U; N] {
    let (pairs, _) = values.as_chunks::<2>();
    std::array::from_fn(|i| match pairs.get(i) {
        Some(&[first, _]) => convert(first),
        None => convert(values[0]),
    })
}

/// Writes all values where there is room, else only those that are wanted.
#[inline(always)]
fn write<T: Copy, const N: usize>(out: &mut [T], values: [T; N], wanted: usize) {
    match out.first_chunk_mut::<N>() {
        Some(out) => *out = values,
        None => out
            .iter_mut()
            .zip(values)
            .take(wanted)
            .for_each(|(out, value)| *out = value),
    }
}

#[inline(always)]
fn positions(row: &[f32], start: usize) -> Option<&[f32; POSITIONS]> {
    row.get(start..).and_then(<[f32]>::first_chunk)
}

/// Of two values with their positions the larger one; the first of equals.
#[inline(always)]
fn better<S: Simd>(
    simd: S,
    (first, first_position): (S::f32s, S::u32s),
    (second, second_position): (S::f32s, S::u32s),
) -> (S::f32s, S::u32s) {
    let larger = simd.greater_than_f32s(second, first);
    let second_is_number = simd.equal_f32s(second, second);
    let first_is_number = simd.equal_f32s(first, first);
    let only_second_is_nan = simd.and_m32s(simd.not_m32s(second_is_number), first_is_number);
    let wins = simd.or_m32s(larger, only_second_is_nan);
    (
        simd.select_f32s(wins, second, first),
        simd.select_u32s(wins, second_position, first_position),
    )
}

/// The mean of each window.
#[inline(always)]
pub(crate) fn average_row(upper: &[f32], lower: &[f32], output: &mut [f32]) {
    let (upper, _) = upper.as_chunks::<2>();
    let (lower, _) = lower.as_chunks::<2>();
    for ((&[a, b], &[c, d]), output) in upper.iter().zip(lower).zip(output) {
        *output = (a + b + c + d) * 0.25;
    }
}

/// Gives each value of a window a quarter of its gradient, times its slope.
#[inline(always)]
pub(crate) fn average_row_gradient(
    activation: Activation,
    gradients: &[f32],
    activations: &[f32],
    row: &mut [f32],
) {
    let (row, _) = row.as_chunks_mut::<2>();
    let (activations, _) = activations.as_chunks::<2>();
    for ((pair, values), gradient) in row.iter_mut().zip(activations).zip(gradients) {
        *pair = values.map(|value| 0.25 * gradient * activation.slope(value));
    }
}
