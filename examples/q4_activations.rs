//! Exercise 4 of *Dive into Deep Learning*, section 7.6: what the first and the second layer make
//! of coats and sweaters (class pullover of Fashion-MNIST).

mod common;

use std::process::ExitCode;

use anyhow::{Context, Result};
use burn::tensor::Tensor;
use common::args::{LookArgs, parse};
use common::network::{LAYERS, maps, mean_and_deviation, numbers};
use common::{Exercise, Session};
use lenet::core::LeNet;
use lenet::data::{ImageDataset, KnownDataset};
use lenet::plot::ActivationGrid;
use lenet::train::Table;

const EXERCISE: Exercise = Exercise {
    name: "q4_activations",
    title: "Activations",
    question: "What do the first and the second layer make of coats and sweaters?",
    dataset: KnownDataset::FashionMnist,
};

const CLASSES: [&str; 2] = ["coat", "pullover"];
/// Images of each class in the pictures.
const SHOWN: usize = 3;
/// Channels of each layer in the table.
const LISTED: usize = 4;

fn main() -> ExitCode {
    let args: LookArgs = parse(EXERCISE.question);
    common::exit_code(|| {
        let mut session = Session::begin(&EXERCISE, &args.session)?;
        session.require_garments()?;
        let test = session.splits.test.clone();
        let [coats, pullovers] = CLASSES.map(|name| of_class(&test, name));
        let (coats, pullovers) = (coats?, pullovers?);
        let lenet = session.modern_lenet(&args)?;

        for (index, layer) in LAYERS.into_iter().enumerate() {
            let number = index + 1;
            session.heading(format!("Layer {number}"));
            draw(&mut session, &lenet, layer, number, [&coats, &pullovers])?;
            compare(&mut session, &lenet, layer, [&coats, &pullovers])?;
        }
        session.finish()
    })
}

/// The images of a class.
fn of_class(dataset: &ImageDataset, name: &str) -> Result<ImageDataset> {
    let class = dataset.class_names().iter().position(|class| class == name);
    let class = class.with_context(|| format!("{} has no class '{name}'", dataset.name()))?;
    let labels = dataset.labels().iter().enumerate();
    let images = labels.filter(|(_, label)| usize::from(**label) == class);
    Ok(dataset.select(&images.map(|(index, _)| index).collect::<Vec<_>>()))
}

/// Writes the picture of a layer.
fn draw(
    session: &mut Session,
    lenet: &LeNet,
    layer: &str,
    number: usize,
    classes: [&ImageDataset; 2],
) -> Result<()> {
    let device = &session.device.device;
    let first: Vec<usize> = (0..SHOWN).collect();
    let images = classes.map(|class| class.batch(&first, device).images);
    let counts = images.each_ref().map(|images| images.dims()[0]);
    let labels = CLASSES
        .iter()
        .zip(counts)
        .flat_map(|(name, count)| (1..=count).map(move |image| format!("{name} {image}")));
    let images = Tensor::cat(images.to_vec(), 0);
    let title = session.title(&format!("Activations of layer {number}"));
    let grid = ActivationGrid::new(title, labels, images.clone(), maps(lenet, &images, layer)?)?;
    let caption = format!(
        "Coats and pullovers, and every channel after layer {number}'s ReLU; one colour scale for all."
    );
    session.save_layer(number, grid, caption)
}

/// How far the classes are apart in one channel.
struct Difference {
    channel: usize,
    means: [f32; 2],
    /// Difference of the means in standard deviations within a class (Cohen's d).
    effect: f32,
}

/// Tells which channels differ most between the two classes, over all their test images.
fn compare(
    session: &mut Session,
    lenet: &LeNet,
    layer: &str,
    classes: [&ImageDataset; 2],
) -> Result<()> {
    let [coats, pullovers] = classes.map(|class| channel_means(session, lenet, layer, class));
    let mut differences: Vec<Difference> = coats?
        .iter()
        .zip(&pullovers?)
        .enumerate()
        .map(|(channel, (coats, pullovers))| {
            let (a, b) = (mean_and_deviation(coats), mean_and_deviation(pullovers));
            let spread = ((a.1.powi(2) + b.1.powi(2)) / 2.0).sqrt();
            Difference {
                channel: channel + 1,
                means: [a.0, b.0],
                effect: (a.0 - b.0) / spread.max(f32::MIN_POSITIVE),
            }
        })
        .collect();
    differences.sort_by(|a, b| b.effect.abs().total_cmp(&a.effect.abs()));

    let head = [
        "channel",
        "mean, coats",
        "mean, pullovers",
        "difference in std",
    ];
    let listed = differences.iter().take(LISTED);
    session.table(listed.fold(Table::new(head), |table, difference| {
        table.with_row([
            difference.channel.to_string(),
            format!("{:.3}", difference.means[0]),
            format!("{:.3}", difference.means[1]),
            format!("{:+.2}", difference.effect),
        ])
    }));
    if let Some(most) = differences.first() {
        let (more, less) = match most.effect > 0.0 {
            true => ("coats", "pullovers"),
            false => ("pullovers", "coats"),
        };
        session.say(format!(
            "Channel {} differs most: {more} excite it more than {less}, by {:.2} standard deviations of an image's mean activation.",
            most.channel,
            most.effect.abs()
        ));
    }
    Ok(())
}

/// For each channel, the mean activation of every image.
fn channel_means(
    session: &Session,
    lenet: &LeNet,
    layer: &str,
    images: &ImageDataset,
) -> Result<Vec<Vec<f32>>> {
    let mut channels: Vec<Vec<f32>> = Vec::new();
    let order = lenet::data::Order::Sequential;
    for batch in images.batches(250, order, &session.device.device)? {
        let maps = maps(lenet, &batch.images, layer)?;
        let [count, width, ..] = maps.dims();
        channels.resize(width, Vec::new());
        let means = numbers(maps.mean_dim(3).mean_dim(2).reshape([count, width]))?;
        for image in means.chunks_exact(width) {
            for (channel, &mean) in channels.iter_mut().zip(image) {
                channel.push(mean);
            }
        }
    }
    Ok(channels)
}
