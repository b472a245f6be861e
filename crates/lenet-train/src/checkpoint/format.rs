//! The bytes of a checkpoint. Input is never trusted: every shape and count is checked.

use std::collections::HashMap;

use lenet_core::NamedTensor;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{PartialEpoch, Progress, RunIdentity};
use crate::EpochMetrics;
use crate::differences::differences;

const FORMAT: &str = "lenet-checkpoint";
/// Version 2 added the seconds of the whole run.
pub(super) const VERSION: u32 = 2;
/// Key of the metadata.
const KEY: &str = "lenet_checkpoint";
const VELOCITY: &str = "velocity.";
const EPOCHS: &str = "epochs";
const PARTIAL_EPOCH: &str = "partial_epoch";
const TOTAL_SECONDS: &str = "total_seconds";
/// Columns of `epochs`; a missing value is NaN.
const COLUMNS: [&str; 6] = [
    "mean_loss",
    "last_batch_loss",
    "learning_rate",
    "seconds",
    "validation_accuracy",
    "validation_loss",
];

/// The part of the metadata that every version has.
#[derive(Deserialize)]
struct Version {
    format: String,
    version: u64,
}

#[derive(Serialize)]
struct Metadata<'a> {
    format: &'a str,
    version: u32,
    /// Completed epochs.
    epoch: usize,
    /// Completed steps of the next epoch.
    step: usize,
    columns: [&'a str; 6],
    run: &'a RunIdentity,
}

#[derive(Deserialize)]
struct Position {
    epoch: usize,
    step: usize,
}

pub(super) fn to_bytes(
    weights: &[NamedTensor],
    velocity: &[NamedTensor],
    progress: &Progress,
    run: &RunIdentity,
) -> Result<Vec<u8>, String> {
    let mut tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
    for (prefix, state) in [("", weights), (VELOCITY, velocity)] {
        for tensor in state {
            let bytes = tensor.values.iter().flat_map(|v| v.to_le_bytes());
            let name = format!("{prefix}{}", tensor.name);
            tensors.push((name, Dtype::F32, tensor.shape.clone(), bytes.collect()));
        }
    }
    let mut push = |name: &str, shape: Vec<usize>, values: &[f64]| {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        tensors.push((name.to_owned(), Dtype::F64, shape, bytes));
    };
    let epochs: Vec<f64> = progress.epochs.iter().flat_map(to_row).collect();
    push(EPOCHS, vec![progress.epochs.len(), COLUMNS.len()], &epochs);
    let partial = &progress.partial;
    let partial = [
        partial.weighted_loss,
        partial.images as f64,
        partial.latest_loss.unwrap_or(f64::NAN),
        partial.seconds,
    ];
    push(PARTIAL_EPOCH, vec![partial.len()], &partial);
    push(TOTAL_SECONDS, vec![1], &[progress.total_seconds]);

    let metadata = Metadata {
        format: FORMAT,
        version: VERSION,
        epoch: progress.epochs.len(),
        step: progress.partial.step,
        columns: COLUMNS,
        run,
    };
    let metadata = serde_json::to_string(&metadata).map_err(|error| error.to_string())?;
    let metadata = HashMap::from([(KEY.to_owned(), metadata)]);
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        TensorView::new(*dtype, shape.clone(), bytes).map(|view| (name.as_str(), view))
    });
    let views = views.collect::<Result<Vec<_>, _>>();
    let bytes = views.and_then(|views| safetensors::serialize(views, Some(metadata)));
    bytes.map_err(|error| error.to_string())
}

/// Why bytes are not a checkpoint of a run.
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
    let no_metadata = || Refusal::Format("its metadata does not describe a run".to_owned());
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
    let epochs = (1..).zip(rows);
    let progress = Progress {
        epochs: epochs.map(|(epoch, row)| from_row(epoch, row)).collect(),
        partial: PartialEpoch {
            step: position.step,
            weighted_loss,
            images: images as usize,
            latest_loss: Some(latest_loss).filter(|loss| !loss.is_nan()),
            seconds,
        },
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
