//! The Rust side of `compare.py`: the seconds of each measurement as one line of JSON. With `--first-step` it only
//! loads the data and trains for one step.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use burn::tensor::Device;
use lenet::core::{DeviceChoice, LeNet, LeNetConfig};
use lenet::data::{ImageDataset, KnownDataset, Loader, Splits};
use lenet::train::{Trainer, TrainingConfig, evaluate};

/// The first epoch is a warm-up and is not counted.
const EPOCHS: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let device = DeviceChoice::Flex.select()?.device;
    let Splits {
        train: images,
        test,
    } = Loader::new(KnownDataset::FashionMnist).load()?;
    if std::env::args().any(|argument| argument == "--first-step") {
        let batch: Vec<usize> = (0..128).collect();
        let config = TrainingConfig::default().with_epochs(1);
        let modern = LeNetConfig::modern(10);
        let batch = images.select(&batch);
        Trainer::new(&modern, &config).fit(&batch, &device)?;
        return Ok(());
    }
    let tweakable = LeNetConfig::tweakable(10);
    let networks = [
        ("epoch, modern", LeNetConfig::modern(10)),
        ("epoch, classic", LeNetConfig::classic(10)),
        (
            "epoch, channels [24, 44]",
            tweakable.clone().with_out_channels([24, 44]),
        ),
        ("epoch, kernel 7", tweakable.with_kernel_size(7)),
    ];
    let mut measured = serde_json::Map::new();
    for (name, network) in networks {
        measured.insert(name.to_owned(), epochs(&network, &images, &device)?.into());
    }

    let lenet = LeNetConfig::modern(10).init(&device, 0)?;
    let evaluation = times(5, || {
        evaluate(&lenet, &test, &device).map(|result| result.accuracy)
    });
    measured.insert("evaluate 10,000 images".to_owned(), evaluation.into());
    for (name, batch, repeats) in [("1 image", 1, 2000), ("1,024 images", 1024, 50)] {
        measured.insert(
            name.to_owned(),
            forward(&lenet, &test, batch, repeats, &device).into(),
        );
    }
    println!("{}", serde_json::Value::Object(measured));
    Ok(())
}

fn epochs(
    network: &LeNetConfig,
    images: &ImageDataset,
    device: &Device,
) -> Result<Vec<f64>, Box<dyn Error>> {
    let config = TrainingConfig::default().with_epochs(EPOCHS);
    let run = Trainer::new(network, &config).fit(images, device)?;
    Ok(run
        .epochs
        .iter()
        .skip(1)
        .map(|epoch| epoch.seconds)
        .collect())
}

fn forward(
    lenet: &LeNet,
    images: &ImageDataset,
    batch: usize,
    repeats: usize,
    device: &Device,
) -> Vec<f64> {
    let indices: Vec<usize> = (0..batch).collect();
    let images = images.batch(&indices, device).images;
    times(repeats, || lenet.forward(images.clone()))
}

/// The seconds of each repetition, after a tenth as many warm-up runs.
fn times<T>(repeats: usize, mut run: impl FnMut() -> T) -> Vec<f64> {
    let mut seconds = Vec::with_capacity(repeats);
    let warm_up = repeats.div_ceil(10);
    for i in 0..repeats + warm_up {
        let start = Instant::now();
        black_box(run());
        if i >= warm_up {
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    seconds
}
