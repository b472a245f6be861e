//! The results file that a run writes. Its format is in `file_format.rs`, other parts' files are in `parts.rs`.

use std::io;
use std::path::{Path, PathBuf};

use lenet_core::file::{AppendFile, FileError, remove_folder};
use serde::Serialize;

use super::file_format::FileFormat;
use super::{SweepError, TrialResult};

/// Upper limit of a file's size in bytes; a trial takes about a kilobyte.
pub(super) const MAX_BYTES: u64 = 256 << 20;

/// An open results file, locked against other processes.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    file: AppendFile,
}

impl Store {
    /// Opens or creates the file, and returns its trials, each as it ended last. What a killed process left after
    /// the last newline is removed. If the file is new, the folder `checkpoints` is outdated and removed.
    pub(super) fn open(
        path: &Path,
        checkpoints: &Path,
        format: &FileFormat<'_>,
    ) -> Result<(Self, Vec<TrialResult>), SweepError> {
        let file = AppendFile::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => SweepError::InUse {
                path: path.to_owned(),
            },
            _ => FileError::at(path)(error).into(),
        })?;
        let bytes = file.read(MAX_BYTES).map_err(FileError::at(path))?;
        let mut store = Self {
            path: path.to_owned(),
            file,
        };
        if let Some(contents) = format.parse(path, &bytes)? {
            store.cut(contents.len)?;
            return Ok((store, contents.trials));
        }
        // Before the header is written: a file with a header is never beside checkpoints of another sweep.
        remove_folder(checkpoints).map_err(FileError::at(checkpoints))?;
        store.cut(0)?;
        store.append_line(format.header())?;
        Ok((store, Vec::new()))
    }

    /// Writes a trial to disk, and returns it as a later run will read it.
    pub(super) fn append(&mut self, trial: &TrialResult) -> Result<TrialResult, SweepError> {
        let line = self.append_line(trial)?;
        serde_json::from_slice(&line).map_err(|error| self.io(error.into()))
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
}
