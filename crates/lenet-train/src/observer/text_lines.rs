use std::io::Write;

use crate::{Event, Observer};

/// Writes a line for each epoch and each evaluation: for pipes and log files.
///
/// ```
/// use lenet_train::observer::TextLines;
///
/// let to_a_pipe = TextLines::new(std::io::stdout());
/// # drop(to_a_pipe);
/// ```
#[derive(Debug)]
pub struct TextLines<W> {
    out: W,
}

impl<W: Write> TextLines<W> {
    /// Writes to `out`; what cannot be written is lost.
    pub fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write + Send> Observer for TextLines<W> {
    fn observe(&mut self, event: &Event<'_>) {
        if let Some(line) = line(event) {
            // A reader that went away must not end the training.
            let _ = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
        }
    }
}

/// The line for people, for the events that have one.
pub(super) fn line(event: &Event<'_>) -> Option<String> {
    match event {
        Event::Epoch { metrics, epochs } => {
            let width = epochs.to_string().len();
            let validation = match (metrics.validation_accuracy, metrics.validation_loss) {
                (Some(accuracy), Some(loss)) => {
                    format!("  validation loss {loss:.4}, accuracy {accuracy:.4}")
                }
                _ => String::new(),
            };
            Some(format!(
                "epoch {:>width$}/{epochs}  loss {:.4} (last batch {:.4})  learning rate {}  {:.1} s{validation}",
                metrics.epoch,
                metrics.mean_loss,
                metrics.last_batch_loss,
                significant(metrics.learning_rate),
                metrics.seconds,
            ))
        }
        Event::Resumed {
            checkpoint,
            step,
            steps,
            epochs,
            ..
        } => Some(format!(
            "resumed after {} epochs and {step} of {steps} steps from {}",
            epochs.len(),
            checkpoint.display()
        )),
        Event::CheckpointFailed { message } => Some(format!(
            "warning: no checkpoint could be written: {message}"
        )),
        Event::CheckpointNotRemoved { message } => Some(format!(
            "warning: an old checkpoint could not be removed: {message}"
        )),
        Event::Evaluated { split, evaluation } => Some(format!(
            "{split} accuracy {:.4}, loss {:.4} ({} images)",
            evaluation.accuracy, evaluation.mean_loss, evaluation.images
        )),
        _ => None,
    }
}

/// Four significant digits at most, without trailing zeros.
fn significant(value: f64) -> String {
    let digits = format!("{value:.3e}");
    digits
        .parse::<f64>()
        .map_or(digits, |rounded| rounded.to_string())
}
