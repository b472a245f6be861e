//! Checkpoints: everything that a run needs to go on as if it had never been stopped.
//!
//! A checkpoint is one safetensors file, `checkpoint-` and the number of steps done: the weights under
//! PyTorch's names, those of the velocity under the same with `velocity.` before them, the numbers and the
//! seconds of the run so far in float64, and in the metadata, as JSON, what the run is.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use lenet_core::file::{
    create_folder, lock_file, read_file, remove_file, remove_leftovers, write_file,
};
use lenet_core::{LeNetConfig, NamedTensor, WeightsError};
use lenet_data::ImageDataset;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::dataset_identity::DatasetIdentity;
use crate::differences::differences;
use crate::{EpochMetrics, TrainingConfig};

const FORMAT: &str = "lenet-checkpoint";
/// 2 since it has the seconds of the whole run; one without them is refused.
const VERSION: u32 = 2;
/// Key of the metadata.
const KEY: &str = "lenet_checkpoint";
const PREFIX: &str = "checkpoint-";
const SUFFIX: &str = ".safetensors";
const VELOCITY: &str = "velocity.";
const EPOCHS: &str = "epochs";
const PARTIAL_EPOCH: &str = "partial_epoch";
const TOTAL_SECONDS: &str = "total_seconds";
/// What the columns of `epochs` are; what there is not is not a number.
const COLUMNS: [&str; 6] = [
    "mean_loss",
    "last_batch_loss",
    "learning_rate",
    "seconds",
    "validation_accuracy",
    "validation_loss",
];

/// How often something happens in a run.
///
/// ```
/// use lenet_train::Interval;
///
/// assert_eq!("2".parse(), Ok(Interval::Epochs(2)));
/// assert_eq!("500steps".parse(), Ok(Interval::Steps(500)));
/// assert_eq!(Interval::Steps(500).to_string(), "500steps");
/// assert!("0".parse::<Interval>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// After every so many epochs.
    Epochs(usize),
    /// After every so many steps, counted from the beginning of the run.
    Steps(usize),
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Epochs(count) => write!(f, "{count}"),
            Self::Steps(count) => write!(f, "{count}steps"),
        }
    }
}

impl FromStr for Interval {
    type Err = IntervalError;

    fn from_str(text: &str) -> Result<Self, IntervalError> {
        let (number, of): (_, fn(usize) -> Self) = match text.strip_suffix("steps") {
            Some(number) => (number, Self::Steps),
            None => (text, Self::Epochs),
        };
        match number.trim().parse() {
            Ok(count) if count > 0 => Ok(of(count)),
            _ => Err(IntervalError {
                found: text.to_owned(),
            }),
        }
    }
}

/// A text that is no [`Interval`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "'{found}' is no interval: expected a number of epochs above 0, as 2, or of steps, as 500steps"
)]
pub struct IntervalError {
    /// The text.
    pub found: String,
}

/// Where and how often a run leaves checkpoints.
///
/// ```
/// use lenet_train::{Checkpoints, Interval};
///
/// let checkpoints = Checkpoints::new("out/lenet/checkpoints")
///     .with_interval(Interval::Steps(500))
///     .with_kept(2)
///     .with_resume(true);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoints {
    folder: PathBuf,
    interval: Interval,
    kept: usize,
    resume: bool,
}

impl Checkpoints {
    /// A checkpoint after every epoch, the last three of them kept; a folder that holds some already is
    /// refused.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            interval: Interval::Epochs(1),
            kept: 3,
            resume: false,
        }
    }

    /// Sets how often a checkpoint is written; 0 counts as 1. The end of a run is always one.
    #[must_use]
    pub fn with_interval(mut self, interval: Interval) -> Self {
        self.interval = match interval {
            Interval::Epochs(count) => Interval::Epochs(count.max(1)),
            Interval::Steps(count) => Interval::Steps(count.max(1)),
        };
        self
    }

    /// Sets how many of the last checkpoints are kept; 0 counts as 1.
    #[must_use]
    pub fn with_kept(mut self, kept: usize) -> Self {
        self.kept = kept.max(1);
        self
    }

    /// Sets whether to go on from the last checkpoint in the folder; if there is none, from the beginning.
    #[must_use]
    pub fn with_resume(mut self, resume: bool) -> Self {
        self.resume = resume;
        self
    }
}

/// Why checkpoints cannot be written or resumed from.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The folder or a file in it could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Another process uses the folder.
    #[error("{path}: another run writes its checkpoints here", path = path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// There is an earlier run's checkpoint, which a new run must not mix with its own.
    #[error(
        "{path} is a checkpoint of an earlier run: resume it, or remove its folder to begin anew",
        path = path.display()
    )]
    Exists {
        /// The checkpoint.
        path: PathBuf,
    },
    /// The file is no checkpoint, or a damaged one.
    #[error(
        "{path} is no readable checkpoint: {reason}; remove it to resume from an earlier one",
        path = path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file has been written by a version of this crate with another format.
    #[error(
        "{path} has version {found} of the checkpoint format, this program reads {expected}: finish the run \
         with the program that began it, or remove the folder to start over",
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
    /// The checkpoint is another run's.
    #[error(
        "{path} is a checkpoint of another run:{}",
        differences.iter().map(|line| format!("\n  {line}")).collect::<String>(),
        path = path.display()
    )]
    OtherRun {
        /// The checkpoint.
        path: PathBuf,
        /// What differs, a line each.
        differences: Vec<String>,
    },
    /// Weights or velocity are not those of the network.
    #[error("{path}: {source}", path = path.display())]
    Weights {
        /// The checkpoint.
        path: PathBuf,
        /// Why not.
        source: WeightsError,
    },
}

impl CheckpointError {
    /// Whether it is the checkpoint that was refused: it is damaged, or of another run or version, and
    /// stays refused until it is removed. Any other error may be gone the next time, and the checkpoint be
    /// resumed from.
    ///
    /// ```
    /// use std::io;
    ///
    /// use lenet_train::CheckpointError;
    ///
    /// let path = "checkpoints/checkpoint-000000012.safetensors".into();
    /// let damaged = CheckpointError::Format { path, reason: "it is empty".to_owned() };
    /// assert!(damaged.is_refusal());
    /// let path = "checkpoints".into();
    /// let full = CheckpointError::Io { path, source: io::ErrorKind::StorageFull.into() };
    /// assert!(!full.is_refusal());
    /// ```
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Format { .. }
            | Self::Version { .. }
            | Self::OtherRun { .. }
            | Self::Weights { .. } => true,
            Self::Io { .. } | Self::InUse { .. } | Self::Exists { .. } => false,
        }
    }
}

/// What a run is: a checkpoint of anything else is not resumed from.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RunIdentity {
    network: LeNetConfig,
    training: TrainingConfig,
    training_set: DatasetIdentity,
    validation_set: Option<DatasetIdentity>,
}

impl RunIdentity {
    pub(crate) fn new(
        network: &LeNetConfig,
        training: &TrainingConfig,
        train: &ImageDataset,
        validation: Option<&ImageDataset>,
    ) -> Self {
        Self {
            network: network.clone(),
            training: training.clone(),
            training_set: train.into(),
            validation_set: validation.map(DatasetIdentity::from),
        }
    }

    /// Steps of an epoch.
    fn steps(&self) -> usize {
        self.training_set
            .images
            .div_ceil(self.training.batch_size.max(1))
    }

    /// Most bytes of a checkpoint: weights and velocity in float32, and much else.
    fn largest_file(&self) -> u64 {
        let table = self.network.layer_table();
        let parameters = table.map_or(0, |table| table.parameters()) as u64;
        8 * parameters + (64 << 20)
    }

    /// Whether a run of this kind can be there.
    fn check(&self, progress: &Progress) -> Result<(), String> {
        let (epoch, epochs) = (progress.epoch(), self.training.epochs);
        let (step, steps) = (progress.step, self.steps());
        for seconds in [progress.seconds, progress.total_seconds] {
            if !(seconds.is_finite() && seconds >= 0.0) {
                return Err(format!("its clock stands at {seconds} seconds"));
            }
        }
        match epoch.cmp(&epochs) {
            Ordering::Less if step < steps => Ok(()),
            Ordering::Equal if step == 0 => Ok(()),
            _ => Err(format!(
                "it stands after epoch {epoch} of {epochs} and step {step} of {steps}"
            )),
        }
    }
}

/// How far a run is, but for the weights.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Progress {
    /// The epochs that are done.
    pub(crate) epochs: Vec<EpochMetrics>,
    /// Steps done in the epoch after them.
    pub(crate) step: usize,
    /// Their losses, each times the number of its images.
    pub(crate) weighted_loss: f64,
    /// Their images.
    pub(crate) images: usize,
    /// The loss of the last of them.
    pub(crate) latest_loss: Option<f64>,
    /// Seconds they took.
    pub(crate) seconds: f64,
    /// Seconds of the run so far: all its epochs, steps and evaluations, but not the time between being
    /// stopped and resumed.
    pub(crate) total_seconds: f64,
}

impl Progress {
    /// Epochs that are done.
    pub(crate) fn epoch(&self) -> usize {
        self.epochs.len()
    }
}

/// A checkpoint as read from a file.
pub(crate) struct Checkpoint {
    pub(crate) progress: Progress,
    pub(crate) weights: Vec<NamedTensor>,
    /// Empty without momentum.
    pub(crate) velocity: Vec<NamedTensor>,
    pub(crate) path: PathBuf,
}

/// The folder of a run's checkpoints, locked against other runs.
pub(crate) struct CheckpointFolder<'a> {
    config: &'a Checkpoints,
    identity: RunIdentity,
    /// Unlocked when it is closed.
    _lock: File,
}

/// The first part of the metadata, whatever version it is of.
#[derive(Deserialize)]
struct Version {
    format: String,
    version: u64,
}

#[derive(Serialize)]
struct Metadata<'a> {
    format: &'a str,
    version: u32,
    /// Epochs done.
    epoch: usize,
    /// Steps done in the next one.
    step: usize,
    columns: [&'a str; 6],
    run: &'a RunIdentity,
}

#[derive(Deserialize)]
struct Position {
    epoch: usize,
    step: usize,
}

impl<'a> CheckpointFolder<'a> {
    /// Opens or makes the folder, and reads its last checkpoint if the run is to be resumed.
    pub(crate) fn open(
        config: &'a Checkpoints,
        identity: RunIdentity,
    ) -> Result<(Self, Option<Checkpoint>), CheckpointError> {
        let folder = &config.folder;
        create_folder(folder).map_err(io_at(folder))?;
        let lock_path = folder.join("lock");
        let lock = lock_file(&lock_path).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => CheckpointError::InUse {
                path: folder.clone(),
            },
            _ => io_at(&lock_path)(error),
        })?;
        // Nobody else writes here now.
        remove_leftovers(folder, Duration::ZERO);
        let last = files(folder)?.pop();
        let checkpoint = match last {
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

    /// Whether a checkpoint is due where the run is.
    pub(crate) fn is_due(&self, progress: &Progress) -> bool {
        match self.config.interval {
            Interval::Epochs(count) => progress.step == 0 && progress.epoch().is_multiple_of(count),
            Interval::Steps(count) => self.steps_done(progress).is_multiple_of(count),
        }
    }

    fn steps_done(&self, progress: &Progress) -> usize {
        progress.epoch() * self.identity.steps() + progress.step
    }

    /// Writes a checkpoint.
    pub(crate) fn save(
        &self,
        weights: &[NamedTensor],
        velocity: &[NamedTensor],
        progress: &Progress,
    ) -> Result<PathBuf, CheckpointError> {
        let name = format!("{PREFIX}{:09}{SUFFIX}", self.steps_done(progress));
        let path = self.config.folder.join(name);
        let bytes = self.to_bytes(weights, velocity, progress, &path)?;
        write_file(&path, &bytes).map_err(io_at(&path))?;
        Ok(path)
    }

    /// The last checkpoint that can be found.
    pub(crate) fn last(&self) -> Option<PathBuf> {
        let (_, path) = files(&self.config.folder).ok()?.pop()?;
        Some(path)
    }

    /// Removes the checkpoints that are one too many; one that cannot be removed saves no other.
    pub(crate) fn prune(&self) -> Result<(), CheckpointError> {
        let all = files(&self.config.folder)?;
        let too_many = all.len().saturating_sub(self.config.kept);
        let old = all.into_iter().take(too_many);
        // All of them, then the first error.
        let removed: Vec<_> = old
            .map(|(_, path)| remove_file(&path).map_err(io_at(&path)))
            .collect();
        removed.into_iter().collect()
    }

    fn to_bytes(
        &self,
        weights: &[NamedTensor],
        velocity: &[NamedTensor],
        progress: &Progress,
        path: &Path,
    ) -> Result<Vec<u8>, CheckpointError> {
        let mut tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
        for (prefix, state) in [("", weights), (VELOCITY, velocity)] {
            for tensor in state {
                let bytes = tensor.values.iter().flat_map(|v| v.to_le_bytes());
                let name = format!("{prefix}{}", tensor.name);
                tensors.push((name, Dtype::F32, tensor.shape.clone(), bytes.collect()));
            }
        }
        let doubles = |values: &[f64]| values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let epochs: Vec<f64> = progress.epochs.iter().flat_map(to_row).collect();
        let shape = vec![progress.epoch(), COLUMNS.len()];
        tensors.push((EPOCHS.to_owned(), Dtype::F64, shape, doubles(&epochs)));
        let partial = [
            progress.weighted_loss,
            progress.images as f64,
            progress.latest_loss.unwrap_or(f64::NAN),
            progress.seconds,
        ];
        let shape = vec![partial.len()];
        tensors.push((
            PARTIAL_EPOCH.to_owned(),
            Dtype::F64,
            shape,
            doubles(&partial),
        ));
        let total = doubles(&[progress.total_seconds]);
        tensors.push((TOTAL_SECONDS.to_owned(), Dtype::F64, vec![1], total));

        let metadata = Metadata {
            format: FORMAT,
            version: VERSION,
            epoch: progress.epoch(),
            step: progress.step,
            columns: COLUMNS,
            run: &self.identity,
        };
        let corrupt = |reason: String| CheckpointError::Format {
            path: path.to_owned(),
            reason,
        };
        let metadata = serde_json::to_string(&metadata).map_err(|e| corrupt(e.to_string()))?;
        let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
            TensorView::new(*dtype, shape.clone(), bytes).map(|view| (name.as_str(), view))
        });
        let views = views.collect::<Result<Vec<_>, _>>();
        let metadata = HashMap::from([(KEY.to_owned(), metadata)]);
        let bytes = views.and_then(|views| safetensors::serialize(views, Some(metadata)));
        bytes.map_err(|error| corrupt(error.to_string()))
    }
}

fn io_at(path: &Path) -> impl Fn(io::Error) -> CheckpointError {
    let path = path.to_owned();
    move |source| CheckpointError::Io {
        path: path.clone(),
        source,
    }
}

/// The checkpoints of a folder by their number of steps, the last one last.
pub(crate) fn files(folder: &Path) -> Result<Vec<(u64, PathBuf)>, CheckpointError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(io_at(folder))? {
        let entry = entry.map_err(io_at(folder))?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        let number = number.and_then(|name| name.strip_suffix(SUFFIX)?.parse().ok());
        let path = entry.path();
        files.extend(
            number
                .filter(|_| path.is_file())
                .map(|number| (number, path)),
        );
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
        Err(error) => return Err(io_at(&path)(error)),
    };
    let expected = serde_json::to_string(identity).and_then(|text| serde_json::from_str(&text));
    let parsed = match expected {
        Ok(expected) => parse(&bytes, &expected),
        Err(error) => Err(Refusal::Format(error.to_string())),
    };
    match parsed {
        Ok((progress, weights, velocity)) => match identity.check(&progress) {
            Ok(()) => Ok(Checkpoint {
                progress,
                weights,
                velocity,
                path,
            }),
            Err(reason) => Err(CheckpointError::Format { path, reason }),
        },
        Err(Refusal::Format(reason)) => Err(CheckpointError::Format { path, reason }),
        Err(Refusal::Version(found)) => Err(CheckpointError::Version {
            path,
            found,
            expected: VERSION,
        }),
        Err(Refusal::OtherRun(differences)) => Err(CheckpointError::OtherRun { path, differences }),
    }
}

/// Why bytes are no checkpoint of a run.
#[derive(Debug)]
pub(crate) enum Refusal {
    Format(String),
    Version(u64),
    OtherRun(Vec<String>),
}

impl<E: std::error::Error> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Format(error.to_string())
    }
}

pub(crate) type Parts = (Progress, Vec<NamedTensor>, Vec<NamedTensor>);

/// Reads a checkpoint of this run.
pub(crate) fn parse(bytes: &[u8], run: &Value) -> Result<Parts, Refusal> {
    let file = SafeTensors::deserialize(bytes)?;
    let (_, metadata) = SafeTensors::read_metadata(bytes)?;
    let metadata = metadata.metadata().as_ref().and_then(|m| m.get(KEY));
    let no_metadata = || Refusal::Format("its metadata does not say what it is of".to_owned());
    let metadata: Value = serde_json::from_str(metadata.ok_or_else(no_metadata)?)?;
    let Version { format, version } = Version::deserialize(&metadata)?;
    if format != FORMAT {
        return Err(Refusal::Format(format!("its format is '{format}'")));
    }
    if version != u64::from(VERSION) {
        return Err(Refusal::Version(version));
    }
    let differences = differences(metadata.get("run").unwrap_or(&Value::Null), run);
    if !differences.is_empty() {
        return Err(Refusal::OtherRun(differences));
    }
    let position = Position::deserialize(&metadata)?;

    let (mut weights, mut velocity) = (Vec::new(), Vec::new());
    for (name, view) in file.tensors() {
        if view.dtype() != Dtype::F32 {
            continue;
        }
        let (numbers, _) = view.data().as_chunks::<4>();
        let values = numbers.iter().map(|&b| f32::from_le_bytes(b)).collect();
        let shape = view.shape().to_vec();
        let (to, name) = match name.strip_prefix(VELOCITY) {
            Some(name) => (&mut velocity, name.to_owned()),
            None => (&mut weights, name),
        };
        to.push(NamedTensor {
            name,
            shape,
            values,
        });
    }
    let epochs = doubles(&file, EPOCHS)?;
    let (rows, rest) = epochs.as_chunks::<{ COLUMNS.len() }>();
    if rows.len() != position.epoch || !rest.is_empty() {
        let (found, expected) = (epochs.len(), position.epoch * COLUMNS.len());
        let reason = format!("'{EPOCHS}' has {found} values, expected {expected}");
        return Err(Refusal::Format(reason));
    }
    let partial = doubles(&file, PARTIAL_EPOCH)?;
    let [weighted_loss, images, latest_loss, seconds] = *partial.as_slice() else {
        let reason = format!("'{PARTIAL_EPOCH}' has {} values, expected 4", partial.len());
        return Err(Refusal::Format(reason));
    };
    let total = doubles(&file, TOTAL_SECONDS)?;
    let [total_seconds] = *total.as_slice() else {
        let reason = format!("'{TOTAL_SECONDS}' has {} values, expected 1", total.len());
        return Err(Refusal::Format(reason));
    };
    let progress = Progress {
        epochs: (1..)
            .zip(rows)
            .map(|(epoch, row)| from_row(epoch, row))
            .collect(),
        step: position.step,
        weighted_loss,
        images: images as usize,
        latest_loss: Some(latest_loss).filter(|loss| !loss.is_nan()),
        seconds,
        total_seconds,
    };
    Ok((progress, weights, velocity))
}

fn doubles(file: &SafeTensors<'_>, name: &str) -> Result<Vec<f64>, Refusal> {
    let view = file.tensor(name)?;
    if view.dtype() != Dtype::F64 {
        let reason = format!("'{name}' has element type {:?}, expected F64", view.dtype());
        return Err(Refusal::Format(reason));
    }
    let (numbers, _) = view.data().as_chunks::<8>();
    Ok(numbers.iter().map(|&b| f64::from_le_bytes(b)).collect())
}

fn to_row(metrics: &EpochMetrics) -> [f64; 6] {
    [
        metrics.mean_loss,
        metrics.last_batch_loss,
        metrics.learning_rate,
        metrics.seconds,
        metrics.validation_accuracy.unwrap_or(f64::NAN),
        metrics.validation_loss.unwrap_or(f64::NAN),
    ]
}

fn from_row(epoch: usize, row: &[f64; 6]) -> EpochMetrics {
    let [
        mean_loss,
        last_batch_loss,
        learning_rate,
        seconds,
        accuracy,
        loss,
    ] = *row;
    EpochMetrics {
        epoch,
        mean_loss,
        last_batch_loss,
        learning_rate,
        seconds,
        validation_accuracy: Some(accuracy).filter(|value| !value.is_nan()),
        validation_loss: Some(loss).filter(|value| !value.is_nan()),
    }
}
