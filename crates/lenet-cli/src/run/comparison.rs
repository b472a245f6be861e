//! Runs a sweep, writes its results in every format, and draws them.

use std::sync::atomic::Ordering;

use anyhow::{Result, bail};
use lenet_core::{SelectedDevice, device_kind};
use lenet_data::Splits;
use lenet_plot::{AccuracyCurves, Figure, SweepChart};
use lenet_train::sweep::{Outcome, Sweep, SweepError, SweepResult, SweepRunner, Worker};
use lenet_train::{Event, Interval, Observer, TrainingConfig};

use crate::args::ComparisonArgs;
use crate::output::{console, to_csv, to_markdown};
use crate::report::Block;
use crate::session::{Session, WithoutSection};

/// What is compared, and for how many epochs and seeds unless the command line says otherwise.
pub(crate) struct Comparison {
    pub(crate) title: &'static str,
    /// Epochs of each run.
    pub(crate) epochs: usize,
    /// Runs of each setting, with different seeds.
    pub(crate) seeds: usize,
    /// Creates the settings from the common recipe.
    pub(crate) sweep: fn(&Recipe) -> Sweep,
}

/// What all settings of a comparison share.
pub(crate) struct Recipe {
    pub(crate) training: TrainingConfig,
    /// Classes of the data set.
    pub(crate) classes: usize,
    /// The learning rate from the command line.
    learning_rate: Option<f64>,
}

impl Recipe {
    /// These learning rates and the one from the command line, in ascending order and without duplicates.
    pub(crate) fn learning_rates(&self, rates: &[f64]) -> Vec<f64> {
        let mut all = rates.to_vec();
        all.extend(self.learning_rate.filter(|rate| !rates.contains(rate)));
        all.sort_by(f64::total_cmp);
        all
    }
}

impl Session {
    /// Runs a comparison with the test images held out, and reports it. `None` if it was only a part.
    pub(crate) fn compare(
        &mut self,
        comparison: &Comparison,
        args: &ComparisonArgs,
    ) -> Result<Option<SweepResult>> {
        let splits = self.splits.clone();
        let sweep = self.sweep(comparison, args);
        self.run_sweep(comparison.title, &sweep, args, &splits)
    }

    /// Divides the training images: eleven twelfths for training, one for validation in place of the test images.
    pub(crate) fn split_validation(&self) -> Splits {
        let validation = self.splits.train.len() / 12;
        let (train, test) = self.splits.train.split_validation(validation, 0);
        Splits { train, test }
    }

    /// The sweep of a comparison, with the epochs, seeds and rates of the command line.
    pub(crate) fn sweep(&self, comparison: &Comparison, args: &ComparisonArgs) -> Sweep {
        let recipe = Recipe {
            training: args.recipe.training(comparison.epochs, self.quick),
            classes: self.classes(),
            learning_rate: args.recipe.lr,
        };
        let seeds = args
            .sweep
            .seeds(args.recipe.seed, comparison.seeds, self.quick);
        (comparison.sweep)(&recipe).with_seeds(seeds)
    }

    /// Trains on `splits.train` with `splits.test` held out, writes results and charts, and prints the table.
    ///
    /// If the sweep is interrupted or trials fail, the tables and charts of an earlier run stay as they are. With
    /// `--partition` and `--no-train`, no other file is written, and the result is `None`: several parts would write the
    /// same files, and a report of what is there so far must not pass for the result.
    pub(crate) fn run_sweep(
        &mut self,
        title: &str,
        sweep: &Sweep,
        args: &ComparisonArgs,
        splits: &Splits,
    ) -> Result<Option<SweepResult>> {
        if args.sweep.no_train {
            self.report_sweep(sweep, args, splits)?;
            return Ok(None);
        }
        let part = args.sweep.partition;
        let trials = match part {
            Some(part) => part.trials(sweep, splits.train.len()).len(),
            None => sweep.trials().len(),
        };
        let workers = self.workers(trials.max(1), args.sweep.jobs);
        let of_part = part.map_or(String::new(), |part| format!(" of part {part}"));
        say!("trials    {trials}{of_part}, {} at a time", workers.len());
        say!("training  {}, seeds {:?}\n", recipes(sweep), sweep.seeds);
        let mut observer = (console(), EarlierTrials(0));
        let mut runner = SweepRunner::new(sweep, &workers)
            .with_observer(&mut observer)
            .with_stop(&self.stop)
            .with_mixed_devices(args.sweep.mixed_devices);
        // A scheduler stops and restarts parts as it likes.
        let of_part = part.map(|_| Interval::Epochs(1));
        if let Some(interval) = args.checkpoints.checkpoint_every.or(of_part) {
            runner = runner.with_checkpoint_interval(interval);
        }
        if let Some(part) = part {
            runner = runner.with_partition(part);
        }
        let file = self.path(&format!("{}-trials.jsonl", sweep.name));
        let result = runner.run(&splits.train, &splits.test, file)?;
        self.check_stop(&result)?;
        let failed = result
            .results()
            .filter(|trial| matches!(trial.outcome, Outcome::Failed { .. }));
        let failed = failed.count();
        if failed > 0 {
            say!("\n{result}");
            bail!("{failed} trials failed; rerun the same command to repeat them");
        }

        if let Some(part) = part {
            self.without_section = Some(WithoutSection::Part(part));
            return Ok(None);
        }
        self.remove_old_section()?;
        self.write_results(&result)?;
        self.draw(title, &result)?;
        say!("\n{result}");
        let (_, EarlierTrials(earlier)) = observer;
        self.add_fact("trials", describe(&result, workers.len(), earlier));
        self.check_stop(&result)?;
        Ok(Some(result))
    }

    /// Prints what is on disk of a sweep and its parts.
    fn report_sweep(
        &mut self,
        sweep: &Sweep,
        args: &ComparisonArgs,
        splits: &Splits,
    ) -> Result<()> {
        let file = self.path(&format!("{}-trials.jsonl", sweep.name));
        let mut observer = console();
        let runner = SweepRunner::new(sweep, &[])
            .with_observer(&mut observer)
            .with_mixed_devices(args.sweep.mixed_devices);
        let result = runner.read(&splits.train, &splits.test, &file)?;
        if result.results().next().is_none() {
            bail!(
                "no trial of this comparison is complete yet: looked for {} and its parts",
                file.display()
            );
        }
        say!("\n{result}\n{}", result.conclusion());
        let missing = result.trials().filter(|trial| !trial.is_done()).count();
        let earlier = match self.without_section {
            Some(WithoutSection::Report { missing }) => missing,
            _ => 0,
        };
        let missing = earlier + missing;
        self.without_section = Some(WithoutSection::Report { missing });
        Ok(())
    }

    /// The workers that run the trials.
    fn workers(&self, trials: usize, jobs: Option<usize>) -> Vec<Worker> {
        let jobs = jobs.unwrap_or_else(|| default_jobs(&self.device));
        Worker::share_cores(&self.device.device, jobs.min(trials))
    }

    fn write_results(&mut self, result: &SweepResult) -> Result<()> {
        let name = &result.name;
        self.write(&format!("{name}.md"), to_markdown(result).as_bytes())?;
        self.write(&format!("{name}.csv"), to_csv(result)?.as_bytes())?;
        self.write(&format!("{name}.json"), &serde_json::to_vec_pretty(result)?)?;
        self.wrote("table", format!("{name}.md, .csv and .json"));
        self.wrote("trials", format!("{name}-trials.jsonl"));
        self.add(Block::Sweep(result.clone()));
        Ok(())
    }

    fn draw(&mut self, title: &str, result: &SweepResult) -> Result<()> {
        let name = &result.name;
        let title = self.title(title);
        let held_out = &result.held_out;
        self.save_figure(
            Figure::new(title.clone(), SweepChart::new(result)),
            name,
            &["png", "svg"],
            format!(
                "{held_out} accuracy for each {}: mean, standard deviation and every seed.",
                result.parameter
            ),
        )?;
        // If every trial diverged in its first epoch, there are no curves to draw.
        let mut settings = result.settings.iter();
        if settings.any(|setting| setting.mean_after(1).is_some()) {
            self.save_figure(
                Figure::new(title, AccuracyCurves::new(result)),
                &format!("{name}-epochs"),
                &["png", "svg"],
                format!("{held_out} accuracy after each epoch: mean, minimum and maximum over the seeds."),
            )?;
        }
        Ok(())
    }

    /// Ends the run if Ctrl-C was pressed while nothing was being trained: all finished trials are on disk.
    fn check_stop(&self, result: &SweepResult) -> Result<(), SweepError> {
        if self.stop.load(Ordering::Relaxed) {
            let result = Box::new(result.clone());
            return Err(SweepError::Interrupted { result });
        }
        Ok(())
    }
}

/// How many trials an earlier run left on disk.
struct EarlierTrials(usize);

impl Observer for EarlierTrials {
    fn observe(&mut self, event: &Event<'_>) {
        if let Event::SweepStarted { finished, .. } = event {
            self.0 = *finished;
        }
    }
}

/// How the trials were computed, as a fact of the report.
fn describe(result: &SweepResult, workers: usize, earlier: usize) -> String {
    let devices: Vec<&str> = result.devices().into_iter().collect();
    let seconds: f64 = result.results().map(|trial| trial.seconds).sum();
    let earlier = match earlier {
        0 => String::new(),
        earlier => format!("; {earlier} of them in an earlier run"),
    };
    format!(
        "{}: {seconds:.0} s of training in total on {}, {workers} at a time{earlier}",
        result.trials().count(),
        devices.join(" and "),
    )
}

/// The distinct values in the recipes of the settings.
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

/// Trials at once: one per core on a CPU; on a GPU many, because those of one geometry train in the same launches; one
/// on the device of another machine.
fn default_jobs(device: &SelectedDevice) -> usize {
    const ON_A_GPU: usize = 32;
    match device_kind(&device.device) {
        "cuda" | "metal" | "rocm" | "wgpu" => ON_A_GPU,
        _ if device.is_cpu => std::thread::available_parallelism().map_or(1, usize::from),
        _ => 1,
    }
}
