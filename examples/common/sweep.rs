use std::io::{ErrorKind, IsTerminal, stderr, stdout};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, Result, bail};
use lenet::plot::{AccuracyCurves, Block, SweepChart};
use lenet::train::TrainingConfig;
use lenet::train::sweep::{
    Sweep, SweepError, SweepEvent, SweepLines, SweepObserver, SweepProgress, SweepResult,
    SweepRunner, Worker,
};

use super::args::{CompareArgs, parse};
use super::exercise::{Exercise, Session};
use super::{exit_code, interrupt, write_whole};

/// Trains `nets` networks of each setting of the sweep that `build` makes of a recipe of 15 epochs
/// and the number of classes.
pub(crate) fn compare(
    exercise: &Exercise,
    nets: usize,
    build: impl Fn(&CompareArgs, TrainingConfig, usize) -> Sweep,
) -> ExitCode {
    let args: CompareArgs = parse(exercise.question);
    exit_code(|| {
        let mut session = Session::begin(exercise, &args.session)?;
        let training = args.recipe.training(15, session.quick);
        let seeds = args.sweep.seeds(args.recipe.seed, nets, session.quick);
        let sweep = build(&args, training, session.classes()).with_seeds(seeds);
        let result = session.sweep(exercise.title, &sweep, &args)?;
        session.say(result.conclusion());
        session.finish()
    })
}

impl Session {
    /// Runs the sweep with the test set as judge, and reports it.
    pub(crate) fn sweep(
        &mut self,
        title: &str,
        sweep: &Sweep,
        args: &CompareArgs,
    ) -> Result<SweepResult> {
        let (train, test) = (self.splits.train.clone(), self.splits.test.clone());
        self.sweep_on(title, sweep, args, (&train, &test))
    }

    /// Runs the sweep on these images to learn from and to judge by, writes table, numbers and charts,
    /// and prints the table. A sweep that was stopped, or has failed trials, leaves older files alone.
    pub(crate) fn sweep_on(
        &mut self,
        title: &str,
        sweep: &Sweep,
        args: &CompareArgs,
        (train, held_out): (&lenet::data::ImageDataset, &lenet::data::ImageDataset),
    ) -> Result<SweepResult> {
        let trials = sweep.trials();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let jobs = args
            .sweep
            .jobs
            .unwrap_or(if self.device.is_cpu { cores } else { 1 });
        let workers = Worker::share_cores(&self.device.device, jobs.min(trials.len()));
        say!("trials    {}, {} at a time", trials.len(), workers.len());
        say!("training  {}, seeds {:?}\n", recipes(sweep), sweep.seeds);
        let observer: Box<dyn SweepObserver> = match stderr().is_terminal() {
            true => Box::new(SweepProgress::new()),
            false => Box::new(SweepLines::new(stdout())),
        };
        let earlier = EarlierTrials::default();
        let mut observer = (observer, earlier.clone());
        let stop = interrupt::flag()?;
        let mut runner = SweepRunner::new(sweep, &workers)
            .with_stop(&stop)
            .with_mixed_devices(args.sweep.mixed_devices);
        if let Some(interval) = args.checkpoints.checkpoint_every {
            runner = runner.with_checkpoint_interval(interval);
        }
        let file = self.path(&format!("{}-trials.jsonl", sweep.name));
        let result = runner.run(train, held_out, &file, &mut observer)?;
        check_stop(&stop, &result)?;
        if !result.is_complete() {
            say!("\n{result}");
            let failed = result.trials().filter(|trial| !trial.is_done()).count();
            bail!("{failed} trials failed; run the same command again to repeat them");
        }

        // It would show older tables beside the new charts, if the rest cannot be written.
        let section = std::fs::remove_file(self.path("section.json"));
        if let Err(error) = section
            && error.kind() != ErrorKind::NotFound
        {
            return Err(error).context("removing the section.json of an earlier run");
        }
        self.write_tables(&result)?;
        self.write_charts(title, &result)?;
        say!("\n{result}");
        self.wrote("trials", format!("{}-trials.jsonl", result.name));
        let devices: Vec<&str> = result.devices().into_iter().collect();
        let seconds: f64 = result.results().map(|trial| trial.seconds).sum();
        self.add_fact(
            "trials",
            format!(
                "{}: {seconds:.0} s of training in all on {}, {} at a time{}",
                trials.len(),
                devices.join(" and "),
                workers.len(),
                match earlier.count() {
                    0 => String::new(),
                    earlier => format!("; {earlier} of them in an earlier run"),
                }
            ),
        );
        check_stop(&stop, &result)?;
        Ok(result)
    }

    /// Writes the table in all its forms, and puts it into the report.
    fn write_tables(&mut self, result: &SweepResult) -> Result<()> {
        let name = &result.name;
        let write = |ending: &str, text: String| {
            write_whole(&self.path(&format!("{name}.{ending}")), text.as_bytes())
        };
        write("md", result.to_markdown())?;
        write("csv", result.to_csv())?;
        write("json", result.to_json()?)?;
        self.wrote("table", format!("{name}.md, .csv and .json"));
        self.add(Block::Table(result.table()));
        for note in result.notes() {
            self.add(Block::Text(note));
        }
        Ok(())
    }

    /// Draws the accuracies, and puts them into the report.
    fn write_charts(&mut self, title: &str, result: &SweepResult) -> Result<()> {
        let name = &result.name;
        let mut chart = SweepChart::new(self.title(title), result);
        let mut curves = AccuracyCurves::new(self.title(title), result);
        if let Some(warning) = self.warning() {
            chart = chart.with_warning(warning.clone());
            curves = curves.with_warning(warning);
        }
        let caption = format!(
            "{} accuracy for each {}: mean, standard deviation and every seed.",
            result.held_out, result.parameter
        );
        chart.save(self.path(&format!("{name}.png")))?;
        chart.save(self.path(&format!("{name}.svg")))?;
        self.wrote("chart", format!("{name}.png and .svg"));
        self.add(Block::Picture {
            file: format!("{name}.svg"),
            caption,
        });
        // Where every trial diverged in its first epoch there is no curve to draw.
        let mut settings = result.settings.iter();
        if settings.any(|setting| setting.mean_after(1).is_some()) {
            curves.save(self.path(&format!("{name}-epochs.png")))?;
            curves.save(self.path(&format!("{name}-epochs.svg")))?;
            self.wrote("curves", format!("{name}-epochs.png and .svg"));
            self.add(Block::Picture {
                file: format!("{name}-epochs.svg"),
                caption: format!(
                    "{} accuracy after each epoch: mean over the seeds, and from the lowest to the highest.",
                    result.held_out
                ),
            });
        }
        Ok(())
    }
}

/// Ends the exercise if Ctrl-C came while nothing was being trained: what has been trained is on disk.
fn check_stop(stop: &AtomicBool, result: &SweepResult) -> Result<(), SweepError> {
    match stop.load(Ordering::Relaxed) {
        false => Ok(()),
        true => Err(SweepError::Interrupted {
            result: Box::new(result.clone()),
        }),
    }
}

/// Remembers how many trials an earlier run left on disk.
#[derive(Clone, Default)]
struct EarlierTrials(Arc<AtomicUsize>);

impl EarlierTrials {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl SweepObserver for EarlierTrials {
    fn observe(&mut self, event: &SweepEvent<'_>) {
        if let SweepEvent::Started { finished, .. } = event {
            self.0.store(*finished, Ordering::Relaxed);
        }
    }
}

/// What the settings' recipes share and where they differ, in a few words.
fn recipes(sweep: &Sweep) -> String {
    let each = |value: fn(&TrainingConfig) -> String| {
        let mut values: Vec<String> = Vec::new();
        for setting in &sweep.settings {
            let value = value(&setting.training);
            if !values.contains(&value) {
                values.push(value);
            }
        }
        values.join(", ")
    };
    format!(
        "{} epochs, batch {}, learning rate {}",
        each(|training| training.epochs.to_string()),
        each(|training| training.batch_size.to_string()),
        each(|training| training.learning_rate.to_string()),
    )
}
