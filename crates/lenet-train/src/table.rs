use std::fmt;

use comfy_table::presets::{ASCII_MARKDOWN, NOTHING};
use comfy_table::{CellAlignment, ContentArrangement};
use serde::{Deserialize, Serialize};

/// A small table for people: a line of column names, then rows. Printing it gives aligned text.
///
/// ```
/// use lenet_train::Table;
///
/// let table = Table::new(["kernel", "accuracy"]).with_row(["3", "0.89"]).with_row(["5", "0.90"]);
/// assert_eq!(table.to_string(), " kernel  accuracy \n 3           0.89 \n 5           0.90 \n");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column names and no rows.
    pub fn new<S: Into<String>>(head: impl IntoIterator<Item = S>) -> Self {
        Self {
            head: head.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; missing cells are empty, cells beyond the last column left out.
    #[must_use]
    pub fn with_row<S: Into<String>>(mut self, row: impl IntoIterator<Item = S>) -> Self {
        let mut row: Vec<String> = row.into_iter().map(Into::into).collect();
        row.resize(self.head.len(), String::new());
        self.rows.push(row);
        self
    }

    /// The column names.
    pub fn head(&self) -> &[String] {
        &self.head
    }

    /// The rows, each as long as the head.
    pub fn rows(&self) -> &[Vec<String>] {
        &self.rows
    }

    /// Whether every filled cell of a column begins like a number: such columns stand to the right.
    pub fn is_numeric(&self, column: usize) -> bool {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        let mut filled = cells
            .filter(|cell| !matches!(cell.as_str(), "" | "–"))
            .peekable();
        // The first column names the row.
        column > 0
            && filled.peek().is_some()
            && filled
                .all(|cell| cell.starts_with(|c: char| c.is_ascii_digit() || "+-<".contains(c)))
    }

    /// The table as Markdown.
    ///
    /// ```
    /// use lenet_train::Table;
    ///
    /// let table = Table::new(["kernel", "accuracy"]).with_row(["3", "0.89"]);
    /// assert_eq!(table.to_markdown(), "| kernel | accuracy |\n|--------|----------|\n| 3      |     0.89 |\n");
    /// ```
    pub fn to_markdown(&self) -> String {
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
        for column in 0..self.head.len() {
            if let (true, Some(column)) = (self.is_numeric(column), table.column_mut(column)) {
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
