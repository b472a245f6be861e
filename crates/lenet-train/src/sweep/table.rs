use std::fmt;

use super::{Outcome, SettingResult, SweepResult};
use crate::Table;

impl SweepResult {
    /// One row for each setting: label, nets that came to their end, mean and standard deviation
    /// of their accuracy, accuracy of each seed, parameters, seconds of a net.
    pub fn table(&self) -> Table {
        let accuracy = format!("{} accuracy", self.held_out);
        let head = [
            &self.parameter,
            "nets",
            &accuracy,
            "std",
            "each seed",
            "parameters",
            "s/net",
        ];
        let table = Table::new(head);
        self.settings
            .iter()
            .fold(table, |table, setting| table.with_row(cells(setting)))
    }

    /// The table as Markdown, what went wrong below it.
    pub fn to_markdown(&self) -> String {
        let notes = self.notes().into_iter().map(|note| format!("- {note}\n"));
        let notes: String = notes.collect();
        match notes.is_empty() {
            true => self.table().to_markdown(),
            false => format!("{}\n{notes}", self.table().to_markdown()),
        }
    }

    /// One line for each trial, under a line of column names: label, x, seed, status, accuracy,
    /// loss, training_loss, epochs, seconds, threads, parameters, message.
    pub fn to_csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let head = [
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
            "parameters",
            "message",
        ];
        // Writing to memory cannot fail.
        let _ = writer.write_record(head);
        for setting in &self.settings {
            for trial in &setting.trials {
                let (status, message) = match &trial.outcome {
                    Outcome::Finished => ("finished", ""),
                    Outcome::Diverged { message } => ("diverged", message.as_str()),
                    Outcome::Failed { message } => ("failed", message.as_str()),
                };
                let last = trial.epochs.last();
                let number =
                    |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
                let _ = writer.write_record([
                    setting.label.clone(),
                    setting.x.to_string(),
                    trial.seed.to_string(),
                    status.to_owned(),
                    number(trial.accuracy()),
                    number(last.and_then(|metrics| metrics.validation_loss)),
                    number(last.map(|metrics| metrics.mean_loss)),
                    trial.epochs.len().to_string(),
                    format!("{:.3}", trial.seconds),
                    trial.threads.to_string(),
                    setting.parameters.to_string(),
                    message.to_owned(),
                ]);
            }
        }
        let bytes = writer.into_inner().unwrap_or_default();
        String::from_utf8(bytes).unwrap_or_default()
    }

    /// Everything, as JSON that [`SweepResult`] is read back from.
    ///
    /// # Errors
    ///
    /// None in practice: the type has no value that JSON lacks.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }

    /// A line for each training that did not come to its end.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for setting in &self.settings {
            for trial in &setting.trials {
                match &trial.outcome {
                    Outcome::Finished => {}
                    Outcome::Diverged { message } | Outcome::Failed { message } => {
                        notes.push(format!("{}, seed {}: {message}", setting.label, trial.seed));
                    }
                }
            }
        }
        notes
    }
}

impl fmt::Display for SweepResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.table())?;
        for note in self.notes() {
            writeln!(f, "  {note}")?;
        }
        Ok(())
    }
}

fn cells(setting: &SettingResult) -> [String; 7] {
    let number = |value: Option<f64>, digits: usize| {
        value.map_or("–".to_owned(), |value| format!("{value:.digits$}"))
    };
    let each: Vec<String> = setting
        .trials
        .iter()
        .map(|trial| match &trial.outcome {
            Outcome::Finished => number(trial.accuracy(), 4),
            Outcome::Diverged { .. } => "diverged".to_owned(),
            Outcome::Failed { .. } => "failed".to_owned(),
        })
        .collect();
    [
        setting.label.clone(),
        format!("{}/{}", setting.accuracies().len(), setting.trials.len()),
        number(setting.mean(), 4),
        number(setting.standard_deviation(), 4),
        each.join(" "),
        setting.parameters.to_string(),
        number(setting.mean_seconds(), 1),
    ]
}
