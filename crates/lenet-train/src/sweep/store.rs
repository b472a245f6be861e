use std::io;
use std::path::{Path, PathBuf};

use lenet_core::file::{AppendFile, remove_folder};
use lenet_data::ImageDataset;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Outcome, Scale, Setting, Sweep, SweepError, TrialResult};
use crate::EpochMetrics;
use crate::dataset_identity::DatasetIdentity;

const FORMAT: &str = "lenet-sweep";
/// 2: each trial says on which kind of device it was computed.
const VERSION: u32 = 2;

/// Most bytes of a file: a trial takes about a kilobyte.
const MAX_BYTES: u64 = 256 << 20;

/// A file of trials that ended: a line that says of what, then a line for each trial.
///
/// A line counts once its newline is on disk; what a killed process left after the last newline is
/// cut off.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    file: AppendFile,
}

/// The first line. The seeds are not in it: more of them may be asked for later.
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
    /// Opens or makes the file, and gives the trials that it holds, each as it ended last. A new file has
    /// no use for what lies in the folder of `checkpoints`, which then is removed.
    pub(super) fn open(
        path: &Path,
        checkpoints: &Path,
        sweep: &Sweep,
        train: &ImageDataset,
        held_out: &ImageDataset,
    ) -> Result<(Self, Vec<TrialResult>), SweepError> {
        let io = |source| SweepError::Io {
            path: path.to_owned(),
            source,
        };
        let file = AppendFile::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => SweepError::InUse {
                path: path.to_owned(),
            },
            _ => io(error),
        })?;
        let bytes = file.read(MAX_BYTES).map_err(io)?;

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
        // Through text, as what it is compared with: a number may change its last digit on the way.
        let wanted: Value = serde_json::to_vec(&wanted)
            .and_then(|text| serde_json::from_slice(&text))
            .map_err(|error| io(error.into()))?;
        let mut store = Self {
            path: path.to_owned(),
            file,
        };
        let whole = bytes
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |newline| newline + 1);
        let (lines, cut) = bytes.split_at(whole);
        let trials = match lines.is_empty() {
            // A new file, or one whose first line was cut: there are no results in it. Whatever
            // else it is, is not ours to overwrite.
            true if looks_like_a_header(cut) => {
                // First, so that no file with a first line is ever found beside checkpoints of
                // another recipe.
                remove_folder(checkpoints).map_err(|source| SweepError::Io {
                    path: checkpoints.to_owned(),
                    source,
                })?;
                store.cut(0)?;
                store.append_line(&wanted)?;
                Vec::new()
            }
            true => return Err(store.corrupt(1, "this is not a file of sweep results")),
            false => {
                let trials = store.read(lines, &wanted, sweep)?;
                store.cut(whole)?;
                trials
            }
        };
        Ok((store, trials))
    }

    /// Adds a trial that ended, and gives it as a later run will read it; it is then on disk.
    pub(super) fn append(&mut self, trial: &TrialResult) -> Result<TrialResult, SweepError> {
        let line = self.append_line(trial)?;
        serde_json::from_slice(&line).map_err(|error| self.io(error.into()))
    }

    fn read(
        &self,
        lines: &[u8],
        wanted: &Value,
        sweep: &Sweep,
    ) -> Result<Vec<TrialResult>, SweepError> {
        let mut lines = lines.split(|&byte| byte == b'\n').filter(|l| !l.is_empty());
        let header = lines.next().unwrap_or_default();
        let found: Value = serde_json::from_slice(header)
            .ok()
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
        let differences = crate::differences::differences(&found, wanted);
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
            // The later line of a trial that failed before, and was tried again, is the one that counts.
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
        SweepError::Io {
            path: self.path.clone(),
            source,
        }
    }

    fn corrupt(&self, line: usize, reason: &str) -> SweepError {
        SweepError::Corrupt {
            path: self.path.clone(),
            line,
            reason: reason.to_owned(),
        }
    }
}

/// Whether these bytes, without a newline, may be the beginning of our first line.
fn looks_like_a_header(bytes: &[u8]) -> bool {
    let beginning = format!("{{\"format\":\"{FORMAT}\"");
    bytes.iter().zip(beginning.as_bytes()).all(|(a, b)| a == b)
}

/// Whether a trial may be one of the sweep's: the file may have been changed by somebody else.
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
    match (1..).zip(&trial.epochs).all(is_epoch) {
        true => Ok(()),
        false => Err("its epochs are not numbered from 1, or one has no accuracy".to_owned()),
    }
}
