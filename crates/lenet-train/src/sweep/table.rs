use std::collections::BTreeSet;
use std::fmt;

use super::{SettingResult, SweepResult, TrialStatus};
use crate::Table;

impl SweepResult {
    /// One row for each setting: label, trials that finished, mean and standard deviation of their
    /// accuracy, accuracy of each seed or what became of it, parameters, seconds of a trial. Where trials
    /// were computed on several kinds of devices, a last column says which.
    pub fn table(&self) -> Table {
        let accuracy = format!("{} accuracy", self.held_out);
        let mut head = vec![
            self.parameter.as_str(),
            "trials",
            &accuracy,
            "std",
            "each seed",
            "parameters",
            "s/trial",
        ];
        let is_mixed = self.devices().len() > 1;
        if is_mixed {
            head.push("devices");
        }
        let settings = self.settings.iter();
        settings.fold(Table::new(head), |table, setting| {
            table.with_row(cells(setting, is_mixed))
        })
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
    /// loss, training_loss, epochs, seconds, threads, device, parameters, message. What a missing trial
    /// does not have is empty.
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
            "device",
            "parameters",
            "message",
        ];
        // Writing to memory cannot fail.
        let _ = writer.write_record(head);
        for setting in &self.settings {
            for trial in &setting.trials {
                let _ = writer.write_record(record(setting, trial));
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

    /// A line for each trial that did not finish.
    pub fn notes(&self) -> Vec<String> {
        let note = |trial: &TrialStatus| {
            let message = trial.message()?;
            Some(format!(
                "{}, seed {}: {message}",
                trial.label(),
                trial.seed()
            ))
        };
        self.trials().filter_map(note).collect()
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

/// A line of the CSV.
fn record(setting: &SettingResult, trial: &TrialStatus) -> [String; 13] {
    let result = trial.result();
    let last = result.and_then(|result| result.epochs.last());
    let text = |value: Option<String>| value.unwrap_or_default();
    let number = |value: Option<f64>| text(value.map(|value| value.to_string()));
    [
        setting.label.clone(),
        setting.x.to_string(),
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

/// A row of the table.
fn cells(setting: &SettingResult, with_devices: bool) -> Vec<String> {
    let number = |value: Option<f64>, digits: usize| {
        value.map_or("–".to_owned(), |value| format!("{value:.digits$}"))
    };
    let each: Vec<String> = setting
        .trials
        .iter()
        .map(|trial| match trial.accuracy() {
            Some(accuracy) => format!("{accuracy:.4}"),
            None => trial.status().to_owned(),
        })
        .collect();
    let finished = format!("{}/{}", setting.accuracies().len(), setting.trials.len());
    let mut cells = vec![
        setting.label.clone(),
        match setting.is_complete() {
            true => finished,
            false => format!("{finished}, incomplete"),
        },
        number(setting.mean(), 4),
        number(setting.standard_deviation(), 4),
        each.join(" "),
        setting.parameters.to_string(),
        number(setting.mean_seconds(), 1),
    ];
    if with_devices {
        let devices: BTreeSet<&str> = setting.results().map(|r| r.device.as_str()).collect();
        cells.push(devices.into_iter().collect::<Vec<_>>().join(", "));
    }
    cells
}
