//! Progress on the console: bars on a terminal, lines of text in a pipe.

use std::collections::HashMap;
use std::io::{IsTerminal, Write, stderr, stdout};

use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressStyle};
use lenet_train::observer::{RemainingTime, TextLines};
use lenet_train::sweep::Trial;
use lenet_train::{Event, Observer};

/// The observer of a run or a sweep on the console.
pub(crate) fn console() -> Box<dyn Observer> {
    if stderr().is_terminal() {
        Box::new(Bars::default())
    } else {
        Box::new(TextLines::new(stdout()))
    }
}

/// Steps between two updates of a bar's message.
const UPDATE_STEPS: usize = 50;

/// Resolution of the bar of a sweep.
const SWEEP_STEPS: u64 = 1000;

/// Bars on standard error, one for the sweep and one for each network in training. Standard output gets the same lines
/// as in a pipe.
#[derive(Default)]
struct Bars {
    bars: MultiProgress,
    /// The bar of the sweep, if there is one.
    sweep: Option<ProgressBar>,
    /// The bar of each run, by label and seed; a run outside a sweep has neither.
    runs: HashMap<Option<(String, u64)>, ProgressBar>,
    remaining: RemainingTime,
    lines: TextLines<Vec<u8>>,
}

impl Observer for Bars {
    fn observe(&mut self, event: &Event<'_>) {
        self.remaining.observe(event);
        match event {
            Event::SweepStarted {
                trials, finished, ..
            } => {
                let bar = styled(ProgressBar::new(SWEEP_STEPS), "{prefix} {wide_bar} {msg}");
                self.sweep = Some(self.bars.add(bar.with_prefix(done(*finished, *trials))));
            }
            Event::Trial { trial, event } => self.run(Some(key(trial)), event),
            Event::TrialFinished {
                trial,
                finished,
                trials,
                ..
            } => {
                self.remove(&Some(key(trial)));
                if let Some(bar) = &self.sweep {
                    bar.set_prefix(done(*finished, *trials));
                }
            }
            Event::SweepFinished => {
                if let Some(bar) = self.sweep.take() {
                    bar.finish_and_clear();
                }
            }
            event => self.run(None, event),
        }
        self.show_sweep();
        self.print(event);
    }
}

impl Bars {
    /// Updates the bar of one run.
    fn run(&mut self, key: Option<(String, u64)>, event: &Event<'_>) {
        match event {
            Event::Started {
                training, steps, ..
            } => {
                let name = match &key {
                    Some((label, seed)) => format!("  {label}, seed {seed}"),
                    None => "training".to_owned(),
                };
                let total = steps.saturating_mul(training.epochs) as u64;
                let template = "{prefix} {wide_bar} {msg}  {per_sec}, {eta} left";
                let bar = styled(ProgressBar::new(total), template).with_prefix(name);
                self.runs.insert(key, self.bars.add(bar));
            }
            Event::Resumed {
                step,
                steps,
                epochs,
                ..
            } => {
                if let Some(bar) = self.runs.get(&key) {
                    bar.set_position((epochs.len() * steps + step) as u64);
                    // The steps of the earlier run do not count towards the speed of this one.
                    bar.reset_eta();
                }
            }
            Event::Step {
                epoch,
                step,
                steps,
                loss,
            } => {
                if let Some(bar) = self.runs.get(&key) {
                    bar.set_position(((epoch - 1) * steps + step) as u64);
                    if step % UPDATE_STEPS == 0 || *step == 1 {
                        let loss = loss.map_or(String::new(), |loss| format!("  loss {loss:.3}"));
                        let epochs = bar.length().unwrap_or(0) / (*steps as u64).max(1);
                        bar.set_message(format!("epoch {epoch}/{epochs}{loss}"));
                    }
                }
            }
            Event::Finished => self.remove(&key),
            _ => {}
        }
    }

    fn remove(&mut self, key: &Option<(String, u64)>) {
        if let Some(bar) = self.runs.remove(key) {
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
    }

    fn show_sweep(&self) {
        if let Some(bar) = &self.sweep {
            bar.set_position((self.remaining.fraction() * SWEEP_STEPS as f64) as u64);
            if let Some(left) = self.remaining.left() {
                bar.set_message(format!("{} left", HumanDuration(left)));
            }
        }
    }

    /// Prints the lines about this event above the bars.
    fn print(&mut self, event: &Event<'_>) {
        self.lines.observe(event);
        let text = std::mem::take(self.lines.get_mut());
        if !text.is_empty() {
            // A closed standard output must not end the training.
            self.bars.suspend(|| {
                let _ = stdout().write_all(&text);
            });
        }
    }
}

fn done(finished: usize, trials: usize) -> String {
    format!("{finished} of {trials} trials")
}

fn key(trial: &Trial<'_>) -> (String, u64) {
    (trial.setting.label.clone(), trial.seed)
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(error) => unreachable!("the template '{template}' is valid: {error}"),
    }
}
