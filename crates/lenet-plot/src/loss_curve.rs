//! The losses of one run.

use lenet_train::EpochMetrics;
use plotters::prelude::DrawingBackend;

use crate::PlotError;
use crate::axes::{Axes, Axis, Entry};
use crate::canvas::{BLUE, Canvas, Drawn, GREY, VERMILION};
use crate::figure::sealed::Draw;

/// Loss against epoch: the mean training loss, the loss of the epoch's last batch, and the validation loss if
/// there was one.
///
/// Losses that are not finite are left out. See the [crate's documentation](crate) for an example.
#[derive(Clone, Copy, Debug)]
pub struct LossCurve<'a> {
    epochs: &'a [EpochMetrics],
}

impl<'a> LossCurve<'a> {
    /// The curve of these epochs. A figure without epochs is an error.
    pub fn new(epochs: &'a [EpochMetrics]) -> Self {
        Self { epochs }
    }
}

impl Draw for LossCurve<'_> {
    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<B>) -> Drawn {
        let last = self.epochs.last().ok_or(PlotError::Empty)?.epoch;
        type Loss = fn(&EpochMetrics) -> Option<f64>;
        let losses: [(&str, _, Loss); 3] = [
            ("last batch of the epoch", GREY, |m| Some(m.last_batch_loss)),
            ("mean training loss", BLUE, |m| Some(m.mean_loss)),
            ("validation loss", VERMILION, |m| m.validation_loss),
        ];
        let curves = losses.map(|(name, color, loss)| {
            let points = self.epochs.iter().filter_map(|metrics| {
                let loss = loss(metrics).filter(|loss| loss.is_finite())?;
                Some((metrics.epoch as f64, loss))
            });
            (name, color, points.collect::<Vec<_>>())
        });
        let curves = || curves.iter().filter(|(_, _, points)| !points.is_empty());
        let legend: Vec<Entry> = curves()
            .map(|(name, color, _)| Entry(None, *color, (*name).to_owned()))
            .collect();
        let losses = curves().flat_map(|(_, _, points)| points);
        let highest = losses.fold(1e-3, |highest: f64, (_, loss)| highest.max(*loss));
        let y = Axis::numbers("cross-entropy (nats)", (0.0, highest * 1.08));
        let axes = Axes::draw(canvas, &legend, Axis::epochs(last), y)?;
        for (_, color, points) in curves() {
            axes.curve(points, 3, *color)?;
        }
        Ok(())
    }
}
