//! The results file that a run writes. Its format is in `file_format.rs`, other parts' files are in `parts.rs`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lenet_core::file::{AppendFile, FileError, remove_folder};
use serde::Serialize;

use super::file_format::FileFormat;
use super::{SweepError, TrialResult};

/// How long a part waits for the lock of its file. The lock of a machine that died is kept for a while by the server of
/// a network file system.
const PATIENCE: Duration = Duration::from_secs(120);

/// Pause between two attempts to lock.
const PAUSE: Duration = Duration::from_millis(500);

/// Upper limit of a file's size in bytes; a trial takes about a kilobyte.
pub(super) const MAX_BYTES: u64 = 256 << 20;

/// Whether to wait for the lock of a file.
#[derive(Clone, Copy)]
pub(super) enum Wait<'a> {
    /// Another process that has it is a mistake.
    No,
    /// It may be that of a machine that died; until the flag is true.
    UntilStopped(Option<&'a AtomicBool>),
}

impl Wait<'_> {
    fn is_over(self, begun: Instant) -> bool {
        match self {
            Self::No => true,
            Self::UntilStopped(stop) => {
                begun.elapsed() > PATIENCE || stop.is_some_and(|stop| stop.load(Ordering::Relaxed))
            }
        }
    }
}

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
        wait: Wait<'_>,
    ) -> Result<(Self, Vec<TrialResult>), SweepError> {
        let begun = Instant::now();
        let file = loop {
            match AppendFile::open(path) {
                Ok(file) => break file,
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                    return Err(FileError::at(path)(error).into());
                }
                Err(_) if wait.is_over(begun) => {
                    return Err(SweepError::InUse {
                        path: path.to_owned(),
                    });
                }
                Err(_) => thread::sleep(PAUSE),
            }
        };
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
        match self.file.append_line(&line) {
            Ok(()) => Ok(line),
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => Err(SweepError::InUse {
                path: self.path.clone(),
            }),
            Err(error) => Err(self.io(error)),
        }
    }

    fn cut(&mut self, length: usize) -> Result<(), SweepError> {
        let cut = self.file.truncate(length as u64);
        cut.map_err(|source| self.io(source))
    }

    fn io(&self, source: io::Error) -> SweepError {
        FileError::at(&self.path)(source).into()
    }
}
