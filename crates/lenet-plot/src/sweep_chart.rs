//! The final accuracies of a sweep's settings.

use lenet_train::sweep::{Scale, SettingResult, SweepResult};
use plotters::prelude::DrawingBackend;
use plotters::style::Color;
use plotters::style::text_anchor::HPos;

use crate::PlotError;
use crate::axes::{Axes, Axis, Entry, THICK, extent, widened};
use crate::canvas::{BLUE, Canvas, Drawn, VERMILION, WARNING};
use crate::figure::sealed::Draw;
use crate::text::Style;

/// Accuracy of each setting of a sweep: the mean over its seeds with one standard deviation on either side,
/// and a dot for each seed.
///
/// Settings without a result, and settings with missing trials, are marked. A figure of a sweep without
/// settings is an error, and so is a setting without a finite position on a linear or logarithmic axis.
///
/// ```
/// use lenet_plot::{Figure, SweepChart};
/// use lenet_train::sweep::SweepResult;
///
/// let result: SweepResult = serde_json::from_value(serde_json::json!({
///     "name": "kernels", "parameter": "kernel size", "scale": "linear", "held_out": "test",
///     "dataset": "fashion-mnist", "synthetic": false,
///     "settings": [{ "label": "3", "x": 3.0, "parameters": 61_000, "trials": [] }],
/// }))?;
/// let svg = Figure::new("Kernel sizes", SweepChart::new(&result)).to_svg()?;
/// assert!(svg.contains("no result"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SweepChart<'a> {
    result: &'a SweepResult,
}

/// How settings with missing trials are marked.
const MARK: Style = Style {
    bold: true,
    color: WARNING,
    ..Style::of_size(11.0)
};

impl<'a> SweepChart<'a> {
    /// The chart of this result.
    pub fn new(result: &'a SweepResult) -> Self {
        Self { result }
    }

    /// Each setting with its position along the axis.
    fn positions(&self) -> Result<Vec<(f64, &'a SettingResult)>, PlotError> {
        let settings = self.result.settings.iter().enumerate();
        let position = |(index, setting): (usize, &'a SettingResult)| {
            let x = setting.x;
            let position = match self.result.scale {
                Scale::Linear => x,
                Scale::Logarithmic => x.map(f64::log10),
                _ => Some(index as f64),
            };
            match position {
                Some(position) if position.is_finite() => Ok((position, setting)),
                _ => Err(PlotError::Position {
                    label: setting.label.clone(),
                    axis: self.result.parameter.clone(),
                }),
            }
        };
        settings.map(position).collect()
    }
}

/// One standard deviation on either side of the mean, as far as such accuracies exist.
fn bar(setting: &SettingResult) -> Option<[f64; 2]> {
    let (mean, deviation) = (setting.mean()?, setting.standard_deviation()?);
    Some([mean - deviation, mean + deviation].map(|end| end.clamp(0.0, 1.0)))
}

impl Draw for SweepChart<'_> {
    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<B>) -> Drawn {
        let settings = self.positions()?;
        if settings.is_empty() {
            return Err(PlotError::Empty);
        }
        let tick = |(x, setting): &(f64, &SettingResult)| (*x, setting.label.clone());
        let x = Axis {
            name: self.result.parameter.clone(),
            range: widened(extent(settings.iter().map(|(x, _)| *x)), 0.12, 0.5),
            ticks: settings.iter().map(tick).collect(),
        };
        let shown = settings.iter().flat_map(|(_, setting)| {
            let bars = bar(setting).into_iter().flatten();
            setting.accuracies().into_iter().chain(bars)
        });
        let (low, high) = extent(shown);
        // No setting has a result yet: any range will do.
        let range = if low > high {
            (0.0, 1.0)
        } else {
            widened((low, high), 0.12, 0.002)
        };
        let y = Axis::numbers(format!("{} accuracy", self.result.held_out), range);
        let legend = [
            Entry(Some(5), BLUE, "mean ± standard deviation".to_owned()),
            Entry(Some(3), VERMILION, "one seed".to_owned()),
        ];
        let axes = Axes::draw(canvas, &legend, x, y)?;

        if self.result.scale != Scale::Categories {
            let means = settings
                .iter()
                .filter_map(|(x, setting)| Some((*x, setting.mean()?)));
            canvas.line(means.map(|mean| axes.at(mean)), THICK, BLUE.mix(0.4))?;
        }
        for (position, setting) in settings {
            let mark = match setting.mean() {
                None => Some("no result"),
                Some(_) if !setting.is_complete() => Some("incomplete"),
                Some(_) => None,
            };
            if let Some(mark) = mark {
                let at = (axes.at((position, 0.0)).0, axes.corner().1 - 10.0);
                canvas.text(mark, at, HPos::Center, MARK)?;
            }
            if let Some(ends) = bar(setting) {
                let ends = ends.map(|end| axes.at((position, end)));
                canvas.line(ends, THICK, BLUE)?;
                for (x, y) in ends {
                    canvas.line([(x - 7.0, y), (x + 7.0, y)], THICK, BLUE)?;
                }
            }
            for accuracy in setting.accuracies() {
                // Beside the mean, so that neither hides the other.
                let (x, y) = axes.at((position, accuracy));
                canvas.dot((x + 14.0, y), 3, VERMILION)?;
            }
            if let Some(mean) = setting.mean() {
                canvas.dot(axes.at((position, mean)), 5, BLUE)?;
            }
        }
        Ok(())
    }
}
