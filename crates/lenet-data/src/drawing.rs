//! Drawings, scaled by their ink and centred by its mass like the digits of MNIST.

/// Longer side of the scaled ink as a fraction of the image's side: 20 of MNIST's 28 pixels.
const BOX: f64 = 20.0 / 28.0;

/// Tolerance for the rounding of lengths, in pixels.
const ROUNDING: f64 = 1e-6;

/// Scales and centres a drawing, `[height, width]`. The rule is that of
/// [`Picture::from_drawing`](crate::Picture::from_drawing); no side may be 0.
pub(crate) fn normalise(grey: &[u8], width: usize, image_size: [usize; 2]) -> Vec<u8> {
    let [image_height, image_width] = image_size;
    let mut image = vec![0; image_height * image_width];
    let Some(ink) = ink(grey, width) else {
        return image;
    };
    let patch = Patch::new(grey, width, &ink, image_size);
    let [top, left] = patch.place(image_size);
    let rows = image.chunks_exact_mut(image_width).skip(top);
    for (to, from) in rows.zip(patch.values.chunks_exact(patch.width)) {
        for (to, from) in to.iter_mut().skip(left).zip(from) {
            *to = from.round() as u8;
        }
    }
    image
}

/// The smallest box around all pixels above 0: first and last row, first and last column.
struct Ink {
    rows: [usize; 2],
    columns: [usize; 2],
}

/// Where the ink is, unless there is none.
fn ink(grey: &[u8], width: usize) -> Option<Ink> {
    let mut found: Option<Ink> = None;
    for (row, pixels) in grey.chunks_exact(width).enumerate() {
        let first = pixels.iter().position(|&pixel| pixel > 0);
        let last = pixels.iter().rposition(|&pixel| pixel > 0);
        let (Some(first), Some(last)) = (first, last) else {
            continue;
        };
        let ink = found.get_or_insert(Ink {
            rows: [row, row],
            columns: [first, last],
        });
        let ([top, _], [left, right]) = (ink.rows, ink.columns);
        *ink = Ink {
            rows: [top, row],
            columns: [left.min(first), right.max(last)],
        };
    }
    found
}

/// The ink at the scale of the image.
struct Patch {
    /// `[height, width]`, from 0 to 255.
    values: Vec<f64>,
    width: usize,
}

impl Patch {
    fn new(grey: &[u8], width: usize, ink: &Ink, image_size: [usize; 2]) -> Self {
        let len = |[first, last]: [usize; 2]| last - first + 1;
        let [fit_height, fit_width] = image_size.map(|side| (side as f64 * BOX).round().max(1.0));
        let scale = f64::min(
            fit_height / len(ink.rows) as f64,
            fit_width / len(ink.columns) as f64,
        );
        let rows = covered(ink.rows, scale);
        let columns = covered(ink.columns, scale);
        let mut values = Vec::with_capacity(rows.len() * columns.len());
        for row in &rows {
            for column in &columns {
                let pixels = grey.chunks_exact(width).skip(row.first);
                let rows = pixels.zip(&row.weights).map(|(pixels, weight)| {
                    let pixels = pixels.iter().skip(column.first).zip(&column.weights);
                    let pixels = pixels.map(|(&pixel, weight)| weight * f64::from(pixel));
                    weight * pixels.sum::<f64>()
                });
                values.push(rows.sum());
            }
        }
        brighten(&mut values, grey);
        Self {
            values,
            width: columns.len(),
        }
    }

    /// Top and left of the patch in the image: the pixel with its centre of mass comes to lie in the middle, unless
    /// ink would be cut off.
    fn place(&self, image_size: [usize; 2]) -> [usize; 2] {
        let [mut mass, mut down, mut right] = [0.0; 3];
        for (row, values) in self.values.chunks_exact(self.width).enumerate() {
            for (column, value) in values.iter().enumerate() {
                mass += value;
                down += value * (row as f64 + 0.5);
                right += value * (column as f64 + 0.5);
            }
        }
        let start = |side: usize, patch: usize, moment: f64| {
            let centre = (moment / mass + ROUNDING) as usize;
            let free = side.saturating_sub(patch);
            (side / 2).saturating_sub(centre).min(free)
        };
        let [height, width] = image_size;
        [
            start(height, self.values.len() / self.width, down),
            start(width, self.width, right),
        ]
    }
}

/// The part of a side that a pixel of the image covers.
struct Covered {
    /// The first pixel of the drawing.
    first: usize,
    /// Of it and the next ones, the share of the image's pixel.
    weights: Vec<f64>,
}

/// What each pixel of the image covers of a side of the ink, from `first` to `last`. The outermost two share what the
/// side lacks of whole pixels.
fn covered([first, last]: [usize; 2], scale: f64) -> Vec<Covered> {
    let len = (last - first + 1) as f64;
    let scaled = len * scale;
    let count = (scaled - ROUNDING).ceil().max(1.0);
    let margin = (count - scaled) / 2.0;
    (0..count as usize)
        .map(|pixel| {
            let at = |pixel: usize| ((pixel as f64 - margin) / scale).clamp(0.0, len);
            let (start, end) = (at(pixel), at(pixel + 1));
            let pixels = start as usize..(end.ceil() as usize);
            let weights = pixels.clone().map(|pixel| {
                let covered = end.min(pixel as f64 + 1.0) - start.max(pixel as f64);
                covered * scale
            });
            Covered {
                first: first + pixels.start,
                weights: weights.collect(),
            }
        })
        .collect()
}

/// Makes the brightest value as bright as the brightest pixel of the drawing: the mean over a pixel that a thin line
/// only crosses is dark.
fn brighten(values: &mut [f64], grey: &[u8]) {
    let brightest = values.iter().copied().fold(0.0, f64::max);
    let factor = f64::from(grey.iter().copied().max().unwrap_or(0)) / brightest;
    for value in values {
        *value *= factor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pixel_of_the_ink_is_shared_out_completely() {
        for (len, scale) in [
            (20, 1.0),
            (280, 1.0 / 14.0),
            (7, 20.0 / 7.0),
            (13, 0.3),
            (1, 20.0),
            (1, 0.01),
        ] {
            let mut shares = vec![0.0; len];
            let covered = covered([5, 5 + len - 1], scale);
            assert_eq!(covered.len(), (len as f64 * scale - 1e-9).ceil() as usize);
            for pixel in covered {
                let sum: f64 = pixel.weights.iter().sum();
                assert!(sum <= 1.0 + 1e-9, "{sum} of a pixel");
                for (share, weight) in shares.iter_mut().skip(pixel.first - 5).zip(pixel.weights) {
                    *share += weight;
                }
            }
            assert!(
                shares.iter().all(|share| (share - scale).abs() < 1e-9),
                "{shares:?}"
            );
        }
    }
}
