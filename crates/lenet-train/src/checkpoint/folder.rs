//! The folder of a run's checkpoints: locking, naming, writing, pruning. The bytes come from `format.rs`.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lenet_core::NamedTensor;
use lenet_core::file::{
    FileError, create_folder, lock_file, read_file, remove_file, remove_leftovers, write_file,
};

use super::format::{Refusal, VERSION, parse, to_bytes};
use super::{Checkpoint, CheckpointError, Checkpoints, Interval, Progress, RunIdentity};

const PREFIX: &str = "checkpoint-";
const SUFFIX: &str = ".safetensors";

/// The folder of a run's checkpoints, locked against other runs.
pub(crate) struct CheckpointFolder {
    config: Checkpoints,
    identity: RunIdentity,
    /// Unlocked when it is closed.
    _lock: File,
}

impl CheckpointFolder {
    /// Opens or creates the folder, and reads its last checkpoint if the run is to be resumed.
    pub(crate) fn open(
        config: Checkpoints,
        identity: RunIdentity,
    ) -> Result<(Self, Option<Checkpoint>), CheckpointError> {
        let folder = &config.folder;
        create_folder(folder).map_err(FileError::at(folder))?;
        let lock_path = folder.join("lock");
        let lock = lock_file(&lock_path).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => CheckpointError::InUse {
                path: folder.clone(),
            },
            _ => FileError::at(&lock_path)(error).into(),
        })?;
        // With the lock held, no other process has unfinished files here.
        remove_leftovers(folder, Duration::ZERO);
        let checkpoint = match files(folder)?.pop() {
            Some((_, path)) if config.resume => Some(read(path, &identity)?),
            Some((_, path)) => return Err(CheckpointError::Exists { path }),
            None => None,
        };
        let folder = Self {
            config,
            identity,
            _lock: lock,
        };
        Ok((folder, checkpoint))
    }

    /// Whether a checkpoint is due after this many epochs and steps of the next epoch.
    pub(crate) fn is_due(&self, epochs: usize, step: usize) -> bool {
        match self.config.interval {
            Interval::Epochs(count) => step == 0 && epochs.is_multiple_of(count),
            Interval::Steps(count) => (epochs * self.identity.steps() + step).is_multiple_of(count),
        }
    }

    /// Writes a checkpoint.
    pub(crate) fn save(
        &self,
        weights: &[NamedTensor],
        velocity: &[NamedTensor],
        progress: &Progress,
    ) -> Result<PathBuf, CheckpointError> {
        let steps = progress.epochs.len() * self.identity.steps() + progress.partial.step;
        let path = self
            .config
            .folder
            .join(format!("{PREFIX}{steps:09}{SUFFIX}"));
        let bytes = to_bytes(weights, velocity, progress, &self.identity).map_err(|reason| {
            CheckpointError::Format {
                path: path.clone(),
                reason,
            }
        })?;
        write_file(&path, &bytes).map_err(FileError::at(&path))?;
        Ok(path)
    }

    /// The last checkpoint in the folder; `None` also if the folder cannot be read.
    pub(crate) fn last(&self) -> Option<PathBuf> {
        let (_, path) = files(&self.config.folder).ok()?.pop()?;
        Some(path)
    }

    /// Removes outdated checkpoints: all that can be removed, then reports the first error.
    pub(crate) fn prune(&self) -> Result<(), CheckpointError> {
        let all = files(&self.config.folder)?;
        let outdated = all.len().saturating_sub(self.config.kept);
        let removed: Vec<_> = all
            .into_iter()
            .take(outdated)
            .map(|(_, path)| remove_file(&path).map_err(FileError::at(&path)))
            .collect();
        Ok(removed.into_iter().collect::<Result<(), _>>()?)
    }
}

/// The checkpoints of a folder and their numbers of steps, in ascending order.
pub(crate) fn files(folder: &Path) -> Result<Vec<(u64, PathBuf)>, FileError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(FileError::at(folder))? {
        let path = entry.map_err(FileError::at(folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name.and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX));
        let steps = number.and_then(|number| number.parse().ok());
        if let Some(steps) = steps.filter(|_| path.is_file()) {
            files.push((steps, path));
        }
    }
    files.sort();
    Ok(files)
}

/// Reads a checkpoint of this run.
fn read(path: PathBuf, identity: &RunIdentity) -> Result<Checkpoint, CheckpointError> {
    let bytes = match read_file(&path, identity.largest_file()) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            let reason = error.to_string();
            return Err(CheckpointError::Format { path, reason });
        }
        Err(error) => return Err(FileError::at(path)(error).into()),
    };
    // As text first, like the file's: JSON may change the last digit of a number.
    let expected = serde_json::to_string(identity).and_then(|text| serde_json::from_str(&text));
    let parsed = expected.map_err(Refusal::from);
    let parsed = parsed.and_then(|expected| parse(&bytes, &expected));
    let parsed = parsed.and_then(|parts| match identity.check(&parts.0) {
        Ok(()) => Ok(parts),
        Err(reason) => Err(Refusal::Format(reason)),
    });
    match parsed {
        Ok((progress, weights, velocity)) => Ok(Checkpoint {
            progress,
            weights,
            velocity,
            path,
        }),
        Err(Refusal::Format(reason)) => Err(CheckpointError::Format { path, reason }),
        Err(Refusal::Version(found)) => Err(CheckpointError::Version {
            path,
            found,
            expected: VERSION,
        }),
        Err(Refusal::OtherRun(differences)) => Err(CheckpointError::OtherRun { path, differences }),
    }
}
