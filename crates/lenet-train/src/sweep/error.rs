//! What can go wrong with a sweep as a whole. What goes wrong in one trial is an
//! [`Outcome`](super::Outcome).

use std::error::Error as StdError;
use std::path::PathBuf;

use lenet_core::file::FileError;
use thiserror::Error;

use super::{Missing, MissingTrial, Scale, SweepResult, TrialStatus};
use crate::TrainingError;

/// Why a sweep ended without a result. Completed trials stay in its file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SweepError {
    /// There is nothing to run.
    #[error("the sweep '{sweep}' has no {what}")]
    Empty {
        /// Name of the sweep.
        sweep: String,
        /// What is missing: settings, seeds or workers.
        what: &'static str,
    },
    /// Two settings have the same label, which identifies their results.
    #[error("the sweep '{sweep}' has two settings labelled '{label}': labels must differ")]
    LabelTwice {
        /// Name of the sweep.
        sweep: String,
        /// The label.
        label: String,
    },
    /// A seed is listed twice: the second training would repeat the first.
    #[error("the sweep '{sweep}' lists seed {seed} twice")]
    SeedTwice {
        /// Name of the sweep.
        sweep: String,
        /// The seed.
        seed: u64,
    },
    /// A setting cannot be trained.
    #[error("setting '{label}'")]
    Setting {
        /// Label of the setting.
        label: String,
        /// Why it cannot be trained.
        source: Box<TrainingError>,
    },
    /// A setting has no place on the x-axis.
    #[error(
        "setting '{label}': {} has no place on a {} axis",
        found.map_or("a setting without x".to_owned(), |x| x.to_string()),
        if *scale == Scale::Logarithmic { "logarithmic" } else { "linear" }
    )]
    AxisValue {
        /// Label of the setting.
        label: String,
        /// Its value, if it has one.
        found: Option<f64>,
        /// The axis.
        scale: Scale,
    },
    /// The file holds the results of another experiment.
    #[error(
        "{path} holds results of another sweep:\n  {}\nchoose another folder, or remove the file to start over",
        first_few(differences),
        path = path.display()
    )]
    OtherSweep {
        /// The file.
        path: PathBuf,
        /// What differs, one line each.
        differences: Vec<String>,
    },
    /// The results were written by another version of this crate, whose numbers may differ.
    #[error(
        "{path} was written by version {found} of this program, and this is {expected}, whose numbers may differ; use \
         that version, choose another folder, or remove the file to start over",
        path = path.display()
    )]
    Program {
        /// The file.
        path: PathBuf,
        /// Version that wrote it.
        found: String,
        /// Version of this crate.
        expected: &'static str,
    },
    /// The file was written by a version of this crate that uses another format.
    #[error(
        "{path} has version {found} of the format of sweep results, this program reads {expected}; choose \
         another folder, or remove the file to start over",
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
    /// The file would hold results of several kinds of devices, which was not allowed.
    #[error(
        "{path}: its trials were computed on {}, the missing ones would be on {}, and their numbers differ in the \
         last digits: use the same kind of device, choose another folder, or allow it with \
         `with_mixed_devices(true)`, `--mixed-devices` on the command line",
        if found.is_empty() { "no device yet".to_owned() } else { found.join(" and ") },
        workers.join(" and "),
        path = path.display()
    )]
    MixedDevices {
        /// The file.
        path: PathBuf,
        /// The kinds of devices that its trials were computed on.
        found: Vec<String>,
        /// The kinds of devices of the workers.
        workers: Vec<String>,
    },
    /// The file is damaged or not a results file.
    #[error(
        "{path}, line {line}: {reason}; choose another folder, or repair or remove the file",
        path = path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// Two files have different results of the same trial.
    #[error(transparent)]
    Conflict(Box<Conflict>),
    /// Another process is running this sweep, or this part of it.
    #[error("{path} is in use: another process is running this sweep", path = path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The results file or the checkpoint folder cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The sweep was stopped before it was complete.
    #[error("{}", interruption(result))]
    Interrupted {
        /// The result so far, with the reason for each missing trial.
        result: Box<SweepResult>,
    },
    /// The threads of a worker could not be started.
    #[error("cannot start the threads of a worker")]
    Threads {
        /// The error of the operating system.
        source: Box<dyn StdError + Send + Sync>,
    },
}

/// Different results of the same trial in two files.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{first} (on {}) and {second} (on {}) have different results of setting '{label}', seed {seed}: {difference}; remove \
     its line from one of them. On processors with different vector instructions, numbers differ in the last digits",
    devices[0],
    devices[1],
    first = first.display(),
    second = second.display()
)]
#[non_exhaustive]
pub struct Conflict {
    /// Label of the setting.
    pub label: String,
    /// The seed.
    pub seed: u64,
    /// A file.
    pub first: PathBuf,
    /// Another file.
    pub second: PathBuf,
    /// Kinds of device that computed them.
    pub devices: [String; 2],
    /// What differs, with the value in the first file and the value in the second.
    pub difference: String,
}

fn first_few(lines: &[String]) -> String {
    const SHOWN: usize = 8;
    let mut text: Vec<&str> = lines.iter().take(SHOWN).map(String::as_str).collect();
    let more = format!("and {} more", lines.len().saturating_sub(SHOWN));
    if lines.len() > SHOWN {
        text.push(&more);
    }
    text.join("\n  ")
}

/// Says what is on disk.
fn interruption(result: &SweepResult) -> String {
    // Those that are left to other parts are none of this run's.
    let is_own = |trial: &&TrialStatus| !matches!(trial, TrialStatus::Missing(missing) if matches!(missing.reason, Missing::OfPart { .. }));
    let trials = result.trials().filter(is_own).count();
    let done = result.trials().filter(|trial| trial.is_done()).count();
    let mut text = format!("stopped with {done} of {trials} trials complete and on disk");
    let (mut resumable, mut restarts, mut unsaved) = (0, false, String::new());
    for missing in result.missing() {
        if let Missing::Interrupted {
            checkpoint,
            not_saved,
        } = &missing.reason
        {
            resumable += usize::from(checkpoint.is_some());
            restarts |= checkpoint.is_none() && not_saved.is_none();
            if not_saved.is_some() {
                let MissingTrial {
                    label,
                    seed,
                    reason,
                } = missing;
                unsaved += &format!("\n  {label}, seed {seed}: {reason}");
            }
        }
    }
    if resumable > 0 {
        text += &format!(", and checkpoints of {resumable} more");
    }
    if restarts {
        text += "; interrupted trials start again, because checkpoints are off";
    }
    text + &unsaved
}
