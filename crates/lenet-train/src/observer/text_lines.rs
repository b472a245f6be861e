//! Events as lines of text, for people.

use std::io::Write;

use super::RemainingTime;
use super::remaining_time::rounded;
use crate::sweep::{Outcome, PartStatus, TrialResult};
use crate::{EpochMetrics, Event, Observer};

/// Writes a line for each epoch and evaluation of a run, or for each trial of a sweep: for pipes and log files.
///
/// ```
/// use lenet_train::observer::TextLines;
///
/// let log = TextLines::new(std::io::stdout());
/// # drop(log);
/// ```
#[derive(Debug, Default)]
pub struct TextLines<W> {
    out: W,
    remaining: RemainingTime,
}

impl<W: Write> TextLines<W> {
    /// Writes to `out`; errors are ignored, so a closed pipe does not end the training.
    pub fn new(out: W) -> Self {
        Self {
            out,
            remaining: RemainingTime::default(),
        }
    }

    /// The writer.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }
}

impl<W: Write + Send> Observer for TextLines<W> {
    fn observe(&mut self, event: &Event<'_>) {
        self.remaining.observe(event);
        let Some(mut line) = line(event) else {
            return;
        };
        if let Event::TrialFinished {
            finished, trials, ..
        } = event
            && finished < trials
            && let Some(left) = self.remaining.left()
        {
            line += &format!("  ({} left)", rounded(left));
        }
        let _ = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
    }
}

/// The text of an event, as [`TextLines`] prints it except for the remaining time; `None` for events that it
/// does not print.
///
/// ```
/// use lenet_train::{Event, observer::line};
///
/// let event = Event::CheckpointFailed { message: "disk full" };
/// assert_eq!(line(&event).as_deref(), Some("warning: cannot write a checkpoint: disk full"));
/// ```
pub fn line(event: &Event<'_>) -> Option<String> {
    let text = match event {
        Event::Epoch { metrics, epochs } => epoch(metrics, *epochs),
        Event::Resumed {
            checkpoint,
            step,
            steps,
            epochs,
            ..
        } => format!(
            "resumed after {} epochs and {step} of {steps} steps from {}",
            epochs.len(),
            checkpoint.display()
        ),
        Event::CheckpointFailed { .. } | Event::CheckpointNotRemoved { .. } => {
            format!("warning: {}", warning(event)?)
        }
        Event::Evaluated { split, evaluation } => format!(
            "{split} accuracy {:.4}, loss {:.4} ({} images)",
            evaluation.accuracy, evaluation.mean_loss, evaluation.images
        ),
        Event::PartsRead { parts } => parts_read(parts),
        Event::ResultsIgnored { message } => format!("warning: {message}"),
        Event::SweepStarted {
            finished: 0,
            partition: None,
            ..
        } => return None,
        Event::SweepStarted {
            finished,
            trials,
            partition,
            ..
        } => {
            let part = partition.map_or(String::new(), |part| format!(" of part {part}"));
            match finished {
                0 => format!("{}{part}", count(*trials, "trial")),
                finished if finished == trials => {
                    format!("all {trials} trials{part} are on disk already")
                }
                finished => format!("{finished} of {trials} trials{part} are on disk already"),
            }
        }
        Event::Trial { trial, event } => {
            let (label, seed) = (&trial.setting.label, trial.seed);
            format!("warning: {label}, seed {seed}: {}", warning(event)?)
        }
        Event::TrialFinished {
            trial,
            result,
            finished,
            trials,
        } => {
            let width = trials.to_string().len();
            let ending = ending(result, trial.setting.training.epochs);
            format!(
                "{finished:>width$}/{trials}  {}, seed {}: {ending}  {:.1} s",
                result.label, result.seed, result.seconds
            )
        }
        _ => return None,
    };
    Some(text)
}

/// A number of things.
fn count(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

/// Parts that are listed, if more have missing trials.
const LISTED_PARTS: usize = 20;

/// What all parts have, and a line for each part with missing trials.
fn parts_read(parts: &[PartStatus]) -> String {
    let found = parts.iter().filter(|part| part.found).count();
    let done: usize = parts.iter().map(|part| part.done).sum();
    let trials: usize = parts.iter().map(|part| part.trials).sum();
    let mut text = format!(
        "{found} of {} parts have a results file; {done} of {trials} trials are complete",
        parts.len()
    );
    let incomplete = || parts.iter().filter(|part| part.done < part.trials);
    for part in incomplete().take(LISTED_PARTS) {
        let missing = part.trials - part.done;
        let path = part.path.display();
        let file = if part.found { "" } else { " does not exist" };
        text += &format!(
            "\npart {}: {missing} of {} missing ({path}{file})",
            part.partition,
            count(part.trials, "trial")
        );
    }
    let more = incomplete().count().saturating_sub(LISTED_PARTS);
    if more > 0 {
        text += &format!("\nand {more} more parts");
    }
    text
}

fn epoch(metrics: &EpochMetrics, epochs: usize) -> String {
    let width = epochs.to_string().len();
    let mut text = format!(
        "epoch {:>width$}/{epochs}  loss {:.4} (last batch {:.4})  learning rate {}  {:.1} s",
        metrics.epoch,
        metrics.mean_loss,
        metrics.last_batch_loss,
        significant(metrics.learning_rate),
        metrics.seconds,
    );
    if let (Some(accuracy), Some(loss)) = (metrics.validation_accuracy, metrics.validation_loss) {
        text += &format!("  validation loss {loss:.4}, accuracy {accuracy:.4}");
    }
    text
}

fn warning(event: &Event<'_>) -> Option<String> {
    match event {
        Event::CheckpointFailed { message } => {
            Some(format!("cannot write a checkpoint: {message}"))
        }
        Event::CheckpointNotRemoved { message } => {
            Some(format!("cannot remove an old checkpoint: {message}"))
        }
        _ => None,
    }
}

fn ending(result: &TrialResult, epochs: usize) -> String {
    match &result.outcome {
        Outcome::Finished => {
            let loss = result.epochs.last().map_or(f64::NAN, |m| m.mean_loss);
            let accuracy = result.accuracy().unwrap_or(f64::NAN);
            format!("accuracy {accuracy:.4}, training loss {loss:.4}")
        }
        Outcome::Diverged { .. } => {
            format!("diverged in epoch {} of {epochs}", result.epochs.len() + 1)
        }
        Outcome::Failed { message } => format!("failed: {message}"),
    }
}

/// At most four significant digits, without trailing zeros.
fn significant(value: f64) -> String {
    let digits = format!("{value:.3e}");
    digits
        .parse::<f64>()
        .map_or(digits, |rounded| rounded.to_string())
}
