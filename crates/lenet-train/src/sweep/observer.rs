use std::collections::HashMap;
use std::io::Write;
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressStyle};

use super::{Outcome, Sweep, Trial, TrialResult};
use crate::Event;

/// Something that happened in a sweep.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SweepEvent<'a> {
    /// The sweep begins.
    Started {
        /// What is run.
        sweep: &'a Sweep,
        /// Trials of this sweep that an earlier run finished.
        finished: usize,
        /// Multiply-adds of the missing trials' forward passes.
        work: u64,
        /// Trials that run at once.
        workers: usize,
    },
    /// A trial begins.
    TrialStarted {
        /// Which.
        trial: &'a Trial<'a>,
    },
    /// Something happened in a trial's training.
    Training {
        /// Which trial.
        trial: &'a Trial<'a>,
        /// What.
        event: &'a Event<'a>,
    },
    /// A trial is done and on disk.
    TrialFinished {
        /// Which.
        trial: &'a Trial<'a>,
        /// What it gave.
        result: &'a TrialResult,
    },
    /// Every trial is done, or the sweep was stopped by an error.
    Finished,
}

/// Told of every [`SweepEvent`], from whichever thread it happens on, one at a time.
pub trait SweepObserver: Send {
    /// Takes note of an event. It must not fail: what goes wrong here must not cost a result.
    fn observe(&mut self, event: &SweepEvent<'_>);
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct SilentSweep;

impl SweepObserver for SilentSweep {
    fn observe(&mut self, _event: &SweepEvent<'_>) {}
}

/// Two observers as one.
impl<A: SweepObserver, B: SweepObserver> SweepObserver for (A, B) {
    fn observe(&mut self, event: &SweepEvent<'_>) {
        self.0.observe(event);
        self.1.observe(event);
    }
}

impl<T: SweepObserver + ?Sized> SweepObserver for Box<T> {
    fn observe(&mut self, event: &SweepEvent<'_>) {
        (**self).observe(event);
    }
}

/// How much of a sweep's work is done, in multiply-adds.
#[derive(Debug, Default)]
struct Estimate {
    total: u64,
    done: f64,
    started: Option<Instant>,
    images: usize,
}

impl Estimate {
    fn observe(&mut self, event: &SweepEvent<'_>) {
        match event {
            SweepEvent::Started { work, .. } => {
                self.total = *work;
                self.started = Some(Instant::now());
            }
            SweepEvent::Training { trial, event } => match event {
                Event::Started { images, .. } => self.images = *images,
                Event::Resumed {
                    step,
                    steps,
                    epochs,
                    ..
                } => {
                    // What an earlier run has done is no work of this one.
                    let all = trial.setting.training.epochs.saturating_mul(*steps).max(1);
                    let part = (epochs.len() * steps + step) as f64 / all as f64;
                    let done = (trial.work(self.images) as f64 * part) as u64;
                    self.total = self.total.saturating_sub(done);
                }
                Event::Step { steps, .. } => {
                    let epochs = trial.setting.training.epochs;
                    self.done += trial.work(self.images) as f64
                        / epochs.saturating_mul(*steps).max(1) as f64;
                }
                _ => {}
            },
            SweepEvent::TrialFinished { trial, result } => {
                // What a diverged trial did not do is done all the same.
                let epochs = trial.setting.training.epochs.max(1);
                let left = epochs.saturating_sub(result.epochs.len()) as f64 / epochs as f64;
                self.done += trial.work(self.images) as f64 * left;
            }
            _ => {}
        }
    }

    /// Time left, once a hundredth of the work tells the pace.
    fn left(&self) -> Option<Duration> {
        let part = self.done / self.total.max(1) as f64;
        let elapsed = self.started?.elapsed().as_secs_f64();
        let left = elapsed * (1.0 - part).max(0.0) / part;
        (part > 0.01).then(|| Duration::try_from_secs_f64(left).ok())?
    }
}

/// The line for people about a finished trial.
fn line(result: &TrialResult, epochs: usize, done: usize, total: usize) -> String {
    let width = total.to_string().len();
    let what = match &result.outcome {
        Outcome::Finished => {
            let loss = result.epochs.last().map_or(f64::NAN, |m| m.mean_loss);
            let accuracy = result.accuracy().unwrap_or(f64::NAN);
            format!("accuracy {accuracy:.4}, training loss {loss:.4}")
        }
        Outcome::Diverged { .. } => {
            let epoch = result.epochs.len() + 1;
            format!("diverged in epoch {epoch} of {epochs}")
        }
        Outcome::Failed { message } => format!("failed: {message}"),
    };
    format!(
        "{done:>width$}/{total}  {}, seed {}: {what}  {:.1} s",
        result.label, result.seed, result.seconds
    )
}

/// The line for people about what an earlier run did.
fn resumed(finished: usize, total: usize) -> Option<String> {
    match finished {
        0 => None,
        _ if finished == total => Some(format!("all {total} trials are on disk already")),
        _ => Some(format!("{finished} of {total} trials are on disk already")),
    }
}

/// Writes a line for each finished trial: for pipes and log files.
///
/// ```
/// use lenet_train::sweep::SweepLines;
///
/// let to_a_pipe = SweepLines::new(std::io::stdout());
/// # drop(to_a_pipe);
/// ```
#[derive(Debug)]
pub struct SweepLines<W> {
    out: W,
    done: usize,
    total: usize,
    estimate: Estimate,
}

impl<W: Write + Send> SweepLines<W> {
    /// Writes to `out`; what cannot be written is lost.
    pub fn new(out: W) -> Self {
        Self {
            out,
            done: 0,
            total: 0,
            estimate: Estimate::default(),
        }
    }

    fn write(&mut self, line: &str) {
        // A reader that went away must not end the training.
        let _ = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
    }
}

impl<W: Write + Send> SweepObserver for SweepLines<W> {
    fn observe(&mut self, event: &SweepEvent<'_>) {
        self.estimate.observe(event);
        match event {
            SweepEvent::Started {
                sweep, finished, ..
            } => {
                (self.done, self.total) = (*finished, sweep.trials().len());
                if let Some(line) = resumed(self.done, self.total) {
                    self.write(&line);
                }
            }
            SweepEvent::TrialFinished { trial, result } => {
                self.done += 1;
                let epochs = trial.setting.training.epochs;
                let mut line = line(result, epochs, self.done, self.total);
                if let Some(left) = self.estimate.left().filter(|_| self.done < self.total) {
                    line += &format!("  ({} left)", HumanDuration(left));
                }
                self.write(&line);
            }
            SweepEvent::Training { trial, event } => {
                if let Some(warning) = warning(trial, event) {
                    self.write(&warning);
                }
            }
            _ => {}
        }
    }
}

/// Shows the whole sweep and each running trial as a bar on the terminal's standard error, and a
/// line for each finished trial on standard output.
///
/// ```
/// use std::io::{IsTerminal, stderr, stdout};
/// use lenet_train::sweep::{SweepLines, SweepObserver, SweepProgress};
///
/// let observer: Box<dyn SweepObserver> = match stderr().is_terminal() {
///     true => Box::new(SweepProgress::new()),
///     false => Box::new(SweepLines::new(stdout())),
/// };
/// # drop(observer);
/// ```
#[derive(Debug)]
pub struct SweepProgress {
    bars: MultiProgress,
    whole: ProgressBar,
    running: HashMap<(String, u64), ProgressBar>,
    done: usize,
    total: usize,
    estimate: Estimate,
}

/// Parts of the bar of a whole sweep.
const PARTS: u64 = 1000;

impl SweepProgress {
    /// Bars that appear with the first trial.
    pub fn new() -> Self {
        Self {
            bars: MultiProgress::new(),
            whole: ProgressBar::hidden(),
            running: HashMap::new(),
            done: 0,
            total: 0,
            estimate: Estimate::default(),
        }
    }

    fn print(&self, line: &str) {
        // A reader that went away must not end the training.
        self.bars.suspend(|| {
            let _ = writeln!(std::io::stdout(), "{line}");
        });
    }

    fn show_whole(&self) {
        let part = self.estimate.done / self.estimate.total.max(1) as f64;
        self.whole.set_position((part * PARTS as f64) as u64);
        self.whole
            .set_prefix(format!("{} of {} trials", self.done, self.total));
        if let Some(left) = self.estimate.left() {
            self.whole
                .set_message(format!("{} left", HumanDuration(left)));
        }
    }

    fn training(&mut self, trial: &Trial<'_>, event: &Event<'_>) {
        let Some(bar) = self.running.get(&key(trial)) else {
            return;
        };
        match event {
            Event::Started {
                training, steps, ..
            } => bar.set_length(training.epochs.saturating_mul(*steps) as u64),
            Event::Step {
                epoch,
                step,
                steps,
                loss,
            } => {
                bar.set_position(((epoch - 1) * steps + step) as u64);
                if step % 50 == 0 {
                    let epochs = trial.setting.training.epochs;
                    let loss = loss.map_or(String::new(), |loss| format!("loss {loss:.3}"));
                    bar.set_message(format!("epoch {epoch}/{epochs}  {loss}"));
                    self.show_whole();
                }
            }
            _ => {}
        }
    }
}

/// The line about a checkpoint that could not be written.
fn warning(trial: &Trial<'_>, event: &Event<'_>) -> Option<String> {
    match event {
        Event::CheckpointFailed { message } => Some(format!(
            "warning: {}, seed {}: no checkpoint could be written: {message}",
            trial.setting.label, trial.seed
        )),
        _ => None,
    }
}

fn key(trial: &Trial<'_>) -> (String, u64) {
    (trial.setting.label.clone(), trial.seed)
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

impl Default for SweepProgress {
    fn default() -> Self {
        Self::new()
    }
}

impl SweepObserver for SweepProgress {
    fn observe(&mut self, event: &SweepEvent<'_>) {
        self.estimate.observe(event);
        match event {
            SweepEvent::Started {
                sweep, finished, ..
            } => {
                (self.done, self.total) = (*finished, sweep.trials().len());
                if let Some(line) = resumed(self.done, self.total) {
                    self.print(&line);
                }
                let whole = styled(ProgressBar::new(PARTS), "{prefix} {wide_bar} {msg}");
                self.whole = self.bars.add(whole);
                self.show_whole();
            }
            SweepEvent::TrialStarted { trial } => {
                let template = "  {prefix} {wide_bar} {msg}  {eta} left";
                let bar = styled(ProgressBar::new(1), template);
                let name = format!("{}, seed {}", trial.setting.label, trial.seed);
                self.running
                    .insert(key(trial), self.bars.add(bar.with_prefix(name)));
            }
            SweepEvent::Training { trial, event } => {
                if let Some(warning) = warning(trial, event) {
                    self.print(&warning);
                }
                self.training(trial, event);
            }
            SweepEvent::TrialFinished { trial, result } => {
                if let Some(bar) = self.running.remove(&key(trial)) {
                    bar.finish_and_clear();
                    self.bars.remove(&bar);
                }
                self.done += 1;
                let epochs = trial.setting.training.epochs;
                self.print(&line(result, epochs, self.done, self.total));
                self.show_whole();
            }
            SweepEvent::Finished => self.whole.finish_and_clear(),
        }
    }
}
