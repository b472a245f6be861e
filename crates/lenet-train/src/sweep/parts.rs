//! The results files of a sweep that several processes share: one for each part, and one for the whole sweep. A
//! process writes its own file and reads the others.

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
use super::{Partition, Sweep, SweepError, TrialResult};
use crate::differences::differences;

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
#[derive(Debug, Default)]
pub(super) struct Results {
    trials: HashMap<TrialKey, (TrialResult, PathBuf)>,
    /// The parts that have a file.
    parts: Vec<(Partition, PathBuf)>,
}

impl Results {
    /// Adds the results of one file.
    pub(super) fn add(&mut self, path: &Path, trials: Vec<TrialResult>) -> Result<(), SweepError> {
        for trial in trials {
            match self.trials.entry(trial.key()) {
                Entry::Vacant(entry) => {
                    entry.insert((trial, path.to_owned()));
                }
                Entry::Occupied(mut entry) => {
                    let (known, other) = entry.get();
                    if known.is_done() && trial.is_done() {
                        check_equal((known, other), (&trial, path))?;
                    } else if trial.is_done() {
                        entry.insert((trial, path.to_owned()));
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads the files of the whole sweep and of all parts except `own`, which this process writes.
    pub(super) fn read_others(
        &mut self,
        whole: &Path,
        own: Option<&Path>,
        format: &FileFormat<'_>,
    ) -> Result<(), SweepError> {
        self.parts = part_files(whole)?;
        let parts = self.parts.clone();
        let others = parts.iter().map(|(_, path)| path.as_path());
        for path in others.chain([whole]).filter(|&path| Some(path) != own) {
            let bytes = match read_file(path, MAX_BYTES) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                bytes => bytes.map_err(FileError::at(path))?,
            };
            // A file without a complete header is being created.
            if let Some(contents) = format.parse(path, &bytes)? {
                self.add(path, contents.trials)?;
            }
        }
        Ok(())
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
            .max_by_key(|&(count, files)| (files, count));
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
    let numbers = |trial: &TrialResult| {
        let mut epochs = trial.epochs.clone();
        epochs.iter_mut().for_each(|metrics| metrics.seconds = 0.0);
        match serde_json::to_value((&trial.outcome, epochs)) {
            Ok(numbers) => numbers,
            Err(error) => unreachable!("a result is representable in JSON: {error}"),
        }
    };
    let differences = differences(&numbers(first), &numbers(second));
    if differences.is_empty() {
        return Ok(());
    }
    Err(SweepError::Conflict {
        label: first.label.clone(),
        seed: first.seed,
        first: first_path.to_owned(),
        second: second_path.to_owned(),
        differences,
    })
}
