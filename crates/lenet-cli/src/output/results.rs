//! The results of a sweep as a table, Markdown and CSV.

use anyhow::{Context, Result};
use lenet_train::sweep::{SettingResult, SweepResult, TrialStatus};

use super::Table;

/// A row for each setting.
pub(crate) fn to_table(result: &SweepResult) -> Table {
    let mut rows = result.rows().into_iter();
    let Some(head) = rows.next() else {
        unreachable!("the first row of a result holds the column names")
    };
    let mut table = Table::new(head);
    rows.for_each(|row| table.push_row(row));
    table
}

/// The table, and below it a line for each trial without an accuracy.
pub(crate) fn to_markdown(result: &SweepResult) -> String {
    let notes: String = result
        .notes()
        .into_iter()
        .map(|note| format!("- {note}\n"))
        .collect();
    let separator = if notes.is_empty() { "" } else { "\n" };
    format!("{}{separator}{notes}", to_table(result).to_markdown())
}

/// A header, and a line for each trial. Values that a missing trial does not have are empty.
pub(crate) fn to_csv(result: &SweepResult) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([
        "label",
        "x",
        "seed",
        "status",
        "accuracy",
        "loss",
        "training_loss",
        "epochs",
        "seconds",
        "threads",
        "device",
        "parameters",
        "message",
    ])?;
    for setting in &result.settings {
        for trial in &setting.trials {
            writer.write_record(record(setting, trial))?;
        }
    }
    let bytes = writer.into_inner().context("writing CSV to memory")?;
    Ok(String::from_utf8(bytes)?)
}

fn record(setting: &SettingResult, trial: &TrialStatus) -> [String; 13] {
    let result = trial.result();
    let last = result.and_then(|result| result.epochs.last());
    let text = Option::unwrap_or_default;
    let number = |value: Option<f64>| text(value.map(|value| value.to_string()));
    [
        setting.label.clone(),
        number(setting.x),
        trial.seed().to_string(),
        trial.status().to_owned(),
        number(trial.accuracy()),
        number(last.and_then(|metrics| metrics.validation_loss)),
        number(last.map(|metrics| metrics.mean_loss)),
        text(result.map(|result| result.epochs.len().to_string())),
        text(result.map(|result| format!("{:.3}", result.seconds))),
        text(result.map(|result| result.threads.to_string())),
        text(result.map(|result| result.device.clone())),
        setting.parameters.to_string(),
        text(trial.message()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result() -> serde_json::Result<SweepResult> {
        let metrics = serde_json::json!({
            "epoch": 1, "mean_loss": 0.5, "last_batch_loss": 0.4, "learning_rate": 0.1, "seconds": 1.0,
            "validation_accuracy": 0.875, "validation_loss": 0.25,
        });
        serde_json::from_value(serde_json::json!({
            "name": "kernels", "parameter": "kernel size", "scale": "linear", "held_out": "test",
            "dataset": "fashion-mnist", "synthetic": false,
            "settings": [{ "label": "a, b", "x": 3.0, "parameters": 61_706, "trials": [
                {
                    "label": "a, b", "seed": 0, "outcome": { "status": "finished" }, "epochs": [metrics],
                    "seconds": 1.25, "threads": 2, "device": "flex",
                },
                { "label": "a, b", "seed": 1, "outcome": { "status": "not-run" } },
            ] }],
        }))
    }

    #[test]
    fn csv_has_a_line_for_each_trial_and_leaves_unknown_cells_empty() -> Result<()> {
        let csv = to_csv(&result()?)?;
        let lines: Vec<&str> = csv.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "\"a, b\",3,0,finished,0.875,0.25,0.5,1,1.250,2,flex,61706,",
                "\"a, b\",3,1,not-run,,,,,,,,61706,not run",
            ]
        );
        Ok(())
    }

    #[test]
    fn markdown_marks_incomplete_settings_and_lists_what_is_missing() -> Result<()> {
        let markdown = to_markdown(&result()?);
        for expected in [
            "| 1/2, incomplete |",
            "0.8750 not-run",
            "- a, b, seed 1: not run",
        ] {
            assert!(
                markdown.contains(expected),
                "'{expected}' is not in:\n{markdown}"
            );
        }
        Ok(())
    }
}
