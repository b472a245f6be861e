use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};
use lenet::core::DeviceChoice;
use lenet::train::TrainingConfig;

/// Train a LeNet and write its loss curve, metrics and weights.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Args {
    #[arg(long, default_value = "auto", value_name = "NAME", help = device_help())]
    pub(crate) device: DeviceChoice,

    /// Images; auto is Fashion-MNIST, or drawings where it cannot be had
    #[arg(long, value_enum, default_value_t = DatasetChoice::Auto, value_name = "NAME")]
    pub(crate) dataset: DatasetChoice,

    /// Folder to look in first; then LENET_DATA_DIR, datasets/ and the user's cache
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Passes over the training images [default: 15, or 2 with --quick]
    #[arg(long, value_name = "N", value_parser = count)]
    epochs: Option<usize>,

    /// Images to a step
    #[arg(long, value_name = "N", default_value = "128", value_parser = count)]
    batch_size: usize,

    /// Learning rate of SGD
    #[arg(long, value_name = "RATE", default_value = "0.1", value_parser = learning_rate, allow_negative_numbers = true)]
    lr: f64,

    /// Seed of the initial weights and of the order of the images
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,

    /// Folder for the files written [default: out/ and the example's name]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// A short run to see that everything works: 2 epochs on 12,800 images
    #[arg(long)]
    pub(crate) quick: bool,
}

/// The images to train on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DatasetChoice {
    /// Fashion-MNIST if it can be had, else synthetic
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

impl Args {
    pub(crate) fn training(&self) -> TrainingConfig {
        TrainingConfig::default()
            .with_epochs(self.epochs.unwrap_or(if self.quick { 2 } else { 15 }))
            .with_batch_size(self.batch_size)
            .with_learning_rate(self.lr)
            .with_seed(self.seed)
    }

    pub(crate) fn out_folder(&self, example: &str) -> PathBuf {
        self.out
            .clone()
            .unwrap_or_else(|| Path::new("out").join(example))
    }
}

fn device_help() -> String {
    let names = DeviceChoice::available()
        .into_iter()
        .map(DeviceChoice::name);
    let names = names.collect::<Vec<_>>().join(", ");
    format!("Device; auto takes a hardware GPU if there is one, else the CPU [one of: {names}]")
}

fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
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
