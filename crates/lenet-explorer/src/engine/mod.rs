//! What is computed about one network and one or two images. There is no HTTP here, and nothing is kept between
//! calls. All functions block: the server calls them outside its async threads.

mod compare;
mod error;
mod explain;
mod fields;
mod forward;
mod gradient;
mod occlusion;
#[cfg(test)]
mod parity;
mod prediction;
mod unit;
mod view;
mod wire;

pub(crate) use compare::{Comparison, compare};
pub(crate) use error::EngineError;
pub(crate) use explain::{Method, explain};
pub(crate) use prediction::Prediction;
pub(crate) use unit::{Unit, unit};
pub(crate) use view::{ViewHeader, view};
pub(crate) use wire::message;
