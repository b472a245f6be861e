//! The accuracies of a sweep's settings over the epochs.

use lenet_train::sweep::{SettingResult, SweepResult};
use plotters::prelude::DrawingBackend;
use plotters::style::Color;

use crate::PlotError;
use crate::axes::{Axes, Axis, Entry, extent, widened};
use crate::canvas::{Canvas, Drawn, PALETTE};
use crate::figure::sealed::Draw;

/// Accuracy against epoch, with a line for each setting of a sweep: the mean over its seeds, in a band from
/// the lowest seed to the highest.
///
/// The legend marks settings with missing trials as incomplete. A figure of a sweep in which no trial
/// finished an epoch is an error.
#[derive(Clone, Copy, Debug)]
pub struct AccuracyCurves<'a> {
    result: &'a SweepResult,
}

impl<'a> AccuracyCurves<'a> {
    /// The curves of this result.
    pub fn new(result: &'a SweepResult) -> Self {
        Self { result }
    }
}

/// What is known of one setting after one epoch.
struct Point {
    epoch: usize,
    mean: f64,
    /// The lowest and the highest accuracy of a seed.
    range: (f64, f64),
}

fn points(setting: &SettingResult) -> Vec<Point> {
    let longest = setting.results().map(|trial| trial.epochs.len()).max();
    let point = |epoch| {
        let trials = setting.results();
        let accuracies = trials.filter_map(|trial| trial.accuracy_after(epoch));
        Some(Point {
            epoch,
            mean: setting.mean_after(epoch)?,
            range: extent(accuracies),
        })
    };
    (1..=longest.unwrap_or(0)).filter_map(point).collect()
}

impl Draw for AccuracyCurves<'_> {
    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<B>) -> Drawn {
        let settings = &self.result.settings;
        let curves: Vec<Vec<Point>> = settings.iter().map(points).collect();
        let colors = || PALETTE.iter().cycle();
        let all = || curves.iter().flatten();
        let last = all().map(|point| point.epoch).max();
        let last = last.ok_or(PlotError::Empty)?;
        let legend: Vec<Entry> = settings
            .iter()
            .zip(colors())
            .map(|(setting, color)| {
                let note = if setting.is_complete() {
                    ""
                } else {
                    " (incomplete)"
                };
                Entry(None, *color, format!("{}{note}", setting.label))
            })
            .collect();
        let accuracies = extent(all().flat_map(|point| [point.range.0, point.range.1]));
        let name = format!("{} accuracy", self.result.held_out);
        let y = Axis::numbers(name, widened(accuracies, 0.05, 0.002));
        let axes = Axes::draw(canvas, &legend, Axis::epochs(last), y)?;

        // All bands first, so that none of them covers a line.
        for (points, color) in curves.iter().zip(colors()) {
            let low = points.iter().map(|p| (p.epoch as f64, p.range.0));
            let high = points.iter().map(|p| (p.epoch as f64, p.range.1));
            if points.len() > 1 {
                let band = high.chain(low.rev()).map(|point| axes.at(point));
                canvas.polygon(band, color.mix(0.12))?;
            }
        }
        for (points, color) in curves.iter().zip(colors()) {
            let means = points.iter().map(|p| (p.epoch as f64, p.mean));
            axes.curve(&means.collect::<Vec<_>>(), 2, *color)?;
        }
        Ok(())
    }
}
