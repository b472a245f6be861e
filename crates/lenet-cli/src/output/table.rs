//! A table of text cells, as aligned text or Markdown.

use std::fmt;

use comfy_table::presets::{ASCII_MARKDOWN, NOTHING};
use comfy_table::{CellAlignment, ContentArrangement};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column names and no rows.
    pub(crate) fn new<S: Into<String>>(head: impl IntoIterator<Item = S>) -> Self {
        Self {
            head: head.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row with a cell for each column.
    pub(crate) fn push_row<S: Into<String>>(&mut self, row: impl IntoIterator<Item = S>) {
        let row: Vec<String> = row.into_iter().map(Into::into).collect();
        assert_eq!(
            row.len(),
            self.head.len(),
            "a row has a cell for each column"
        );
        self.rows.push(row);
    }

    pub(crate) fn head(&self) -> &[String] {
        &self.head
    }

    pub(crate) fn rows(&self) -> &[Vec<String>] {
        &self.rows
    }

    /// Whether every filled cell of a column starts like a number; such columns are aligned to the right.
    pub(crate) fn is_numeric(&self, column: usize) -> bool {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        let mut filled = cells
            .filter(|cell| !matches!(cell.as_str(), "" | "–"))
            .peekable();
        let is_number =
            |cell: &String| cell.starts_with(|c: char| c.is_ascii_digit() || "+-<".contains(c));
        // The first column names the row.
        column > 0 && filled.peek().is_some() && filled.all(is_number)
    }

    pub(crate) fn to_markdown(&self) -> String {
        self.render(ASCII_MARKDOWN)
    }

    fn render(&self, preset: &str) -> String {
        let cell = |cell: &String| cell.replace('|', "\\|").replace('\n', " ");
        let mut table = comfy_table::Table::new();
        table
            .load_preset(preset)
            .set_content_arrangement(ContentArrangement::Disabled)
            .set_header(self.head.iter().map(cell));
        for row in &self.rows {
            table.add_row(row.iter().map(cell));
        }
        for (index, column) in table.column_iter_mut().enumerate() {
            if self.is_numeric(index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        format!("{table}\n")
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(NOTHING))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(["kernel", "accuracy", "note"]);
        table.push_row(["3", "0.89", ""]);
        table.push_row(["a|b", "–", "x\ny"]);
        table
    }

    #[test]
    fn text_aligns_columns_of_numbers_to_the_right() {
        assert_eq!(
            table().to_string(),
            " kernel  accuracy  note \n 3           0.89       \n a\\|b           –  x y  \n"
        );
    }

    #[test]
    fn markdown_escapes_what_would_break_a_row() {
        assert_eq!(
            table().to_markdown(),
            "| kernel | accuracy | note |\n|--------|----------|------|\n\
             | 3      |     0.89 |      |\n| a\\|b   |        – | x y  |\n"
        );
    }
}
