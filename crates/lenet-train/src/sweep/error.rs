use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::Scale;
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
    /// The sweep was stopped before its end; the finished trials are on disk.
    #[error(
        "stopped after {finished} of {trials} nets, which are on disk: run the same command again to go on{}",
        match has_checkpoints {
            true => "; those under way left checkpoints",
            false => "; those under way begin anew, as no checkpoints were asked for",
        }
    )]
    Interrupted {
        /// Trials that were finished.
        finished: usize,
        /// Trials of the sweep.
        trials: usize,
        /// Whether the others left checkpoints.
        has_checkpoints: bool,
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
