use crate::Activation;

/// How a 2×2 window becomes one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The largest value.
    Max,
    /// The mean.
    Average,
}

/// Two rows of a map and the row of windows over them.
#[inline(always)]
fn windows<'a>(upper: &'a [f32], lower: &'a [f32]) -> impl Iterator<Item = [f32; 4]> + 'a {
    let (upper, _) = upper.as_chunks::<2>();
    let (lower, _) = lower.as_chunks::<2>();
    upper
        .iter()
        .zip(lower)
        .map(|(&[a, b], &[c, d])| [a, b, c, d])
}

/// The largest value of each window and where it is, 0 to 3 in reading order; the first one of
/// equals, and a NaN before everything, as in PyTorch.
#[inline(always)]
pub(crate) fn max_row(upper: &[f32], lower: &[f32], output: &mut [f32], winners: &mut [u8]) {
    for ((window, output), winner) in windows(upper, lower).zip(output).zip(winners) {
        let [first, ..] = window;
        let (mut best, mut position) = (first, 0);
        for (i, value) in window.into_iter().enumerate().skip(1) {
            let better = value > best || (value.is_nan() && !best.is_nan());
            best = if better { value } else { best };
            position = if better { i as u8 } else { position };
        }
        (*output, *winner) = (best, position);
    }
}

/// The mean of each window.
#[inline(always)]
pub(crate) fn average_row(upper: &[f32], lower: &[f32], output: &mut [f32]) {
    for ([a, b, c, d], output) in windows(upper, lower).zip(output) {
        *output = (a + b + c + d) * 0.25;
    }
}

/// Gives each window's gradient to its winner.
#[inline(always)]
pub(crate) fn max_row_gradient(
    activation: Activation,
    outputs: &[f32],
    gradients: &[f32],
    winners: &[u8],
    upper: &mut [f32],
    lower: &mut [f32],
) {
    let (upper, _) = upper.as_chunks_mut::<2>();
    let (lower, _) = lower.as_chunks_mut::<2>();
    let rows = upper.iter_mut().zip(lower);
    let pooled = outputs.iter().zip(gradients).zip(winners);
    for (([a, b], [c, d]), ((&output, &gradient), &winner)) in rows.zip(pooled) {
        let gradient = gradient * activation.slope(output);
        *a = if winner == 0 { gradient } else { 0.0 };
        *b = if winner == 1 { gradient } else { 0.0 };
        *c = if winner == 2 { gradient } else { 0.0 };
        *d = if winner == 3 { gradient } else { 0.0 };
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
