//! The format of a results file: a header line that identifies the sweep, then a line for each trial that ended.
//!
//! A line counts once its newline is on disk: what follows the last newline is being written, or was when its
//! process was killed.

use std::collections::HashMap;
use std::path::Path;

use lenet_data::ImageDataset;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Outcome, Scale, Setting, Sweep, SweepError, TrialResult};
use crate::EpochMetrics;
use crate::dataset::DatasetIdentity;
use crate::differences::differences;

const FORMAT: &str = "lenet-sweep";
/// Version 2 added the kind of device to each trial.
const VERSION: u32 = 2;

/// Version of this crate, on which the last digits of the numbers may depend.
const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// The first line. It does not contain the seeds, because a later run may add some.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
    /// Version of the program; files of the first releases do not have it.
    #[serde(default)]
    program: Option<String>,
    name: String,
    parameter: String,
    scale: Scale,
    held_out: String,
    training_set: DatasetIdentity,
    held_out_set: DatasetIdentity,
    settings: Vec<Setting>,
}

/// The format of the results of one sweep.
#[derive(Debug)]
pub(super) struct FileFormat<'a> {
    sweep: &'a Sweep,
    header: Value,
}

/// The contents of a results file.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// The trials, each as it ended last.
    pub(super) trials: Vec<TrialResult>,
    /// Bytes of the complete lines.
    pub(super) len: usize,
}

impl<'a> FileFormat<'a> {
    pub(super) fn new(sweep: &'a Sweep, train: &ImageDataset, held_out: &ImageDataset) -> Self {
        let header = Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            program: Some(PROGRAM.to_owned()),
            name: sweep.name.clone(),
            parameter: sweep.parameter.clone(),
            scale: sweep.scale,
            held_out: sweep.held_out.clone(),
            training_set: train.into(),
            held_out_set: held_out.into(),
            settings: sweep.settings.clone(),
        };
        // As text first, like the file's: JSON may change the last digit of a number.
        let header = serde_json::to_vec(&header).and_then(|text| serde_json::from_slice(&text));
        match header {
            Ok(header) => Self { sweep, header },
            Err(error) => unreachable!("a header is representable in JSON: {error}"),
        }
    }

    pub(super) fn header(&self) -> &Value {
        &self.header
    }

    /// Reads the contents of a file, `None` if it is empty or ends within the header.
    pub(super) fn parse(&self, path: &Path, bytes: &[u8]) -> Result<Option<Contents>, SweepError> {
        let corrupt = |line: usize, reason: String| SweepError::Corrupt {
            path: path.to_owned(),
            line,
            reason,
        };
        let not_results = || corrupt(1, "this is not a file of sweep results".to_owned());
        let newline = bytes.iter().rposition(|&byte| byte == b'\n');
        let Some((whole, _)) = newline.and_then(|newline| bytes.split_at_checked(newline + 1))
        else {
            let is_header = looks_like_a_header(bytes);
            return if is_header {
                Ok(None)
            } else {
                Err(not_results())
            };
        };
        let mut lines = whole.split(|&byte| byte == b'\n').filter(|l| !l.is_empty());
        let header = lines.next();
        let header = header
            .and_then(|header| serde_json::from_slice(header).ok())
            .filter(|value: &Value| value.get("format").and_then(Value::as_str) == Some(FORMAT));
        self.check_header(path, header.ok_or_else(not_results)?)?;

        let mut trials: Vec<TrialResult> = Vec::new();
        let mut places = HashMap::new();
        for (index, line) in lines.enumerate() {
            let trial: TrialResult = serde_json::from_slice(line)
                .map_err(|error| corrupt(index + 2, format!("not a trial ({error})")))?;
            check(&trial, self.sweep).map_err(|reason| corrupt(index + 2, reason))?;
            let place = *places.entry(trial.key()).or_insert(trials.len());
            match trials.get_mut(place) {
                // If a failed trial was run again, the later line counts.
                Some(old) => *old = trial,
                None => trials.push(trial),
            }
        }
        let len = whole.len();
        Ok(Some(Contents { trials, len }))
    }

    fn check_header(&self, path: &Path, mut found: Value) -> Result<(), SweepError> {
        let version = found.get("version").and_then(Value::as_u64);
        if let Some(found) = version.filter(|&version| version != u64::from(VERSION)) {
            return Err(SweepError::Version {
                path: path.to_owned(),
                found,
                expected: VERSION,
            });
        }
        let mut wanted = self.header.clone();
        match found.get("program").and_then(Value::as_str) {
            Some(program) if program != PROGRAM => {
                return Err(SweepError::Program {
                    path: path.to_owned(),
                    found: program.to_owned(),
                    expected: PROGRAM,
                });
            }
            Some(_) => {}
            None => remove(&mut wanted, "program"),
        }
        if self.sweep.scale == Scale::Categories {
            // The values have no meaning then, and earlier versions required some.
            remove_x(&mut found);
            remove_x(&mut wanted);
        }
        let differences = differences(&found, &wanted);
        if differences.is_empty() {
            return Ok(());
        }
        Err(SweepError::OtherSweep {
            path: path.to_owned(),
            differences,
        })
    }
}

/// Whether these bytes, which have no newline, may be an incomplete header.
fn looks_like_a_header(bytes: &[u8]) -> bool {
    let beginning = format!("{{\"format\":\"{FORMAT}\"");
    bytes.iter().zip(beginning.as_bytes()).all(|(a, b)| a == b)
}

/// Checks that this sweep can have written the trial: the file may have been edited.
fn check(trial: &TrialResult, sweep: &Sweep) -> Result<(), String> {
    let mut settings = sweep.settings.iter();
    let Some(setting) = settings.find(|setting| setting.label == trial.label) else {
        return Err(format!("the sweep has no setting '{}'", trial.label));
    };
    let (found, expected) = (trial.epochs.len(), setting.training.epochs);
    if found > expected || (trial.outcome == Outcome::Finished && found < expected) {
        return Err(format!("a trial of {found} epochs, expected {expected}"));
    }
    let is_epoch = |(number, metrics): (usize, &EpochMetrics)| {
        metrics.epoch == number && metrics.validation_accuracy.is_some()
    };
    if (1..).zip(&trial.epochs).all(is_epoch) {
        Ok(())
    } else {
        Err("its epochs are not numbered from 1, or one has no accuracy".to_owned())
    }
}

fn remove(header: &mut Value, key: &str) {
    if let Some(header) = header.as_object_mut() {
        header.remove(key);
    }
}

/// Removes the settings' places on the axis from a header.
fn remove_x(header: &mut Value) {
    let settings = header.get_mut("settings").and_then(Value::as_array_mut);
    for setting in settings.into_iter().flatten() {
        if let Some(setting) = setting.as_object_mut() {
            setting.remove("x");
        }
    }
}
