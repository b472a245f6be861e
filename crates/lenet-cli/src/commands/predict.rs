#![allow(
    clippy::indexing_slicing,
    reason = "predictions are of classes of the network, and each of them has a name"
)]

//! `lenet predict`: classifies pictures with a pretrained network or with the user's own weights.

use std::fs;
use std::io::{Read, stdin};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use lenet_core::{ClassProbability, DeviceChoice, LeNet, Preset, Pretrained, Weights};
use lenet_data::{KnownDataset, Picture, Polarity, class_names};
use serde_json::json;

use crate::args::count;
use crate::output::Table;

pub(crate) const ABOUT: &str = "Classify pictures";

/// Pictures per batch.
const BATCH_SIZE: usize = 256;

/// Largest height and width of the images that an untrusted weights file may require.
const MAX_SIDE: usize = 1 << 10;

/// Largest picture that is read from standard input, in bytes.
const MAX_STDIN: u64 = 64 << 20;

#[derive(Clone, Debug, Args)]
pub(crate) struct PredictArgs {
    /// Pictures (PNG, JPEG, GIF, BMP, WebP, PNM), directories of them, or - for standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// Pretrained network: fashion-mnist-classic, fashion-mnist-modern, mnist-classic or mnist-modern
    #[arg(
        long,
        value_name = "NAME",
        default_value = "fashion-mnist-modern",
        conflicts_with = "weights"
    )]
    network: Pretrained,

    /// Your own weights: safetensors, a burn record or a PyTorch file
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,

    /// The data set that your weights were trained on, for the names of the classes: mnist, fashion-mnist or kmnist
    #[arg(long, value_name = "NAME", requires = "weights")]
    classes: Option<KnownDataset>,

    /// Assume a classic LeNet (sigmoid, average pooling) if the weights do not contain their configuration
    #[arg(long, requires = "weights")]
    classic: bool,

    /// Polarity of the pictures: auto, light-on-dark or dark-on-light
    #[arg(long, value_name = "NAME", default_value = "auto")]
    polarity: Polarity,

    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text, value_name = "NAME")]
    format: Format,

    /// Classes to print for each picture
    #[arg(long, value_name = "N", default_value = "3", value_parser = count)]
    top: usize,

    /// Device
    #[arg(long, value_name = "NAME", default_value = "flex")]
    device: DeviceChoice,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table
    Text,
    /// A JSON object for each picture, one per line
    Json,
}

pub(crate) fn run(args: &PredictArgs) -> Result<()> {
    let device = args.device.select()?.device;
    let lenet = match &args.weights {
        None => LeNet::pretrained(args.network, &device)?,
        Some(path) => {
            let preset = if args.classic {
                Preset::Classic
            } else {
                Preset::Modern
            };
            let weights = Weights::open(path)?.with_preset(preset.config(10));
            LeNet::from_weights(weights, &device).with_context(|| path.display().to_string())?
        }
    };
    let config = lenet.config();
    ensure!(
        config.in_channels == 1,
        "the network expects images with {} channels, but pictures are read as grey",
        config.in_channels
    );
    let [height, width] = config.image_size;
    ensure!(
        height <= MAX_SIDE && width <= MAX_SIDE,
        "the network expects images of {height}×{width} pixels: at most {MAX_SIDE}×{MAX_SIDE} are supported"
    );
    let dataset = match &args.weights {
        None => Some(args.network.dataset().parse()?),
        Some(_) => args.classes,
    };
    let names = class_names(dataset, config.classes)?;

    // A picture that cannot be read is reported, and the others are still classified.
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
    for batch in pictures.chunks(BATCH_SIZE) {
        let images = Picture::stack(batch.iter().map(|(_, picture)| picture), &device)?;
        for ((path, _), prediction) in batch.iter().zip(lenet.predict(images)?) {
            let top = prediction.top(args.top);
            match args.format {
                Format::Json => say!("{}", to_json(path, top, &names)),
                Format::Text => push_rows(&mut table, path, top, &names),
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

/// The given files, and the files of the given directories, sorted by name within each.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let mut found = Vec::new();
        for entry in fs::read_dir(path).with_context(|| path.display().to_string())? {
            let entry = entry.with_context(|| path.display().to_string())?.path();
            if entry.is_file() {
                found.push(entry);
            }
        }
        if found.is_empty() {
            bail!(
                "{} is a directory without files: expected pictures",
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
    stdin()
        .lock()
        .take(MAX_STDIN)
        .read_to_end(&mut bytes)
        .context("reading standard input")?;
    Ok(Picture::from_bytes(&bytes, image_size, polarity)?)
}

fn push_rows(table: &mut Table, path: &Path, top: &[ClassProbability], names: &[String]) {
    for (rank, class) in top.iter().enumerate() {
        let picture = if rank == 0 {
            path.display().to_string()
        } else {
            String::new()
        };
        table.push_row([
            picture,
            names[class.class].clone(),
            format!("{:.3}", class.probability),
        ]);
    }
}

fn to_json(path: &Path, top: &[ClassProbability], names: &[String]) -> serde_json::Value {
    let classes = top
        .iter()
        .map(|class| json!({"class": names[class.class], "probability": class.probability}));
    json!({"picture": path.to_string_lossy(), "classes": classes.collect::<Vec<_>>()})
}
