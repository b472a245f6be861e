use std::io::{IsTerminal, stderr, stdout};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, bail};
use lenet::plot::{AccuracyCurves, Block, SweepChart};
use lenet::train::TrainingConfig;
use lenet::train::sweep::{
    Outcome, Sweep, SweepEvent, SweepLines, SweepObserver, SweepProgress, SweepResult, SweepRunner,
    Worker,
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

    /// Runs the sweep on these images to learn from and to judge by, prints its table,
    /// and writes table, numbers and charts.
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
        println!("nets      {}, {} at a time", trials.len(), workers.len());
        println!("training  {}, seeds {:?}\n", recipes(sweep), sweep.seeds);
        let observer: Box<dyn SweepObserver> = match stderr().is_terminal() {
            true => Box::new(SweepProgress::new()),
            false => Box::new(SweepLines::new(stdout())),
        };
        let name = &sweep.name;
        let trials_file = format!("{name}-trials.jsonl");
        let file = self.path(&trials_file);
        let earlier = EarlierTrials::default();
        let mut observer = (observer, earlier.clone());
        let stop = interrupt::flag()?;
        let mut runner = SweepRunner::new(sweep, &workers).with_stop(&stop);
        if let Some(interval) = args.checkpoints.checkpoint_every {
            runner = runner.with_checkpoint_interval(interval);
        }
        let result = runner.run(train, held_out, &file, &mut observer)?;
        let earlier = earlier.count();
        println!("\n{result}");

        let write = |session: &Self, file: &str, text: String| {
            write_whole(&session.path(file), text.as_bytes())
        };
        write(self, &format!("{name}.md"), result.to_markdown())?;
        write(self, &format!("{name}.csv"), result.to_csv())?;
        write(self, &format!("{name}.json"), result.to_json()?)?;
        self.wrote("table", format!("{name}.md, .csv and .json"));
        self.add(Block::Table(result.table()));
        for note in result.notes() {
            self.add(Block::Text(note));
        }
        let failed = result.settings.iter().flat_map(|setting| &setting.trials);
        let failed = failed.filter(|trial| matches!(trial.outcome, Outcome::Failed { .. }));
        match failed.count() {
            0 => {}
            failed => bail!("{failed} nets failed; run again to train them"),
        }
        let seconds = result
            .settings
            .iter()
            .flat_map(|setting| &setting.trials)
            .map(|trial| trial.seconds)
            .sum::<f64>();
        self.add_fact(
            "nets",
            format!(
                "{}: {seconds:.0} s of training in all, {} at a time{}",
                trials.len(),
                workers.len(),
                match earlier {
                    0 => String::new(),
                    _ => format!("; {earlier} of them in an earlier run"),
                }
            ),
        );

        let mut chart = SweepChart::new(self.title(title), &result);
        let mut curves = AccuracyCurves::new(self.title(title), &result);
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
        if result
            .settings
            .iter()
            .any(|setting| setting.mean_after(1).is_some())
        {
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
        self.wrote("trials", trials_file);
        Ok(result)
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
