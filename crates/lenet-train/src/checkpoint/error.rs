//! What can go wrong with checkpoints.

use std::path::PathBuf;

use lenet_core::WeightsError;
use lenet_core::file::FileError;
use thiserror::Error;

/// Why checkpoints cannot be written or resumed from.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The folder or a file in it cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another run uses the folder.
    #[error("{path}: another run writes its checkpoints here", path = path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The folder holds checkpoints of an earlier run, which a new run must not mix with its own.
    #[error(
        "{path} is a checkpoint of an earlier run: resume it, or remove its folder to start over",
        path = path.display()
    )]
    Exists {
        /// The checkpoint.
        path: PathBuf,
    },
    /// The file is damaged or not a checkpoint.
    #[error(
        "{path} is not a readable checkpoint: {reason}; remove it to resume from an earlier one",
        path = path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file was written by a version of this crate that uses another format.
    #[error(
        "{path} has version {found} of the checkpoint format, this program reads {expected}: finish the run \
         with the program that started it, or remove the folder to start over",
        path = path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: u64,
        /// The version that can be read.
        expected: u32,
    },
    /// The checkpoint belongs to another run.
    #[error(
        "{path} is a checkpoint of another run:{}",
        differences.iter().map(|line| format!("\n  {line}")).collect::<String>(),
        path = path.display()
    )]
    OtherRun {
        /// The checkpoint.
        path: PathBuf,
        /// What differs, one line each.
        differences: Vec<String>,
    },
    /// The weights or velocities do not fit the network.
    #[error("{}", path.display())]
    Weights {
        /// The checkpoint.
        path: PathBuf,
        /// What does not fit.
        source: WeightsError,
    },
}

impl CheckpointError {
    /// Whether the checkpoint itself was refused: it is damaged, or belongs to another run or version. The
    /// same error will occur until the file is removed. Any other error may be gone at the next attempt.
    ///
    /// ```
    /// use std::io;
    ///
    /// use lenet_core::file::FileError;
    /// use lenet_train::CheckpointError;
    ///
    /// let path = "checkpoints/checkpoint-000000012.safetensors".into();
    /// let damaged = CheckpointError::Format { path, reason: "it is empty".to_owned() };
    /// assert!(damaged.is_refusal());
    /// let full = FileError::at("checkpoints")(io::ErrorKind::StorageFull.into());
    /// assert!(!CheckpointError::from(full).is_refusal());
    /// ```
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Format { .. }
            | Self::Version { .. }
            | Self::OtherRun { .. }
            | Self::Weights { .. } => true,
            Self::File(_) | Self::InUse { .. } | Self::Exists { .. } => false,
        }
    }
}
