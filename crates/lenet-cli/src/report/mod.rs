//! The report: each exercise writes a [`Section`] beside its figures, and one HTML page shows all sections.

mod html;
mod section;

pub(crate) use html::Page;
pub(crate) use section::{Block, Section};
