#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod accuracy_curves;
mod activation_grid;
mod axes;
mod canvas;
mod error;
mod figure;
mod loss_curve;
mod sweep_chart;
mod text;

pub use accuracy_curves::AccuracyCurves;
pub use activation_grid::ActivationGrid;
pub use error::PlotError;
pub use figure::{Chart, Figure};
pub use loss_curve::LossCurve;
pub use sweep_chart::SweepChart;
