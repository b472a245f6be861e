//! What a [`Session`](crate::session::Session) can run: a training, a comparison, the choice of its best setting, and
//! the inspection of a trained network.

pub(crate) mod best;
mod comparison;
pub(crate) mod inspection;
mod training;

pub(crate) use comparison::{Comparison, Recipe};
