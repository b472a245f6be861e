//! What the commands print and write: tables, results in several formats, progress bars.

mod progress;
mod results;
mod table;

pub(crate) use progress::console;
pub(crate) use results::{to_csv, to_markdown, to_table};
pub(crate) use table::Table;
