use std::io::Write;

use indicatif::ProgressStyle;

use crate::observer::text_lines::line;
use crate::{Event, Observer};

/// Shows the running epoch as a bar on the terminal's standard error, and a line for each epoch on
/// standard output.
///
/// ```
/// use std::io::{IsTerminal, stderr, stdout};
/// use lenet_train::{Observer, observer::{ProgressBar, TextLines}};
///
/// let observer: Box<dyn Observer> = match stderr().is_terminal() {
///     true => Box::new(ProgressBar::new()),
///     false => Box::new(TextLines::new(stdout())),
/// };
/// # drop(observer);
/// ```
#[derive(Debug)]
pub struct ProgressBar {
    bar: indicatif::ProgressBar,
}

impl ProgressBar {
    /// A bar that appears with the first step.
    pub fn new() -> Self {
        Self {
            bar: indicatif::ProgressBar::hidden(),
        }
    }
}

impl Default for ProgressBar {
    fn default() -> Self {
        Self::new()
    }
}

impl Observer for ProgressBar {
    fn observe(&mut self, event: &Event<'_>) {
        match event {
            Event::Started {
                training, steps, ..
            } => {
                let total = steps.saturating_mul(training.epochs) as u64;
                self.bar = indicatif::ProgressBar::new(total);
                let style = "{prefix} {wide_bar} {msg}  {per_sec}, {eta} left";
                if let Ok(style) = ProgressStyle::with_template(style) {
                    self.bar.set_style(style);
                }
            }
            Event::Resumed {
                step,
                steps,
                epochs,
                ..
            } => {
                let done = (epochs.len() * steps + step) as u64;
                self.bar.set_position(done);
                // Else the time left would count what was not done now.
                self.bar.reset_eta();
            }
            Event::Step {
                epoch,
                step,
                steps,
                loss,
            } => {
                self.bar.set_position(((epoch - 1) * steps + step) as u64);
                if *step == 1 || self.bar.prefix().is_empty() {
                    self.bar.set_prefix(format!("epoch {epoch}"));
                }
                if let Some(loss) = loss.filter(|_| step % 50 == 0) {
                    self.bar.set_message(format!("loss {loss:.3}"));
                }
            }
            Event::Finished => self.bar.finish_and_clear(),
            _ => {}
        }
        if let Some(line) = line(event) {
            // A reader that went away must not end the training.
            self.bar.suspend(|| {
                let _ = writeln!(std::io::stdout(), "{line}");
            });
        }
    }
}
