//! A sweep's result as plain text. Markdown, CSV and charts are made outside this crate.

use std::collections::BTreeSet;
use std::fmt;

use super::{SettingResult, SweepResult};

/// The rows of [`rows`](SweepResult::rows) as aligned columns, and below them the [`notes`](SweepResult::notes).
impl fmt::Display for SweepResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.rows();
        let columns = (0..rows.iter().map(Vec::len).max().unwrap_or(0)).map(|column| {
            let cells = || rows.iter().filter_map(move |row| row.get(column));
            let width = cells().map(|cell| cell.chars().count()).max().unwrap_or(0);
            (width, column > 0 && are_numbers(cells().skip(1)))
        });
        let columns: Vec<(usize, bool)> = columns.collect();
        for row in &rows {
            for (cell, &(width, is_number)) in row.iter().zip(&columns) {
                if is_number {
                    write!(f, " {cell:>width$} ")?;
                } else {
                    write!(f, " {cell:<width$} ")?;
                }
            }
            writeln!(f)?;
        }
        self.notes()
            .iter()
            .try_for_each(|note| writeln!(f, "  {note}"))
    }
}

impl SweepResult {
    /// The table as text: the column names, then a row per setting with label, completed trials, mean and standard
    /// deviation of their accuracy, accuracy or status of each seed, parameters, and seconds per trial. If trials were
    /// computed on several kinds of devices, a last column shows them.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let has_devices = self.devices().len() > 1;
        let mut head: Vec<String> = [
            self.parameter.as_str(),
            "trials",
            &format!("{} accuracy", self.held_out),
            "std",
            "each seed",
            "parameters",
            "s/trial",
        ]
        .map(str::to_owned)
        .into();
        if has_devices {
            head.push("devices".to_owned());
        }
        let mut rows = vec![head];
        rows.extend(self.settings.iter().map(|s| cells(s, has_devices)));
        rows
    }

    /// A line for each trial that is not complete, with the reason.
    pub fn notes(&self) -> Vec<String> {
        let notes = self.trials().filter_map(|trial| {
            let message = trial.message()?;
            Some(format!(
                "{}, seed {}: {message}",
                trial.label(),
                trial.seed()
            ))
        });
        notes.collect()
    }
}

/// Whether all cells that have a value start like a number; such columns are right-aligned.
fn are_numbers<'a>(cells: impl Iterator<Item = &'a String>) -> bool {
    let mut values = cells.filter(|cell| *cell != "–").peekable();
    values.peek().is_some() && values.all(|cell| cell.starts_with(|c: char| c.is_ascii_digit()))
}

/// A row of the table.
fn cells(setting: &SettingResult, has_devices: bool) -> Vec<String> {
    let number = |value: Option<f64>, digits: usize| {
        value.map_or("–".to_owned(), |value| format!("{value:.digits$}"))
    };
    let seeds = setting.trials.iter().map(|trial| match trial.accuracy() {
        Some(accuracy) => format!("{accuracy:.4}"),
        None => trial.status().to_owned(),
    });
    let seeds: Vec<String> = seeds.collect();
    let mut finished = format!("{}/{}", setting.accuracies().len(), setting.trials.len());
    if !setting.is_complete() {
        finished += ", incomplete";
    }
    let mut cells = vec![
        setting.label.replace('\n', " "),
        finished,
        number(setting.mean(), 4),
        number(setting.standard_deviation(), 4),
        seeds.join(" "),
        setting.parameters.to_string(),
        number(setting.mean_seconds(), 1),
    ];
    if has_devices {
        let devices: BTreeSet<&str> = setting.results().map(|r| r.device.as_str()).collect();
        cells.push(devices.into_iter().collect::<Vec<_>>().join(", "));
    }
    cells
}
