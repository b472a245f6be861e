#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod accuracy_curves;
mod activation_grid;
mod canvas;
mod error;
mod loss_curve;
mod report;
mod style;
mod sweep_chart;

pub use accuracy_curves::AccuracyCurves;
pub use activation_grid::ActivationGrid;
pub use error::PlotError;
pub use loss_curve::LossCurve;
pub use report::{Block, Report, Section};
pub use sweep_chart::SweepChart;
