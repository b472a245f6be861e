use std::path::Path;

use lenet_train::EpochMetrics;
use plotters::chart::ChartBuilder;
use plotters::coord::Shift;
use plotters::prelude::{
    Circle, DrawingArea, DrawingBackend, PathElement, RGBColor, SeriesLabelPosition, WHITE,
};
use plotters::series::LineSeries;
use plotters::style::{Color, FontStyle, ShapeStyle};

use crate::PlotError;
use crate::canvas::{self, Drawing, failed};
use crate::style::{BLUE, GREY, GRID, Heading, TEXT, VERMILION, text};

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
            curve("last batch of the epoch", GREY, |m| Some(m.last_batch_loss)),
            curve("mean training loss", BLUE, |m| Some(m.mean_loss)),
            curve("validation loss", VERMILION, |m| m.validation_loss),
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

        let title = match self.test_accuracy {
            Some(accuracy) => format!("{} · test accuracy {accuracy:.3}", self.title),
            None => self.title.clone(),
        };
        let top_margin = Heading {
            title: &title,
            warning: self.warning.as_deref(),
        }
        .draw(area, scale)?;
        let text = |size| text(size * scale, FontStyle::Normal, &TEXT);

        let mut chart = ChartBuilder::on(area)
            .margin(18 * scale)
            .margin_top(top_margin)
            .x_label_area_size(44 * scale)
            .y_label_area_size(58 * scale)
            .build_cartesian_2d(1.0 - margin..epochs as f64 + margin, 0.0..top.max(1e-3))
            .map_err(failed)?;
        chart
            .configure_mesh()
            .x_desc("epoch")
            .y_desc("cross-entropy (nats)")
            .axis_desc_style(text(15))
            .label_style(text(13))
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
            .label_font(text(14))
            .background_style(WHITE.mix(0.85))
            .border_style(GRID)
            .draw()
            .map_err(failed)
    }
}
