//! Reading files up to a limit, and the error that names the file that failed.
//!
//! What the bytes mean is decided elsewhere, see `idx_file` and `picture`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A file that could not be read.
///
/// The message is the path; [`source`](std::error::Error::source) says what went wrong.
#[derive(Debug, Error)]
#[error("{path}")]
#[non_exhaustive]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// What the operating system reported, or
    /// [`FileTooLarge`](std::io::ErrorKind::FileTooLarge).
    pub source: io::Error,
}

/// Reads a file of at most `limit` bytes, whatever size the file system claims.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    let read = || {
        let file = File::open(path)?;
        // The exact size up front, so that the buffer never moves as it grows.
        let expected = file.metadata()?.len().min(limit);
        let mut bytes = Vec::with_capacity(expected as usize + 1);
        file.take(limit + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            let reason = format!("larger than {limit} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, reason));
        }
        Ok(bytes)
    };
    read().map_err(|source| FileError {
        path: path.to_owned(),
        source,
    })
}
