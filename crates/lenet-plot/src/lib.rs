#![doc = include_str!("../README.md")]

mod canvas;
mod error;
mod loss_curve;

pub use error::PlotError;
pub use loss_curve::LossCurve;
