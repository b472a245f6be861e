use std::path::{Path, PathBuf};

use clap::{Args, Parser, ValueEnum};
use lenet::core::DeviceChoice;
use lenet::train::{Interval, TrainingConfig};

/// Parses the command line; `about` is what `--help` says first.
pub(crate) fn parse<A: Parser>(about: &'static str) -> A {
    let matches = A::command().version(env!("CARGO_PKG_VERSION")).about(about);
    A::from_arg_matches(&matches.get_matches()).unwrap_or_else(|error| error.exit())
}

/// Flags of an exercise that trains one network.
#[derive(Debug, Parser)]
pub(crate) struct TrainArgs {
    #[command(flatten)]
    pub(crate) session: SessionArgs,
    #[command(flatten)]
    pub(crate) recipe: RecipeArgs,
    #[command(flatten)]
    pub(crate) checkpoints: CheckpointArgs,

    /// Go on from the last checkpoint of an earlier run
    #[arg(long)]
    pub(crate) resume: bool,
}

/// Flags of an exercise that compares networks.
#[derive(Debug, Parser)]
pub(crate) struct CompareArgs {
    #[command(flatten)]
    pub(crate) session: SessionArgs,
    #[command(flatten)]
    pub(crate) recipe: RecipeArgs,
    #[command(flatten)]
    pub(crate) sweep: SweepArgs,
    #[command(flatten)]
    pub(crate) checkpoints: CheckpointArgs,
}

/// Flags of an exercise that looks inside a trained network.
#[derive(Debug, Parser)]
pub(crate) struct LookArgs {
    #[command(flatten)]
    pub(crate) session: SessionArgs,
    #[command(flatten)]
    pub(crate) recipe: RecipeArgs,

    /// Weights of a modern LeNet, as q1_modern writes them, instead of training one
    #[arg(long, value_name = "FILE", conflicts_with_all = ["epochs", "batch_size", "lr", "seed"])]
    pub(crate) weights: Option<PathBuf>,
}

/// Where to compute, on what, and where to write.
#[derive(Debug, Args)]
pub(crate) struct SessionArgs {
    #[arg(long, default_value = "auto", value_name = "NAME", help = device_help())]
    pub(crate) device: DeviceChoice,

    /// Images; auto is the exercise's data set, or drawings where it cannot be had
    #[arg(long, value_enum, default_value_t = DatasetChoice::Auto, value_name = "NAME")]
    pub(crate) dataset: DatasetChoice,

    /// Folder to look in first; then LENET_DATA_DIR, datasets/ and the user's cache
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Folder for the files written [default: out/ and the example's name, out/quick/ with --quick]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// A short run to see that everything works: 12,800 images, a few epochs
    #[arg(long)]
    pub(crate) quick: bool,
}

/// How to train.
#[derive(Debug, Args)]
pub(crate) struct RecipeArgs {
    /// Passes over the training images [default: the exercise's, or 2 with --quick]
    #[arg(long, value_name = "N", value_parser = count)]
    epochs: Option<usize>,

    /// Images to a step
    #[arg(long, value_name = "N", default_value = "128", value_parser = count)]
    batch_size: usize,

    /// Learning rate of SGD; a comparison of learning rates takes it in addition [default: 0.1]
    #[arg(long, value_name = "RATE", value_parser = learning_rate, allow_negative_numbers = true)]
    lr: Option<f64>,

    /// Seed of the initial weights and of the order of the images
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub(crate) seed: u64,
}

/// What a run that is stopped leaves behind.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct CheckpointArgs {
    /// Leave a checkpoint every so many epochs, as 1, or steps, as 500steps
    #[arg(long, value_name = "N")]
    pub(crate) checkpoint_every: Option<Interval>,
}

/// How many networks to compare, and how many at once.
#[derive(Debug, Args)]
pub(crate) struct SweepArgs {
    /// Networks of each setting, with seeds SEED, SEED+1, … [default: the exercise's, at most 2 with --quick]
    #[arg(long, value_name = "N", value_parser = count)]
    seeds: Option<usize>,

    /// Networks trained at once; on a CPU they share its cores [default: one for each core; 1 on a GPU]
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) jobs: Option<usize>,

    /// Let trials of one comparison be computed on different kinds of devices: their numbers differ in the last digits
    #[arg(long)]
    pub(crate) mixed_devices: bool,
}

/// The images to train on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DatasetChoice {
    /// The exercise's data set if it can be had, else drawings
    Auto,
    /// Articles of clothing
    FashionMnist,
    /// Handwritten digits
    Mnist,
    /// Handwritten Hiragana
    Kmnist,
    /// Garments drawn by this program
    Synthetic,
    /// Digits drawn by this program
    SyntheticDigits,
}

impl SessionArgs {
    pub(crate) fn out_folder(&self, example: &str) -> PathBuf {
        let root = Path::new(if self.quick { "out/quick" } else { "out" });
        self.out.clone().unwrap_or_else(|| root.join(example))
    }
}

impl RecipeArgs {
    /// The recipe, where the exercise asks for this many epochs.
    pub(crate) fn training(&self, epochs: usize, quick: bool) -> TrainingConfig {
        TrainingConfig::default()
            .with_epochs(self.epochs.unwrap_or(if quick { 2 } else { epochs }))
            .with_batch_size(self.batch_size)
            .with_learning_rate(self.lr.unwrap_or(0.1))
            .with_seed(self.seed)
    }

    /// The learning rates of an exercise, and the one of the command line if it is another.
    pub(crate) fn learning_rates(&self, exercise: &[f64]) -> Vec<f64> {
        let mut rates = exercise.to_vec();
        rates.extend(self.lr.filter(|rate| !exercise.contains(rate)));
        rates.sort_by(f64::total_cmp);
        rates
    }
}

impl SweepArgs {
    /// The seeds, where the exercise asks for this many networks.
    pub(crate) fn seeds(&self, first: u64, nets: usize, quick: bool) -> Vec<u64> {
        let count = self.seeds.unwrap_or(if quick { nets.min(2) } else { nets });
        (0..count as u64)
            .map(|seed| first.wrapping_add(seed))
            .collect()
    }
}

fn device_help() -> String {
    let names = names(&DeviceChoice::available());
    let others = names_of_others();
    format!(
        "Device; auto takes a hardware GPU if there is one, else the CPU [one of: {names}; not in this build: {others}]"
    )
}

/// The devices of this build, and those left out of it.
pub(crate) fn backends() -> String {
    let mut available = DeviceChoice::available();
    available.retain(|&choice| choice != DeviceChoice::Auto);
    format!(
        "{}; not in this build: {}",
        names(&available),
        names_of_others()
    )
}

fn names_of_others() -> String {
    match DeviceChoice::unavailable().as_slice() {
        [] => "none".to_owned(),
        others => names(others),
    }
}

fn names(choices: &[DeviceChoice]) -> String {
    let names: Vec<&str> = choices.iter().map(|choice| choice.name()).collect();
    names.join(", ")
}

/// More of anything is a slip of the keyboard.
const MOST: usize = 1_000_000;

pub(crate) fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(count) if count > MOST => Err(format!("must be at most {MOST}")),
        Ok(count) => Ok(count),
        Err(error) => Err(error.to_string()),
    }
}

fn learning_rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text
        .parse()
        .map_err(|error: std::num::ParseFloatError| error.to_string())?;
    match rate.is_finite() && rate > 0.0 {
        true => Ok(rate),
        false => Err("must be finite and above 0".to_owned()),
    }
}
