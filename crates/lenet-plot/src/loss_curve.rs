use std::path::Path;

use lenet_train::EpochMetrics;
use plotters::chart::ChartBuilder;
use plotters::coord::Shift;
use plotters::prelude::{
    Circle, DrawingArea, DrawingBackend, IntoFont, PathElement, RGBColor, SeriesLabelPosition,
    Text, WHITE,
};
use plotters::series::LineSeries;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, ShapeStyle, TextStyle};

use crate::PlotError;
use crate::canvas::{self, Drawing, FONT, failed};

// Blue, orange and grey of Okabe and Ito's palette, told apart by colour-blind readers too.
const TRAINING: RGBColor = RGBColor(0, 114, 178);
const VALIDATION: RGBColor = RGBColor(213, 94, 0);
const LAST_BATCH: RGBColor = RGBColor(150, 150, 150);
const TEXT: RGBColor = RGBColor(40, 40, 40);
const GRID: RGBColor = RGBColor(225, 225, 225);
const WARNING: RGBColor = RGBColor(176, 0, 32);

/// Training loss against epoch: the mean over the images, the last batch's, and the validation
/// loss if there was one.
///
/// See the [crate's documentation](crate) for an example.
#[derive(Clone, Debug)]
pub struct LossCurve<'a> {
    title: String,
    epochs: &'a [EpochMetrics],
    test_accuracy: Option<f64>,
    warning: Option<String>,
}

impl<'a> LossCurve<'a> {
    /// A curve of these epochs under this title.
    pub fn new(title: impl Into<String>, epochs: &'a [EpochMetrics]) -> Self {
        Self {
            title: title.into(),
            epochs,
            test_accuracy: None,
            warning: None,
        }
    }

    /// Tells the accuracy on the test set, from 0 to 1, in the title.
    #[must_use]
    pub fn with_test_accuracy(mut self, accuracy: f64) -> Self {
        self.test_accuracy = Some(accuracy);
        self
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
    /// [`PlotError`] if there are no epochs, the ending is another, or the file cannot be written;
    /// an existing file is then untouched.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), PlotError> {
        canvas::save(self, path.as_ref())
    }

    /// The bytes of a PNG of 1600×1000 pixels.
    ///
    /// # Errors
    ///
    /// [`PlotError`] if there are no epochs.
    pub fn to_png(&self) -> Result<Vec<u8>, PlotError> {
        canvas::to_png(self)
    }

    /// An SVG of 800×500 units.
    ///
    /// # Errors
    ///
    /// [`PlotError`] if there are no epochs.
    pub fn to_svg(&self) -> Result<String, PlotError> {
        canvas::to_svg(self)
    }

    fn curves(&self) -> Vec<Curve> {
        let curve = |name, color, value: fn(&EpochMetrics) -> Option<f64>| Curve {
            name,
            color,
            points: self
                .epochs
                .iter()
                .filter_map(|metrics| Some((metrics.epoch as f64, value(metrics)?)))
                .filter(|(_, loss)| loss.is_finite())
                .collect(),
        };
        [
            curve("last batch of the epoch", LAST_BATCH, |m| {
                Some(m.last_batch_loss)
            }),
            curve("mean training loss", TRAINING, |m| Some(m.mean_loss)),
            curve("validation loss", VALIDATION, |m| m.validation_loss),
        ]
        .into_iter()
        .filter(|curve| !curve.points.is_empty())
        .collect()
    }
}

struct Curve {
    name: &'static str,
    color: RGBColor,
    /// Epoch and loss.
    points: Vec<(f64, f64)>,
}

impl Drawing for LossCurve<'_> {
    fn size(&self) -> (u32, u32) {
        (800, 500)
    }

    fn draw<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        scale: u32,
    ) -> Result<(), PlotError> {
        let epochs = self.epochs.len();
        if epochs == 0 {
            return Err(PlotError::Empty);
        }
        let curves = self.curves();
        let losses = curves
            .iter()
            .flat_map(|curve| curve.points.iter().map(|point| point.1));
        let top = losses.fold(0.0_f64, f64::max) * 1.08;
        let margin = if epochs == 1 {
            0.5
        } else {
            epochs as f64 * 0.02
        };

        let font = |size: u32, style| (FONT, size * scale).into_font().style(style);
        let text =
            |size, style, color: &'static RGBColor| TextStyle::from(font(size, style)).color(color);
        let center = Pos::new(HPos::Center, VPos::Top);

        area.fill(&WHITE).map_err(failed)?;
        let (width, _) = area.dim_in_pixel();
        let middle = (width / 2) as i32;
        let title = match self.test_accuracy {
            Some(accuracy) => format!("{} · test accuracy {accuracy:.3}", self.title),
            None => self.title.clone(),
        };
        let style = text(19, FontStyle::Bold, &TEXT).pos(center);
        area.draw(&Text::new(title, (middle, 14 * scale as i32), style))
            .map_err(failed)?;
        if let Some(warning) = &self.warning {
            let style = text(14, FontStyle::Bold, &WARNING).pos(center);
            let text = Text::new(warning.clone(), (middle, 40 * scale as i32), style);
            area.draw(&text).map_err(failed)?;
        }

        let mut chart = ChartBuilder::on(area)
            .margin(18 * scale)
            .margin_top(if self.warning.is_some() { 66 } else { 46 } * scale)
            .x_label_area_size(44 * scale)
            .y_label_area_size(58 * scale)
            .build_cartesian_2d(1.0 - margin..epochs as f64 + margin, 0.0..top.max(1e-3))
            .map_err(failed)?;
        chart
            .configure_mesh()
            .x_desc("epoch")
            .y_desc("cross-entropy (nats)")
            .axis_desc_style(text(15, FontStyle::Normal, &TEXT))
            .label_style(text(13, FontStyle::Normal, &TEXT))
            .axis_style(TEXT)
            .bold_line_style(GRID)
            .light_line_style(WHITE)
            .x_labels(epochs.min(16))
            .x_label_formatter(&|epoch| match epoch.fract().abs() < 1e-6 {
                true => format!("{epoch:.0}"),
                false => String::new(),
            })
            .y_labels(8)
            .y_label_formatter(&|loss| format!("{loss:.2}"))
            .draw()
            .map_err(failed)?;

        for Curve {
            name,
            color,
            points,
        } in curves
        {
            let line = ShapeStyle::from(color).stroke_width(2 * scale);
            chart
                .draw_series(LineSeries::new(points.iter().copied(), line))
                .map_err(failed)?
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18 * scale as i32, y)], line));
            let dots = points
                .into_iter()
                .map(|point| Circle::new(point, 3 * scale, color.filled()));
            chart.draw_series(dots).map_err(failed)?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .legend_area_size(26 * scale)
            .margin(12 * scale)
            .label_font(text(14, FontStyle::Normal, &TEXT))
            .background_style(WHITE.mix(0.85))
            .border_style(GRID)
            .draw()
            .map_err(failed)
    }
}
