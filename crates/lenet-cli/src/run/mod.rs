//! What a [`Session`](crate::session::Session) can run: one training, a comparison, the best setting of one, and
//! a trained network to look into.

pub(crate) mod best;
mod comparison;
pub(crate) mod inspection;
mod training;

pub(crate) use comparison::{Comparison, Recipe};
