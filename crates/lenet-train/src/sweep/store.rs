//! The results file: a header line that identifies the sweep, then a line for each trial that ended.
//!
//! A line counts once its newline is on disk. What a killed process left after the last newline is removed.

use std::io;
use std::path::{Path, PathBuf};

use lenet_core::file::{AppendFile, FileError, remove_folder};
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

/// Upper limit of a file's size in bytes; a trial takes about a kilobyte.
const MAX_BYTES: u64 = 256 << 20;

/// An open results file, locked against other processes.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    file: AppendFile,
}

/// The first line. It does not contain the seeds, because a later run may add some.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
    name: String,
    parameter: String,
    scale: Scale,
    held_out: String,
    training_set: DatasetIdentity,
    held_out_set: DatasetIdentity,
    settings: Vec<Setting>,
}

impl Store {
    /// Opens or creates the file, and returns its trials, each as it ended last. If the file is new, the folder
    /// `checkpoints` is outdated and removed.
    pub(super) fn open(
        path: &Path,
        checkpoints: &Path,
        sweep: &Sweep,
        train: &ImageDataset,
        held_out: &ImageDataset,
    ) -> Result<(Self, Vec<TrialResult>), SweepError> {
        let file = AppendFile::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => SweepError::InUse {
                path: path.to_owned(),
            },
            _ => FileError::at(path)(error).into(),
        })?;
        let bytes = file.read(MAX_BYTES).map_err(FileError::at(path))?;

        let wanted = Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            name: sweep.name.clone(),
            parameter: sweep.parameter.clone(),
            scale: sweep.scale,
            held_out: sweep.held_out.clone(),
            training_set: train.into(),
            held_out_set: held_out.into(),
            settings: sweep.settings.clone(),
        };
        // As text first, like the file's: JSON may change the last digit of a number.
        let wanted: Value = serde_json::to_vec(&wanted)
            .and_then(|text| serde_json::from_slice(&text))
            .map_err(|error| FileError::at(path)(error.into()))?;
        let mut store = Self {
            path: path.to_owned(),
            file,
        };
        let whole = bytes
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |newline| newline + 1);
        let (lines, cut) = bytes.split_at(whole);
        if !lines.is_empty() {
            let trials = store.read(lines, wanted, sweep)?;
            store.cut(whole)?;
            return Ok((store, trials));
        }
        // Only a new file, or one with an incomplete header, may be overwritten.
        if !looks_like_a_header(cut) {
            return Err(store.corrupt(1, "this is not a file of sweep results"));
        }
        // Before the header is written: a file with a header is never beside checkpoints of another sweep.
        remove_folder(checkpoints).map_err(FileError::at(checkpoints))?;
        store.cut(0)?;
        store.append_line(&wanted)?;
        Ok((store, Vec::new()))
    }

    /// Writes a trial to disk, and returns it as a later run will read it.
    pub(super) fn append(&mut self, trial: &TrialResult) -> Result<TrialResult, SweepError> {
        let line = self.append_line(trial)?;
        serde_json::from_slice(&line).map_err(|error| self.io(error.into()))
    }

    fn read(
        &self,
        lines: &[u8],
        mut wanted: Value,
        sweep: &Sweep,
    ) -> Result<Vec<TrialResult>, SweepError> {
        let mut lines = lines.split(|&byte| byte == b'\n').filter(|l| !l.is_empty());
        let header = lines.next();
        let mut found: Value = header
            .and_then(|header| serde_json::from_slice(header).ok())
            .filter(|value: &Value| value.get("format").and_then(Value::as_str) == Some(FORMAT))
            .ok_or_else(|| self.corrupt(1, "this is not a file of sweep results"))?;
        let version = found.get("version").and_then(Value::as_u64);
        if let Some(found) = version.filter(|&version| version != u64::from(VERSION)) {
            return Err(SweepError::Version {
                path: self.path.clone(),
                found,
                expected: VERSION,
            });
        }
        if sweep.scale == Scale::Categories {
            // The values have no meaning then, and earlier versions required some.
            remove_x(&mut found);
            remove_x(&mut wanted);
        }
        let differences = differences(&found, &wanted);
        if !differences.is_empty() {
            return Err(SweepError::OtherSweep {
                path: self.path.clone(),
                differences,
            });
        }
        let mut trials: Vec<TrialResult> = Vec::new();
        for (index, line) in lines.enumerate() {
            let trial: TrialResult = serde_json::from_slice(line)
                .map_err(|error| self.corrupt(index + 2, &format!("not a trial ({error})")))?;
            check(&trial, sweep).map_err(|reason| self.corrupt(index + 2, &reason))?;
            // If a failed trial was run again, the later line counts.
            trials.retain(|old| (&old.label, old.seed) != (&trial.label, trial.seed));
            trials.push(trial);
        }
        Ok(trials)
    }

    fn append_line(&mut self, value: &impl Serialize) -> Result<Vec<u8>, SweepError> {
        let line = serde_json::to_vec(value).map_err(|error| self.io(error.into()))?;
        let written = self.file.append_line(&line);
        written.map_err(|source| self.io(source))?;
        Ok(line)
    }

    fn cut(&mut self, length: usize) -> Result<(), SweepError> {
        let cut = self.file.truncate(length as u64);
        cut.map_err(|source| self.io(source))
    }

    fn io(&self, source: io::Error) -> SweepError {
        FileError::at(&self.path)(source).into()
    }

    fn corrupt(&self, line: usize, reason: &str) -> SweepError {
        SweepError::Corrupt {
            path: self.path.clone(),
            line,
            reason: reason.to_owned(),
        }
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

/// Removes the settings' places on the axis from a header.
fn remove_x(header: &mut Value) {
    let settings = header.get_mut("settings").and_then(Value::as_array_mut);
    for setting in settings.into_iter().flatten() {
        if let Some(setting) = setting.as_object_mut() {
            setting.remove("x");
        }
    }
}
