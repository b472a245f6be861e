use std::path::Path;

use lenet_train::sweep::{Scale, SettingResult, SweepResult};
use plotters::chart::ChartBuilder;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::prelude::{
    Circle, DrawingArea, DrawingBackend, EmptyElement, PathElement, RGBColor, Ranged, Text, WHITE,
};
use plotters::series::LineSeries;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, ShapeStyle};

use crate::PlotError;
use crate::canvas::{self, Drawing, failed};
use crate::style::{BLUE, GRID, Heading, TEXT, VERMILION, WARNING, text};

/// Accuracy of each setting of a sweep: the mean over its seeds, one standard deviation to both
/// sides, and every seed as a dot. A setting without a result, or one that lacks trials, is marked as such.
///
/// ```
/// use lenet_plot::SweepChart;
/// use lenet_train::sweep::SweepResult;
///
/// let result: SweepResult = serde_json::from_value(serde_json::json!({
///     "name": "kernels", "parameter": "kernel size", "scale": "linear", "held_out": "test",
///     "dataset": "fashion-mnist", "synthetic": false,
///     "settings": [{ "label": "3", "x": 3.0, "parameters": 61_000, "trials": [] }],
/// }))?;
/// let svg = SweepChart::new("Kernel sizes", &result).to_svg()?;
/// assert!(svg.contains("no result"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SweepChart<'a> {
    title: String,
    result: &'a SweepResult,
    warning: Option<String>,
}

impl<'a> SweepChart<'a> {
    /// A chart of this result under this title.
    pub fn new(title: impl Into<String>, result: &'a SweepResult) -> Self {
        Self {
            title: title.into(),
            result,
            warning: None,
        }
    }

    /// Sets a line in red under the title, for what nobody may overlook.
    #[must_use]
    pub fn with_warning(mut self, warning: impl Into<String>) -> Self {
        self.warning = Some(warning.into());
        self
    }

    /// Writes a PNG or an SVG, as the name's ending says.
    ///
    /// # Errors
    ///
    /// [`PlotError`] if the sweep has no settings, the ending is another, or the file cannot be
    /// written; an existing file is then untouched.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), PlotError> {
        canvas::save(self, path.as_ref())
    }

    /// The bytes of a PNG of 1600×1000 pixels.
    ///
    /// # Errors
    ///
    /// [`PlotError`] if the sweep has no settings.
    pub fn to_png(&self) -> Result<Vec<u8>, PlotError> {
        canvas::to_png(self)
    }

    /// An SVG of 800×500 units.
    ///
    /// # Errors
    ///
    /// [`PlotError`] if the sweep has no settings.
    pub fn to_svg(&self) -> Result<String, PlotError> {
        canvas::to_svg(self)
    }

    /// Each setting with its place along the axis.
    fn places(&self) -> Vec<(f64, &SettingResult)> {
        let settings = self.result.settings.iter().enumerate();
        settings
            .map(|(index, setting)| {
                let place = match self.result.scale {
                    Scale::Linear => setting.x,
                    Scale::Logarithmic => setting.x.log10(),
                    _ => index as f64,
                };
                (place, setting)
            })
            .collect()
    }
}

/// The smallest and largest of the values, with some room around them.
pub(crate) fn range(values: impl Iterator<Item = f64>, room: f64, least: f64) -> (f64, f64) {
    let (low, high) = values
        .filter(|value| value.is_finite())
        .fold((f64::MAX, f64::MIN), |(low, high), value| {
            (low.min(value), high.max(value))
        });
    if low > high {
        return (0.0, 1.0);
    }
    let margin = ((high - low) * room).max(least);
    (low - margin, high + margin)
}

/// Digits after the point that tell the ticks of such a range apart.
pub(crate) fn digits((low, high): (f64, f64)) -> usize {
    match high - low {
        range if range > 0.15 => 2,
        range if range > 0.012 => 3,
        _ => 4,
    }
}

/// An axis whose ticks are the settings.
struct Places {
    ticks: Vec<f64>,
    range: (f64, f64),
}

impl Ranged for Places {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let part = (value - self.range.0) / (self.range.1 - self.range.0);
        from + (part * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.range.0..self.range.1
    }
}

impl Drawing for SweepChart<'_> {
    fn size(&self) -> (u32, u32) {
        (800, 500)
    }

    fn draw<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        scale: u32,
    ) -> Result<(), PlotError> {
        let places = self.places();
        if places.is_empty() {
            return Err(PlotError::Empty);
        }
        let x = range(places.iter().map(|(place, _)| *place), 0.12, 0.5);
        let accuracies = places.iter().flat_map(|(_, setting)| {
            let each = setting.accuracies();
            each.into_iter().chain(bar(setting).into_iter().flatten())
        });
        let y = range(accuracies, 0.12, 0.002);
        let y_digits = digits(y);

        let top_margin = Heading {
            title: &self.title,
            warning: self.warning.as_deref(),
        }
        .draw(area, scale)?;
        let text = |size: u32| text(size * scale, FontStyle::Normal, &TEXT);
        let label_of = |place: &f64| {
            let near = places.iter().find(|(at, _)| (at - place).abs() < 1e-9);
            near.map_or(String::new(), |(_, setting)| setting.label.clone())
        };
        let axis = Places {
            ticks: places.iter().map(|(place, _)| *place).collect(),
            range: x,
        };
        let mut chart = ChartBuilder::on(area)
            .margin(18 * scale)
            .margin_top(top_margin + 22 * scale)
            .x_label_area_size(48 * scale)
            .y_label_area_size(66 * scale)
            .build_cartesian_2d(axis, y.0..y.1)
            .map_err(failed)?;
        chart
            .configure_mesh()
            .x_desc(self.result.parameter.clone())
            .y_desc(format!("{} accuracy", self.result.held_out))
            .axis_desc_style(text(15))
            .label_style(text(13))
            .axis_style(TEXT)
            .bold_line_style(GRID)
            .light_line_style(WHITE)
            .x_label_formatter(&label_of)
            .y_labels(8)
            .y_label_formatter(&|accuracy| format!("{accuracy:.y_digits$}"))
            .draw()
            .map_err(failed)?;

        let means: Vec<(f64, f64)> = places
            .iter()
            .filter_map(|(place, setting)| Some((*place, setting.mean()?)))
            .collect();
        let line = |color: RGBColor| ShapeStyle::from(color).stroke_width(2 * scale);
        if self.result.scale != Scale::Categories {
            let faint = ShapeStyle::from(BLUE.mix(0.4)).stroke_width(2 * scale);
            chart
                .draw_series(LineSeries::new(means.iter().copied(), faint))
                .map_err(failed)?;
        }
        let pixels = |units: u32| (units * scale) as i32;
        for (place, setting) in &places {
            let Some(bar) = bar(setting) else { continue };
            let ends = bar.map(|end| (*place, end));
            chart
                .draw_series([PathElement::new(ends, line(BLUE))])
                .map_err(failed)?;
            let cap = |end| {
                let cap = [(-pixels(7), 0), (pixels(7), 0)];
                EmptyElement::at(end) + PathElement::new(cap, line(BLUE))
            };
            chart.draw_series(ends.map(cap)).map_err(failed)?;
        }
        let dots = means
            .iter()
            .map(|&mean| Circle::new(mean, 5 * scale, BLUE.filled()));
        chart.draw_series(dots).map_err(failed)?;
        // Beside the mean, so that neither hides the other.
        let seeds = places.iter().flat_map(|(place, setting)| {
            let dot = |accuracy| {
                let beside = (pixels(14), 0);
                EmptyElement::at((*place, accuracy)) + Circle::new(beside, 3 * scale, seed_style())
            };
            let accuracies = setting.accuracies();
            accuracies.into_iter().map(dot).collect::<Vec<_>>()
        });
        chart.draw_series(seeds).map_err(failed)?;
        let marks = places.iter().filter_map(|(place, setting)| {
            let mark = match setting.mean() {
                None => "no result",
                Some(_) if setting.is_complete() => return None,
                Some(_) => "incomplete",
            };
            Some((*place, mark))
        });
        let style = crate::style::text(13 * scale, FontStyle::Bold, &WARNING)
            .pos(Pos::new(HPos::Center, VPos::Bottom));
        let bottom = y.0 + (y.1 - y.0) * 0.02;
        let marks = marks.map(|(place, mark)| Text::new(mark, (place, bottom), style.clone()));
        chart.draw_series(marks).map_err(failed)?;
        legend(area, scale, top_margin)
    }
}

/// One standard deviation to both sides of the mean, as far as there are such accuracies.
fn bar(setting: &SettingResult) -> Option<[f64; 2]> {
    let (mean, deviation) = (setting.mean()?, setting.standard_deviation()?);
    Some([mean - deviation, mean + deviation].map(|end| end.clamp(0.0, 1.0)))
}

fn seed_style() -> ShapeStyle {
    VERMILION.mix(0.8).filled()
}

/// Says below the heading what the dots are.
fn legend<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    scale: u32,
    top: u32,
) -> Result<(), PlotError> {
    let (width, _) = area.dim_in_pixel();
    let units = |units: i32| units * scale as i32;
    let (middle, y) = ((width / 2) as i32, top as i32 + units(8));
    let entries = [
        (-150, 5, BLUE.filled(), "mean ± standard deviation"),
        (70, 3, seed_style(), "one seed"),
    ];
    for (offset, radius, style, words) in entries {
        let x = middle + units(offset);
        area.draw(&Circle::new((x, y), radius * scale, style))
            .map_err(failed)?;
        let style =
            text(13 * scale, FontStyle::Normal, &TEXT).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw(&Text::new(words, (x + units(12), y), style))
            .map_err(failed)?;
    }
    Ok(())
}
