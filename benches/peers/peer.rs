//! The Rust side of `compare.py`: the seconds of each measurement as one line of JSON, on the device that `--device`
//! names. With `--first-step` it only loads the data and trains for one step; `--images` takes a part of the training
//! set.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use burn::tensor::Device;
use lenet::core::{DeviceChoice, LeNet, LeNetConfig, read_back, uses_rayon_pool};
use lenet::data::{ImageDataset, KnownDataset, Loader, Splits};
use lenet::train::sweep::{Sweep, SweepRunner, Worker};
use lenet::train::{Trainer, TrainingConfig, evaluate};

/// The first epoch is a warm-up and is not counted.
const EPOCHS: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let choice = option("--device").map_or(Ok(DeviceChoice::Flex), |name| name.parse())?;
    let device = choice.select()?.device;
    let Splits { train, test } = Loader::new(KnownDataset::FashionMnist).load()?;
    let images = option("--images").map_or(Ok(train.len()), |count| count.parse())?;
    let images = train.take(images);
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

    if choice != DeviceChoice::Flex {
        let seconds = side_by_side(&images, &test, &device)?;
        measured.insert("25 networks, one epoch each".to_owned(), seconds.into());
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

/// The value behind a flag.
fn option(flag: &str) -> Option<String> {
    let mut arguments = std::env::args().skip_while(|argument| argument != flag);
    arguments.nth(1)
}

/// The seconds of an epoch of 25 modern networks that differ by their seed, after a warm-up.
fn side_by_side(
    images: &ImageDataset,
    test: &ImageDataset,
    device: &Device,
) -> Result<Vec<f64>, Box<dyn Error>> {
    const NETWORKS: u64 = 25;
    let mut sweep = Sweep::new("networks", "network").with_seeds(0..NETWORKS);
    let training = TrainingConfig::default().with_epochs(1);
    sweep.push_setting("modern", LeNetConfig::modern(10), training);
    let workers = Worker::share_cores(device, NETWORKS as usize);
    let mut seconds = Vec::new();
    for _ in 0..2 {
        let folder = tempfile::tempdir()?;
        let start = Instant::now();
        let file = folder.path().join("trials.jsonl");
        // As few images to validate as possible: PyTorch does not validate either.
        SweepRunner::new(&sweep, &workers).run(images, &test.take(1), file)?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    Ok(seconds.split_off(1))
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
    let on_gpu = !uses_rayon_pool(device);
    times(repeats, || {
        let logits = lenet.forward(images.clone());
        // A GPU has only computed what was read.
        on_gpu.then(|| read_back::<f32>(logits))
    })
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
