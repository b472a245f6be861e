//! The frame around every chart: title, warning, PNG, SVG and files. The charts draw what is inside.

use std::path::Path;

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use lenet_core::file::{FileError, write_file};
use plotters::coord::Shift;
use plotters::prelude::{BitMapBackend, DrawingArea, DrawingBackend, IntoDrawingArea, SVGBackend};
use plotters::style::text_anchor::HPos;

use crate::PlotError;
use crate::canvas::{Canvas, Drawn, Medium, WARNING};
use crate::error::failed;
use crate::text::Style;

/// A chart that a [`Figure`] can show. Only the charts of this crate implement it.
pub trait Chart: sealed::Draw {}

impl<C: sealed::Draw> Chart for C {}

pub(crate) mod sealed {
    use plotters::prelude::DrawingBackend;

    use crate::axes;
    use crate::canvas::{Canvas, Drawn};

    /// How a chart draws into the space that its figure gives it.
    pub trait Draw {
        /// Width and height that the chart needs, in units; by default, those of a chart with axes.
        fn size(&self) -> (u32, u32) {
            axes::SIZE
        }

        /// Draws onto a canvas of that size.
        fn draw<B: DrawingBackend>(&self, canvas: &Canvas<B>) -> Drawn;
    }
}

/// A chart under a title, as a PNG or an SVG.
///
/// ```
/// use lenet_plot::{Figure, LossCurve};
/// use lenet_train::EpochMetrics;
///
/// let epochs: Vec<EpochMetrics> = serde_json::from_value(serde_json::json!([
///     { "epoch": 1, "mean_loss": 1.1, "last_batch_loss": 0.8, "learning_rate": 0.1, "seconds": 2.0 },
///     { "epoch": 2, "mean_loss": 0.6, "last_batch_loss": 0.5, "learning_rate": 0.1, "seconds": 2.0 },
/// ]))?;
/// let figure = Figure::new("Modern LeNet", LossCurve::new(&epochs)).with_warning("only two epochs");
/// assert!(figure.to_png()?.starts_with(b"\x89PNG"));
/// assert!(figure.to_svg()?.contains("only two epochs"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Figure<C> {
    title: String,
    warning: Option<String>,
    chart: C,
}

impl<C: Chart> Figure<C> {
    /// A figure of this chart under this title.
    pub fn new(title: impl Into<String>, chart: C) -> Self {
        Self {
            title: title.into(),
            warning: None,
            chart,
        }
    }

    /// Sets a line in red below the title, for what readers must not miss, such as synthetic images.
    #[must_use]
    pub fn with_warning(mut self, warning: impl Into<String>) -> Self {
        self.warning = Some(warning.into());
        self
    }

    /// Writes a PNG or an SVG, depending on the extension of `path`.
    ///
    /// # Errors
    ///
    /// [`PlotError`] if the extension is neither `png` nor `svg`, the chart is empty, or the file cannot be
    /// written. An existing file then remains as it was.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), PlotError> {
        let path = path.as_ref();
        let bytes = match path.extension().and_then(|extension| extension.to_str()) {
            Some("png") => self.to_png()?,
            Some("svg") => self.to_svg()?.into_bytes(),
            _ => {
                let path = path.to_owned();
                return Err(PlotError::Format { path });
            }
        };
        Ok(write_file(path, &bytes).map_err(FileError::at(path))?)
    }

    /// Encodes the figure as a PNG with two pixels per unit. Curves and sweeps have 1600×1000 pixels, or
    /// 1600×1040 with a warning.
    ///
    /// # Errors
    ///
    /// [`PlotError`] if the chart is empty or cannot be drawn.
    pub fn to_png(&self) -> Result<Vec<u8>, PlotError> {
        let (width, height) = self.size();
        let [width, height] = [width, height].map(|units| units * Medium::Png.scale());
        let mut pixels = vec![255; width as usize * height as usize * 3];
        let backend = BitMapBackend::with_buffer(&mut pixels, (width, height));
        self.draw(backend.into_drawing_area(), Medium::Png)?;
        let mut png = Vec::new();
        PngEncoder::new(&mut png)
            .write_image(&pixels, width, height, ExtendedColorType::Rgb8)
            .map_err(failed)?;
        Ok(png)
    }

    /// Renders the figure as an SVG, in which text remains text. Curves and sweeps have 800×500 units, or
    /// 800×520 with a warning.
    ///
    /// The SVG of an [`ActivationGrid`](crate::ActivationGrid) has a rectangle for every value and is large.
    ///
    /// # Errors
    ///
    /// [`PlotError`] if the chart is empty or cannot be drawn.
    pub fn to_svg(&self) -> Result<String, PlotError> {
        let mut svg = String::new();
        let backend = SVGBackend::with_string(&mut svg, self.size());
        self.draw(backend.into_drawing_area(), Medium::Svg)?;
        Ok(svg)
    }

    /// Height of the title and the warning in units.
    fn heading(&self) -> u32 {
        if self.warning.is_some() { 66 } else { 46 }
    }

    fn size(&self) -> (u32, u32) {
        let (width, height) = self.chart.size();
        (width, self.heading() + height)
    }

    fn draw<B: DrawingBackend>(&self, area: DrawingArea<B, Shift>, medium: Medium) -> Drawn {
        let canvas = Canvas::new(area, medium)?;
        let (width, _) = canvas.size();
        let write = |line: &str, y: f64, mut style: Style| {
            // A long line is set in smaller letters rather than cut off.
            while style.size > 6.0 && style.width(line) > 0.95 * width {
                style.size -= 0.5;
            }
            canvas.text(line, (width / 2.0, y), HPos::Center, style)
        };
        let title = Style {
            bold: true,
            ..Style::of_size(16.0)
        };
        write(&self.title, 24.0, title)?;
        if let Some(warning) = &self.warning {
            let style = Style {
                color: WARNING,
                ..Style::of_size(12.0)
            };
            write(warning, 48.0, style)?;
        }
        self.chart.draw(&canvas.below(self.heading()))?;
        canvas.present()
    }
}
