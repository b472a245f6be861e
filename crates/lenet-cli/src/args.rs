//! Flags that several commands share. The flags of a single command are defined with that command.
//!
//! The structs have plain comments: clap would show a doc comment as the description of the command.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use lenet_core::DeviceChoice;
use lenet_train::sweep::Partition;
use lenet_train::{Interval, TrainingConfig};

use crate::partition::{self, partition};

// Flags of a command that trains one network.
#[derive(Clone, Debug, Args)]
pub(crate) struct TrainingArgs {
    #[command(flatten)]
    pub(crate) session: SessionArgs,
    #[command(flatten)]
    pub(crate) recipe: RecipeArgs,
    #[command(flatten)]
    pub(crate) checkpoints: CheckpointArgs,

    /// Resume from the last checkpoint of an earlier run
    #[arg(long)]
    pub(crate) resume: bool,
}

// Flags of a command that compares networks.
#[derive(Clone, Debug, Args)]
pub(crate) struct ComparisonArgs {
    #[command(flatten)]
    pub(crate) session: SessionArgs,
    #[command(flatten)]
    pub(crate) recipe: RecipeArgs,
    #[command(flatten)]
    pub(crate) sweep: SweepArgs,
    #[command(flatten)]
    pub(crate) checkpoints: CheckpointArgs,
}

// Flags of an exercise that looks inside a trained network.
#[derive(Clone, Debug, Args)]
pub(crate) struct InspectionArgs {
    #[command(flatten)]
    pub(crate) session: SessionArgs,
    #[command(flatten)]
    pub(crate) recipe: RecipeArgs,

    /// Use these weights of a modern LeNet, as q1_modern writes them, instead of training one
    #[arg(long, value_name = "FILE", conflicts_with_all = ["epochs", "batch_size", "lr", "seed"])]
    pub(crate) weights: Option<PathBuf>,
}

// Where to compute, on which images, and where to write.
#[derive(Clone, Debug, Args)]
pub(crate) struct SessionArgs {
    #[arg(long, default_value = "auto", value_name = "NAME", help = device_help())]
    pub(crate) device: DeviceChoice,

    /// Images; auto is the data set of the exercise, or synthetic images if it is unavailable
    #[arg(long, value_enum, default_value_t = DatasetChoice::Auto, value_name = "NAME")]
    pub(crate) dataset: DatasetChoice,

    /// Directory to search first; then LENET_DATA_DIR, datasets/ and the user's cache
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Output directory [default: out/NAME of the exercise, or out/quick/NAME with --quick]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// A short run to see that everything works: 12,800 images, a few epochs
    #[arg(long)]
    pub(crate) quick: bool,
}

// How to train.
#[derive(Clone, Debug, Args)]
pub(crate) struct RecipeArgs {
    /// Passes over the training images [default: the exercise's, or 2 with --quick]
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) epochs: Option<usize>,

    /// Images per step
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = count)]
    pub(crate) batch_size: usize,

    /// Learning rate of SGD; a comparison of learning rates adds it to its own [default: 0.1]
    #[arg(long, value_name = "RATE", value_parser = learning_rate, allow_negative_numbers = true)]
    pub(crate) lr: Option<f64>,

    /// Seed of the initial weights and of the order of the images
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub(crate) seed: u64,
}

// Whether a run can be resumed.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct CheckpointArgs {
    /// Write a checkpoint every so many epochs (such as 1) or steps (such as 500steps)
    #[arg(long, value_name = "N")]
    pub(crate) checkpoint_every: Option<Interval>,
}

// How many runs a comparison has, and how many at once.
#[derive(Clone, Debug, Args)]
pub(crate) struct SweepArgs {
    /// Runs of each setting, with seeds SEED, SEED+1, … [default: the exercise's, at most 2 with --quick]
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) seeds: Option<usize>,

    /// Trials to run at once; on a CPU they share its cores, on a GPU they share launches [default: one per core; 32 on
    /// a GPU]
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) jobs: Option<usize>,

    /// Allow trials from different kinds of devices, whose numbers differ in the last digits
    #[arg(long)]
    pub(crate) mixed_devices: bool,

    #[arg(long, value_name = "I/N", value_parser = partition, help = partition::HELP)]
    pub(crate) partition: Option<Partition>,

    /// Only print what is on disk, of all parts; exits with 1 if trials are missing
    #[arg(long, conflicts_with = "partition")]
    pub(crate) no_train: bool,
}

/// The images to train on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DatasetChoice {
    /// The data set of the exercise if it is available, else synthetic images
    Auto,
    /// Articles of clothing
    FashionMnist,
    /// Handwritten digits
    Mnist,
    /// Handwritten Hiragana
    Kmnist,
    /// Generated garments
    Synthetic,
    /// Generated digits
    SyntheticDigits,
}

impl SessionArgs {
    /// The output directory of a command with this name.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.out
            .clone()
            .unwrap_or_else(|| out_root(self.quick).join(name))
    }
}

/// The parent of every command's output directory, unless `--out` is given.
pub(crate) fn out_root(quick: bool) -> &'static Path {
    Path::new(if quick { "out/quick" } else { "out" })
}

impl RecipeArgs {
    /// The recipe of a run that takes `epochs` epochs unless the command line says otherwise.
    pub(crate) fn training(&self, epochs: usize, quick: bool) -> TrainingConfig {
        let config = TrainingConfig::default();
        let rate = self.lr.unwrap_or(config.learning_rate);
        config
            .with_epochs(self.epochs.unwrap_or(if quick { 2 } else { epochs }))
            .with_batch_size(self.batch_size)
            .with_learning_rate(rate)
            .with_seed(self.seed)
    }
}

impl SweepArgs {
    /// The seeds of a comparison that has `runs` runs of each setting unless the command line says otherwise.
    pub(crate) fn seeds(&self, first: u64, runs: usize, quick: bool) -> Vec<u64> {
        let count = self.seeds.unwrap_or(if quick { runs.min(2) } else { runs });
        (0..count as u64)
            .map(|seed| first.wrapping_add(seed))
            .collect()
    }
}

fn device_help() -> String {
    format!(
        "Device; auto takes a hardware GPU if there is one, else the CPU [{}]",
        devices()
    )
}

/// The devices in this build, and those left out of it.
pub(crate) fn devices() -> String {
    let names = |choices: Vec<DeviceChoice>| -> Vec<&str> {
        choices.iter().map(|choice| choice.name()).collect()
    };
    let (mut available, mut unavailable) = (
        names(DeviceChoice::available()),
        names(DeviceChoice::unavailable()),
    );
    let remote = "remote:ID@ADDRESS:PORT";
    if cfg!(feature = "remote") {
        available.push(remote);
    } else {
        unavailable.push(remote);
    }
    if unavailable.is_empty() {
        return format!("one of: {}", available.join(", "));
    }
    format!(
        "one of: {}; not in this build: {}",
        available.join(", "),
        unavailable.join(", ")
    )
}

/// A larger count is a typing error.
const MAX_COUNT: usize = 1_000_000;

pub(crate) fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(count) if count > MAX_COUNT => Err(format!("must be at most {MAX_COUNT}")),
        Ok(count) => Ok(count),
        Err(error) => Err(error.to_string()),
    }
}

fn learning_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        Ok(_) => Err("must be finite and above 0".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
