use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::{Missing, MissingTrial, Scale, SweepResult};
use crate::TrainingError;

/// Why a sweep ended without a result; finished trials stay in its file.
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
    /// Two settings share a label, and so would their results.
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
    /// A setting that cannot be trained.
    #[error("setting '{label}': {source}")]
    Setting {
        /// Label of the setting.
        label: String,
        /// What is wrong with it.
        source: Box<TrainingError>,
    },
    /// A setting that has no place on the x-axis.
    #[error("setting '{label}': {found} has no place on a {} axis", match scale {
        Scale::Logarithmic => "logarithmic",
        _ => "linear",
    })]
    AxisValue {
        /// Label of the setting.
        label: String,
        /// Its value.
        found: f64,
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
    /// The file has been written by a version of this crate with another format.
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
    /// The file would hold results of several kinds of devices, which nobody asked for.
    #[error(
        "{path}: its trials were computed on {}, the missing ones would be on {}: their numbers differ in the \
         last digits; use the same kind of device, choose another folder, or allow it with \
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
    /// The file is no file of results, or was changed by somebody else.
    #[error(
        "{path}, line {line}: {reason}; choose another folder, or mend or remove the file",
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
    /// Another process runs this sweep.
    #[error("{path} is in use: another process is running this sweep", path = path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The sweep was stopped before its end; what it says is on disk is.
    #[error("{}", interruption(result))]
    Interrupted {
        /// What there is of the result, with the reason for each missing trial.
        result: Box<SweepResult>,
    },
    /// A worker could not get its threads.
    #[error("a worker could not start its threads: {message}")]
    Threads {
        /// What the operating system said.
        message: String,
    },
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

/// What is on disk and what is not.
fn interruption(result: &SweepResult) -> String {
    let trials = result.trials().count();
    let done = result.trials().filter(|trial| trial.is_done()).count();
    let mut text = format!("stopped with {done} of {trials} trials finished and on disk");
    let (mut resumable, mut unasked, mut unsaved) = (0, false, String::new());
    for missing in result.missing() {
        if let Missing::Interrupted {
            checkpoint,
            not_saved,
        } = &missing.reason
        {
            resumable += usize::from(checkpoint.is_some());
            unasked |= checkpoint.is_none() && not_saved.is_none();
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
        text += &format!(", and a checkpoint of {resumable} more");
    }
    if unasked {
        text += "; those under way start again, as no checkpoints were asked for";
    }
    text + &unsaved
}
