use std::path::Path;

use lenet_train::sweep::{SettingResult, SweepResult};
use plotters::chart::ChartBuilder;
use plotters::coord::Shift;
use plotters::prelude::{
    DrawingArea, DrawingBackend, PathElement, Polygon, SeriesLabelPosition, WHITE,
};
use plotters::series::LineSeries;
use plotters::style::{Color, FontStyle, ShapeStyle};

use crate::PlotError;
use crate::canvas::{self, Drawing, failed};
use crate::style::{GRID, Heading, TEXT, line_color, text};
use crate::sweep_chart::{digits, range};

/// Accuracy against epoch, a line for each setting of a sweep: the mean over its seeds, and a band
/// from the lowest of them to the highest. The legend says which settings lack trials.
#[derive(Clone, Debug)]
pub struct AccuracyCurves<'a> {
    title: String,
    result: &'a SweepResult,
    warning: Option<String>,
}

impl<'a> AccuracyCurves<'a> {
    /// Curves of this result under this title.
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
    /// [`PlotError`] if no training finished an epoch, the ending is another, or the file cannot
    /// be written; an existing file is then untouched.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), PlotError> {
        canvas::save(self, path.as_ref())
    }

    /// The bytes of a PNG of 1600×1000 pixels.
    ///
    /// # Errors
    ///
    /// [`PlotError`] if no training finished an epoch.
    pub fn to_png(&self) -> Result<Vec<u8>, PlotError> {
        canvas::to_png(self)
    }

    /// An SVG of 800×500 units.
    ///
    /// # Errors
    ///
    /// [`PlotError`] if no training finished an epoch.
    pub fn to_svg(&self) -> Result<String, PlotError> {
        canvas::to_svg(self)
    }
}

/// The points of one line.
struct Curve {
    label: String,
    /// Epoch, then lowest, mean and highest accuracy.
    points: Vec<(f64, [f64; 3])>,
}

fn curve(setting: &SettingResult) -> Curve {
    let lengths = setting.results().map(|trial| trial.epochs.len());
    let points = (1..=lengths.max().unwrap_or(0)).filter_map(|epoch| {
        let accuracies = setting
            .results()
            .filter_map(|trial| trial.accuracy_after(epoch));
        let (low, high) = accuracies.fold((f64::MAX, f64::MIN), |(low, high), accuracy| {
            (low.min(accuracy), high.max(accuracy))
        });
        Some((epoch as f64, [low, setting.mean_after(epoch)?, high]))
    });
    Curve {
        label: match setting.is_complete() {
            true => setting.label.clone(),
            false => format!("{} (incomplete)", setting.label),
        },
        points: points.collect(),
    }
}

impl Drawing for AccuracyCurves<'_> {
    fn size(&self) -> (u32, u32) {
        (800, 500)
    }

    fn draw<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        scale: u32,
    ) -> Result<(), PlotError> {
        let curves: Vec<Curve> = self.result.settings.iter().map(curve).collect();
        let points = || curves.iter().flat_map(|curve| &curve.points);
        if points().next().is_none() {
            return Err(PlotError::Empty);
        }
        let x = range(points().map(|point| point.0), 0.02, 0.5);
        let y = range(points().flat_map(|(_, range)| *range), 0.05, 0.002);
        let y_digits = digits(y);
        let top_margin = Heading {
            title: &self.title,
            warning: self.warning.as_deref(),
        }
        .draw(area, scale)?;
        let text = |size: u32| text(size * scale, FontStyle::Normal, &TEXT);
        let mut chart = ChartBuilder::on(area)
            .margin(18 * scale)
            .margin_top(top_margin)
            .x_label_area_size(44 * scale)
            .y_label_area_size(66 * scale)
            .build_cartesian_2d(x.0..x.1, y.0..y.1)
            .map_err(failed)?;
        chart
            .configure_mesh()
            .x_desc("epoch")
            .y_desc(format!("{} accuracy", self.result.held_out))
            .axis_desc_style(text(15))
            .label_style(text(13))
            .axis_style(TEXT)
            .bold_line_style(GRID)
            .light_line_style(WHITE)
            .x_labels(16)
            .x_label_formatter(&|epoch| match epoch.fract().abs() < 1e-6 {
                true => format!("{epoch:.0}"),
                false => String::new(),
            })
            .y_labels(8)
            .y_label_formatter(&|accuracy| format!("{accuracy:.y_digits$}"))
            .draw()
            .map_err(failed)?;

        for (index, Curve { label, points }) in curves.into_iter().enumerate() {
            let color = line_color(index);
            let band = points.iter().map(|(x, [_, _, high])| (*x, *high));
            let back = points.iter().rev().map(|(x, [low, ..])| (*x, *low));
            let band: Vec<(f64, f64)> = band.chain(back).collect();
            if points.len() > 1 {
                chart
                    .draw_series([Polygon::new(band, color.mix(0.15).filled())])
                    .map_err(failed)?;
            }
            let line = ShapeStyle::from(color).stroke_width(2 * scale);
            let dots = points.iter().map(|(x, [_, mean, _])| (*x, *mean));
            chart
                .draw_series(LineSeries::new(dots, line.filled()).point_size(2 * scale))
                .map_err(failed)?
                .label(label)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18 * scale as i32, y)], line));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .legend_area_size(26 * scale)
            .margin(12 * scale)
            .label_font(text(13))
            .background_style(WHITE.mix(0.85))
            .border_style(GRID)
            .draw()
            .map_err(failed)
    }
}
