//! What charts with two axes share: ranges, ticks, grid and legend. The curves are the charts' own.

use plotters::prelude::{DrawingBackend, RGBColor};
use plotters::style::text_anchor::HPos;

use crate::PlotError;
use crate::canvas::{Canvas, Drawn, GRID, INK, Point};
use crate::text::Style;

/// Width and height of a chart with axes, in units.
pub(crate) const SIZE: (u32, u32) = (800, 454);

/// Space around the plotting area, in units.
const LEFT: f64 = 84.0;
const RIGHT: f64 = 18.0;
const BOTTOM: f64 = 66.0;

/// Width of lines that carry data, and of all others.
pub(crate) const THICK: f64 = 2.0;
const THIN: f64 = 0.5;

const TICK: Style = Style::of_size(11.0);
const NAME: Style = Style::of_size(12.5);
const UPWARD: Style = Style {
    upward: true,
    ..NAME
};
const LEGEND: Style = Style::of_size(11.5);

/// The smallest and the largest of the values.
pub(crate) fn extent(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let start = (f64::INFINITY, f64::NEG_INFINITY);
    let widen = |(low, high): (f64, f64), value: f64| (low.min(value), high.max(value));
    values.into_iter().fold(start, widen)
}

/// The range widened on both sides by a part of its length, and at least by `least`.
pub(crate) fn widened((low, high): (f64, f64), part: f64, least: f64) -> (f64, f64) {
    // Relative to the values, too: a margin that is lost in rounding would leave an empty range.
    let margin = ((high - low) * part).max(least).max(high.abs() * 1e-9);
    (low - margin, high + margin)
}

/// The smallest of 1, 2, 5, 10, 20, … (and 0.5, 0.2, 0.1, …) that cuts `length` into at most `most` steps.
fn round_step(length: f64, most: f64) -> f64 {
    let least = length / most;
    let power = 10_f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 5.0].map(|step| step * power);
    // The tolerance keeps rounding errors from doubling a step.
    let fits = |step: &f64| *step >= least * (1.0 - 1e-9);
    steps.into_iter().find(fits).unwrap_or(10.0 * power)
}

/// Decimals that numbers with this distance need to differ.
pub(crate) fn decimals(step: f64) -> usize {
    (-(step * 1.001).log10().floor()).clamp(0.0, 9.0) as usize
}

/// A named axis.
pub(crate) struct Axis {
    pub(crate) name: String,
    pub(crate) range: (f64, f64),
    /// Position and label of each tick.
    pub(crate) ticks: Vec<(f64, String)>,
}

impl Axis {
    /// An axis with ticks at round numbers.
    pub(crate) fn numbers(name: impl Into<String>, range: (f64, f64)) -> Self {
        Self::stepped(name.into(), range, round_step(range.1 - range.0, 8.0))
    }

    /// The axis of epochs 1 to `last`, with ticks at whole numbers.
    pub(crate) fn epochs(last: usize) -> Self {
        let last = last as f64;
        let least = if last > 1.0 { 0.1 } else { 0.5 };
        let range = widened((1.0, last), 0.02, least);
        let mut axis = Self::stepped("epoch".to_owned(), range, round_step(last, 16.0).max(1.0));
        axis.ticks.retain(|(epoch, _)| *epoch >= 1.0);
        axis
    }

    fn stepped(name: String, range: (f64, f64), step: f64) -> Self {
        let decimals = decimals(step);
        let (first, last) = ((range.0 / step).ceil(), (range.1 / step).floor());
        let tick = |index: i64| {
            let value = index as f64 * step;
            (value, format!("{value:.decimals$}"))
        };
        Self {
            name,
            range,
            ticks: (first as i64..=last as i64).map(tick).collect(),
        }
    }

    /// Where a value lies: 0 at the low end, 1 at the high end.
    fn part(&self, value: f64) -> f64 {
        (value - self.range.0) / (self.range.1 - self.range.0)
    }
}

/// An entry of the legend: the radius of its dot, or none for a line, its colour and its text.
pub(crate) struct Entry(
    pub(crate) Option<u32>,
    pub(crate) RGBColor,
    pub(crate) String,
);

/// Axes, grid and legend on a canvas, for the curves of a chart.
pub(crate) struct Axes<'a, B: DrawingBackend> {
    canvas: &'a Canvas<B>,
    x: Axis,
    y: Axis,
    top: f64,
}

impl<'a, B: DrawingBackend> Axes<'a, B> {
    /// Draws legend, grid, ticks and names.
    pub(crate) fn draw(
        canvas: &'a Canvas<B>,
        legend: &[Entry],
        x: Axis,
        y: Axis,
    ) -> Result<Self, PlotError> {
        let top = draw_legend(canvas, legend)?;
        let axes = Self { canvas, x, y, top };
        axes.grid()?;
        Ok(axes)
    }

    /// Where the two values lie on the canvas.
    pub(crate) fn at(&self, (x, y): (f64, f64)) -> Point {
        let (right, bottom) = self.corner();
        let x = LEFT + self.x.part(x) * (right - LEFT);
        (x, bottom - self.y.part(y) * (bottom - self.top))
    }

    /// The lower right corner of the plotting area.
    pub(crate) fn corner(&self) -> Point {
        let (width, height) = self.canvas.size();
        (width - RIGHT, height - BOTTOM)
    }

    /// A line with a dot at each point.
    pub(crate) fn curve(&self, points: &[(f64, f64)], radius: u32, color: RGBColor) -> Drawn {
        let points = points.iter().map(|point| self.at(*point));
        self.canvas.line(points.clone(), THICK, color)?;
        for point in points {
            self.canvas.dot(point, radius, color)?;
        }
        Ok(())
    }

    fn grid(&self) -> Drawn {
        let (right, bottom) = self.corner();
        let low = (self.x.range.0, self.y.range.0);
        for (value, label) in &self.y.ticks {
            let (_, y) = self.at((low.0, *value));
            self.canvas.line([(LEFT, y), (right, y)], THIN, GRID)?;
            self.canvas
                .text(label, (LEFT - 8.0, y), HPos::Right, TICK)?;
        }
        let x_of = |value: f64| self.at((value, low.1)).0;
        // Labels that would touch alternate between two lines.
        let crowded = self.x.ticks.array_windows().any(|[(left, a), (right, b)]| {
            (TICK.width(a) + TICK.width(b)) / 2.0 + 8.0 > (x_of(*right) - x_of(*left)).abs()
        });
        for (index, (value, label)) in self.x.ticks.iter().enumerate() {
            let x = x_of(*value);
            self.canvas.line([(x, self.top), (x, bottom)], THIN, GRID)?;
            let lower = crowded && index % 2 == 1;
            let y = bottom + if lower { 28.0 } else { 13.0 };
            self.canvas.text(label, (x, y), HPos::Center, TICK)?;
        }
        let corner = [(LEFT, self.top), (LEFT, bottom), (right, bottom)];
        self.canvas.line(corner, THIN, INK)?;
        let middle = ((LEFT + right) / 2.0, (self.top + bottom) / 2.0);
        let below = (middle.0, bottom + 48.0);
        self.canvas.text(&self.x.name, below, HPos::Center, NAME)?;
        let beside = (22.0, middle.1);
        self.canvas.text(&self.y.name, beside, HPos::Center, UPWARD)
    }
}

/// Draws the entries in centred lines at the top; returns where the lines end.
fn draw_legend<B: DrawingBackend>(canvas: &Canvas<B>, entries: &[Entry]) -> Result<f64, PlotError> {
    const MARK: f64 = 26.0;
    const LINE: f64 = 20.0;
    let (width, _) = canvas.size();
    let mut lines: Vec<(f64, Vec<(f64, &Entry)>)> = vec![(0.0, Vec::new())];
    for entry in entries {
        let needed = MARK + LEGEND.width(&entry.2) + 22.0;
        match lines.last_mut() {
            Some((end, line)) if *end + needed < 0.9 * width => {
                line.push((*end, entry));
                *end += needed;
            }
            _ => lines.push((needed, vec![(0.0, entry)])),
        }
    }
    let mut y = 6.0;
    for (end, line) in lines {
        for (offset, Entry(radius, color, words)) in line {
            let x = (width - end) / 2.0 + 11.0 + offset;
            match radius {
                Some(radius) => canvas.dot((x + 12.0, y), *radius, *color)?,
                None => canvas.line([(x, y), (x + 19.0, y)], THICK, *color)?,
            }
            canvas.text(words, (x + MARK, y), HPos::Left, LEGEND)?;
        }
        y += LINE;
    }
    Ok(y)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_and_their_labels_differ() {
        for (range, expected) in [
            ((0.0, 2.3), ["0.0", "0.5", "1.0", "1.5", "2.0"].as_slice()),
            (
                (0.881, 0.889),
                [
                    "0.881", "0.882", "0.883", "0.884", "0.885", "0.886", "0.887", "0.888", "0.889",
                ]
                .as_slice(),
            ),
            (
                (-1.0, 79.0),
                ["0", "10", "20", "30", "40", "50", "60", "70"].as_slice(),
            ),
        ] {
            let axis = Axis::numbers("", range);
            assert_eq!(labels(&axis), expected, "{range:?}");
        }
    }

    #[test]
    fn epochs_are_whole_numbers() {
        assert_eq!(labels(&Axis::epochs(1)), ["1"]);
        assert_eq!(labels(&Axis::epochs(2)), ["1", "2"]);
        assert_eq!(labels(&Axis::epochs(16)).len(), 16);
        assert_eq!(labels(&Axis::epochs(60)).last(), Some(&"60"));
        assert_eq!(labels(&Axis::epochs(60)).first(), Some(&"5"));
    }
}
