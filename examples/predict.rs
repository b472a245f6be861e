//! What is in a picture? The three likeliest classes of any picture file, by a pretrained network or by
//! weights given.

mod common;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use burn::tensor::activation::softmax;
use burn::tensor::{Tensor, TensorData};
use clap::{Parser, ValueEnum};
use common::args::parse;
use common::{network::numbers, say};
use lenet::core::{DeviceChoice, LeNet, LeNetConfig, Pretrained, Weights};
use lenet::data::{KnownDataset, Picture, Polarity};
use lenet::train::Table;
use serde_json::json;

/// Pictures that go through the network together.
const BATCH: usize = 256;

/// Largest height and width that a network of somebody else's can ask for.
const MAX_SIDE: usize = 1 << 10;

/// Largest picture read from standard input, in bytes.
const MAX_STDIN: u64 = 64 << 20;

#[derive(Debug, Parser)]
struct Args {
    /// Pictures (PNG, JPEG, GIF, BMP, WebP, PNM), folders of them, or - for standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// A pretrained network: fashion-mnist-classic, fashion-mnist-modern, mnist-classic or mnist-modern
    #[arg(
        long,
        value_name = "NAME",
        default_value = "fashion-mnist-modern",
        conflicts_with = "weights"
    )]
    network: Pretrained,

    /// Weights of a network of your own: safetensors, a burn record or a PyTorch file
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,

    /// The data set whose classes the weights know: mnist, fashion-mnist or kmnist
    #[arg(long, value_name = "NAME", requires = "weights")]
    classes: Option<KnownDataset>,

    /// Take weights that do not say their configuration for a classic LeNet: sigmoid, average pooling
    #[arg(long, requires = "weights")]
    classic: bool,

    /// What is brighter in the pictures: auto, light-on-dark or dark-on-light
    #[arg(long, value_name = "NAME", default_value = "auto")]
    polarity: Polarity,

    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text, value_name = "NAME")]
    format: Format,

    /// Classes shown for each picture
    #[arg(long, value_name = "N", default_value = "3", value_parser = common::args::count)]
    top: usize,

    /// Device
    #[arg(long, value_name = "NAME", default_value = "flex")]
    device: DeviceChoice,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table
    Text,
    /// A JSON object a line for each picture
    Json,
}

fn main() -> ExitCode {
    let args: Args = parse("What is in a picture?");
    common::exit_code(|| run(&args))
}

fn run(args: &Args) -> Result<()> {
    let device = args.device.select()?.device;
    let lenet = match &args.weights {
        None => LeNet::pretrained(args.network, &device)?,
        Some(path) => {
            let like = match args.classic {
                true => LeNetConfig::classic(10),
                false => LeNetConfig::modern(10),
            };
            LeNet::from_weights(Weights::open(path)?, &like, &device)
                .with_context(|| path.display().to_string())?
        }
    };
    let config = lenet.config();
    ensure!(
        config.in_channels == 1,
        "the network takes images of {} channels, but pictures are read as grey",
        config.in_channels
    );
    let [height, width] = config.image_size;
    ensure!(
        height <= MAX_SIDE && width <= MAX_SIDE,
        "the network takes images of {height}×{width}: more than {MAX_SIDE} to a side are not made"
    );
    let names = class_names(args, config.classes)?;

    // A picture that cannot be read is told, and the others are answered all the same.
    let (mut pictures, mut failed) = (Vec::new(), 0);
    for path in files(&args.paths)? {
        match read(&path, config.image_size, args.polarity) {
            Ok(picture) => pictures.push((path, picture)),
            Err(error) => {
                failed += 1;
                eprintln!("error: {error:#}");
            }
        }
    }

    let mut table = Table::new(["picture", "class", "probability"]);
    for batch in pictures.chunks(BATCH) {
        let pixels = batch.iter().flat_map(|(_, picture)| picture.pixels());
        let pixels = pixels.map(|&pixel| f32::from(pixel) / 255.0).collect();
        let images = TensorData::new::<f32, _>(pixels, [batch.len(), 1, height, width]);
        let logits = lenet.forward(Tensor::from_data(images, &device));
        let probabilities = numbers(softmax(logits, 1))?;
        for ((path, _), row) in batch.iter().zip(probabilities.chunks(names.len())) {
            let best = best(row, &names, args.top);
            match args.format {
                Format::Json => say!("{}", as_json(path, &best)),
                Format::Text => {
                    for (place, (name, probability)) in best.into_iter().enumerate() {
                        let path = path.display().to_string();
                        let path = if place == 0 { path } else { String::new() };
                        table = table.with_row([path, name, format!("{probability:.3}")]);
                    }
                }
            }
        }
    }
    if args.format == Format::Text && !pictures.is_empty() {
        say!("{table}");
    }
    ensure!(
        failed == 0,
        "{failed} of {} pictures could not be read",
        failed + pictures.len()
    );
    Ok(())
}

fn class_names(args: &Args, classes: usize) -> Result<Vec<String>> {
    let dataset: Option<KnownDataset> = match &args.weights {
        None => Some(args.network.dataset().parse()?),
        Some(_) => args.classes,
    };
    let Some(dataset) = dataset else {
        return Ok((0..classes).map(|class| format!("class {class}")).collect());
    };
    let names = dataset.class_names();
    ensure!(
        names.len() == classes,
        "the network tells {classes} classes apart, {} has {}",
        dataset.name(),
        names.len()
    );
    Ok(names.map(str::to_owned).to_vec())
}

/// Every file named, and every file of the folders named.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path).with_context(|| path.display().to_string())?;
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.with_context(|| path.display().to_string())?.path();
            if entry.is_file() {
                found.push(entry);
            }
        }
        if found.is_empty() {
            bail!(
                "{} is a folder without files: expected pictures",
                path.display()
            );
        }
        found.sort();
        files.extend(found);
    }
    Ok(files)
}

fn read(path: &Path, image_size: [usize; 2], polarity: Polarity) -> Result<Picture> {
    if path != Path::new("-") {
        return Ok(Picture::open(path, image_size, polarity)?);
    }
    let mut bytes = Vec::new();
    let stdin = std::io::stdin().lock();
    stdin
        .take(MAX_STDIN)
        .read_to_end(&mut bytes)
        .context("standard input")?;
    Ok(Picture::from_bytes(&bytes, image_size, polarity)?)
}

/// The likeliest classes and their probabilities, the first class where two are alike.
fn best(row: &[f32], names: &[String], top: usize) -> Vec<(String, f32)> {
    let mut classes: Vec<_> = names.iter().cloned().zip(row.iter().copied()).collect();
    classes.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    classes.truncate(top);
    classes
}

fn as_json(path: &Path, best: &[(String, f32)]) -> serde_json::Value {
    let classes = best.iter();
    let classes =
        classes.map(|(name, probability)| json!({"class": name, "probability": probability}));
    json!({"picture": path.to_string_lossy(), "classes": classes.collect::<Vec<_>>()})
}
