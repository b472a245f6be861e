//! The results files of a sweep that several processes share: one for each part, and one for the whole sweep. A
//! process writes its own file and reads the others.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use lenet_core::file::{FileError, read_file};
use serde::Serialize;

use super::file_format::FileFormat;
use super::partition::cut;
use super::result::TrialKey;
use super::store::MAX_BYTES;
use super::{Conflict, Outcome, Partition, Sweep, SweepError, TrialResult};
use crate::EpochMetrics;

/// What is on disk of one part of a sweep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PartStatus {
    /// The part.
    pub partition: Partition,
    /// Its results file.
    pub path: PathBuf,
    /// Whether the file exists.
    pub found: bool,
    /// Trials of the part.
    pub trials: usize,
    /// Trials of the part whose result is known, from whichever file.
    pub done: usize,
}

/// The results in all files, and the file that each of them is in.
#[derive(Debug)]
pub(super) struct Results<'a> {
    format: &'a FileFormat<'a>,
    /// Whether different kinds of devices may have computed the same trial.
    mixed_devices: bool,
    trials: HashMap<TrialKey, (TrialResult, PathBuf)>,
    /// The parts that have a file.
    parts: Vec<(Partition, PathBuf)>,
}

impl<'a> Results<'a> {
    pub(super) fn new(format: &'a FileFormat<'a>, mixed_devices: bool) -> Self {
        Self {
            format,
            mixed_devices,
            trials: HashMap::new(),
            parts: Vec::new(),
        }
    }

    /// Adds the results of one file.
    pub(super) fn add(&mut self, path: &Path, trials: Vec<TrialResult>) -> Result<(), SweepError> {
        let mut error = None;
        for trial in trials {
            let entry = match self.trials.entry(trial.key()) {
                Entry::Vacant(entry) => {
                    entry.insert((trial, path.to_owned()));
                    continue;
                }
                Entry::Occupied(entry) => entry,
            };
            let (known, other) = entry.get();
            if known.is_done() && trial.is_done() {
                let is_mixed = self.mixed_devices && known.device != trial.device;
                if !is_mixed && let Err(found) = check_equal((known, other), (&trial, path)) {
                    error.get_or_insert(found);
                }
            } else if trial.is_done() {
                *entry.into_mut() = (trial, path.to_owned());
            }
        }
        error.map_or(Ok(()), Err)
    }

    /// Finds the files of all parts, and reads those and the file of the whole sweep, except `own`, which this process
    /// writes. Whether an error of one of them ends the run is up to `refuse`.
    pub(super) fn read_others(
        &mut self,
        whole: &Path,
        own: Option<&Path>,
        mut refuse: impl FnMut(SweepError) -> Result<(), SweepError>,
    ) -> Result<(), SweepError> {
        self.parts = part_files(whole)?;
        let parts = self.parts.clone();
        let others = parts.iter().map(|(_, path)| path.as_path());
        for path in others.chain([whole]).filter(|&path| Some(path) != own) {
            self.read(path).or_else(&mut refuse)?;
        }
        Ok(())
    }

    fn read(&mut self, path: &Path) -> Result<(), SweepError> {
        let bytes = match read_file(path, MAX_BYTES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            bytes => bytes.map_err(FileError::at(path))?,
        };
        match self.format.parse(path, &bytes)? {
            Some(contents) => self.add(path, contents.trials),
            // A file without a complete header is being created.
            None => Ok(()),
        }
    }

    pub(super) fn trials(&self) -> impl Iterator<Item = &TrialResult> {
        self.trials.values().map(|(trial, _)| trial)
    }

    /// A file with a completed trial that was computed on none of these kinds of devices.
    pub(super) fn file_of_another_kind(&self, kinds: &BTreeSet<&str>) -> Option<&Path> {
        let others = self
            .trials
            .values()
            .filter(|(trial, _)| trial.is_done() && !kinds.contains(trial.device.as_str()));
        others.map(|(_, path)| path.as_path()).min()
    }

    pub(super) fn into_trials(self) -> impl Iterator<Item = TrialResult> {
        self.trials.into_values().map(|(trial, _)| trial)
    }

    pub(super) fn is_done(&self, key: &TrialKey) -> bool {
        self.trials
            .get(key)
            .is_some_and(|(trial, _)| trial.is_done())
    }

    /// The parts that the sweep was cut into, as most files say; empty if no part has a file.
    pub(super) fn parts(&self, sweep: &Sweep, images: usize, whole: &Path) -> Vec<PartStatus> {
        let mut files: HashMap<usize, usize> = HashMap::new();
        for (partition, _) in &self.parts {
            *files.entry(partition.count()).or_default() += 1;
        }
        let count = files
            .into_iter()
            .max_by_key(|&(count, files)| (files, Reverse(count)));
        let Some((count, _)) = count else {
            return Vec::new();
        };
        let parts = (1..).zip(cut(sweep, images, count));
        let parts = parts.map(|(index, trials)| {
            let Ok(partition) = Partition::new(index, count) else {
                unreachable!("part {index} of {count} exists")
            };
            PartStatus {
                partition,
                path: partition.file(whole),
                found: self.parts.iter().any(|(found, _)| *found == partition),
                trials: trials.len(),
                done: trials
                    .iter()
                    .filter(|trial| self.is_done(&trial.key()))
                    .count(),
            }
        });
        parts.collect()
    }
}

/// The files of parts beside the file of the whole sweep, in the order of their numbers.
fn part_files(whole: &Path) -> Result<Vec<(Partition, PathBuf)>, SweepError> {
    let folder = match whole.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let entries = match folder.read_dir() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(FileError::at(folder))?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let name = entry.map_err(FileError::at(folder))?.file_name();
        let path = whole.with_file_name(name);
        if let Some(partition) = Partition::of_file(&path, whole) {
            files.push((partition, path));
        }
    }
    files.sort_by_key(|(partition, _)| (partition.count(), partition.index()));
    Ok(files)
}

/// Checks that two files agree about a trial. Only the time that it took may differ.
fn check_equal(
    (first, first_path): (&TrialResult, &Path),
    (second, second_path): (&TrialResult, &Path),
) -> Result<(), SweepError> {
    let Some(difference) = difference(first, second) else {
        return Ok(());
    };
    Err(SweepError::Conflict(Box::new(Conflict {
        label: first.label.clone(),
        seed: first.seed,
        first: first_path.to_owned(),
        second: second_path.to_owned(),
        devices: [first.device.clone(), second.device.clone()],
        difference,
    })))
}

/// The first difference of two results of the same trial.
fn difference(first: &TrialResult, second: &TrialResult) -> Option<String> {
    let numbers = |metrics: &EpochMetrics| EpochMetrics {
        seconds: 0.0,
        ..metrics.clone()
    };
    let mut epochs = first.epochs.iter().zip(&second.epochs);
    if let Some((a, b)) = epochs.find(|(a, b)| numbers(a) != numbers(b)) {
        let accuracy = |metrics: &EpochMetrics| metrics.validation_accuracy.unwrap_or(f64::NAN);
        return Some(format!(
            "epoch {}: training loss {} and {}, accuracy {} and {}",
            a.epoch,
            a.mean_loss,
            b.mean_loss,
            accuracy(a),
            accuracy(b)
        ));
    }
    if first.epochs.len() != second.epochs.len() {
        let (a, b) = (first.epochs.len(), second.epochs.len());
        return Some(format!("{a} and {b} epochs"));
    }
    (first.outcome != second.outcome).then(|| {
        let outcome = |trial: &TrialResult| match &trial.outcome {
            Outcome::Finished => "finished".to_owned(),
            Outcome::Diverged { message } | Outcome::Failed { message } => message.clone(),
        };
        format!("{} and {}", outcome(first), outcome(second))
    })
}
