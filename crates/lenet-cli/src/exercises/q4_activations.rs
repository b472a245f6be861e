use anyhow::{Context, Result};
use burn::tensor::Tensor;
use lenet_core::{LeNet, read_back};
use lenet_data::{ImageDataset, KnownDataset, Order};

use crate::Exercise;
use crate::args::InspectionArgs;
use crate::exercise::Run;
use crate::output::Table;
use crate::run::inspection::{BATCH_SIZE, LAYERS, maps, mean_and_deviation};
use crate::session::Session;

/// Exercise 4: the activations of the first and the second layer for coats and sweaters (the class pullover of
/// Fashion-MNIST).
pub const Q4_ACTIVATIONS: Exercise = Exercise {
    name: "q4_activations",
    title: "Activations",
    question: "What do the first and the second layer make of coats and sweaters?",
    dataset: KnownDataset::FashionMnist,
    run: Run::Inspection(run),
};

const CLASSES: [&str; 2] = ["coat", "pullover"];
/// Images of each class in the figures.
const SHOWN: usize = 3;
/// Channels listed for each layer.
const LISTED: usize = 4;

fn run(session: &mut Session, args: &InspectionArgs) -> Result<()> {
    session.require_garments()?;
    let mut classes = Vec::new();
    for name in CLASSES {
        let images = session.splits.test.of_class(name);
        classes.push(images.with_context(|| format!("the test images have no class '{name}'"))?);
    }
    let lenet = session.modern_lenet(args)?;
    for (number, layer) in (1..).zip(LAYERS) {
        session.heading(format!("Layer {number}"));
        draw(session, &lenet, (number, layer), &classes)?;
        let differences = differences(session, &lenet, layer, &classes)?;
        report(session, &differences);
    }
    Ok(())
}

fn draw(
    session: &mut Session,
    lenet: &LeNet,
    (number, layer): (usize, &str),
    classes: &[ImageDataset],
) -> Result<()> {
    let (mut labels, mut images) = (Vec::new(), Vec::new());
    for (name, class) in CLASSES.into_iter().zip(classes) {
        let count = SHOWN.min(class.len());
        labels.extend((1..=count).map(|image| format!("{name} {image}")));
        let shown: Vec<usize> = (0..count).collect();
        images.push(class.batch(&shown, &session.device.device).images);
    }
    let title = session.title(&format!("Activations of layer {number}"));
    let caption = format!(
        "Coats and pullovers, and every channel after layer {number}'s ReLU; one colour scale for all."
    );
    session.draw_layer(
        lenet,
        (number, layer),
        labels,
        Tensor::cat(images, 0),
        (title, caption),
    )
}

/// How far apart coats and pullovers are in one channel.
struct Difference {
    /// Number of the channel, from 1.
    channel: usize,
    means: [f32; 2],
    /// Difference of the means in standard deviations within a class (Cohen's d).
    effect: f32,
}

/// The differences in each channel over all test images of the two classes, largest first.
fn differences(
    session: &Session,
    lenet: &LeNet,
    layer: &str,
    classes: &[ImageDataset],
) -> Result<Vec<Difference>> {
    let mut means = Vec::new();
    for class in classes {
        means.push(channel_means(session, lenet, layer, class)?);
    }
    let [coats, pullovers] = means.as_slice() else {
        unreachable!("expected the images of two classes, found {}", means.len())
    };
    let mut differences: Vec<Difference> = (1..)
        .zip(coats.iter().zip(pullovers))
        .map(|(channel, (coats, pullovers))| {
            let (coats, pullovers) = (mean_and_deviation(coats), mean_and_deviation(pullovers));
            let deviation = ((coats.1.powi(2) + pullovers.1.powi(2)) / 2.0).sqrt();
            Difference {
                channel,
                means: [coats.0, pullovers.0],
                effect: (coats.0 - pullovers.0) / deviation.max(f32::MIN_POSITIVE),
            }
        })
        .collect();
    differences.sort_by(|a, b| b.effect.abs().total_cmp(&a.effect.abs()));
    Ok(differences)
}

/// For each channel, the mean activation of every image.
fn channel_means(
    session: &Session,
    lenet: &LeNet,
    layer: &str,
    images: &ImageDataset,
) -> Result<Vec<Vec<f32>>> {
    let mut channels: Vec<Vec<f32>> = Vec::new();
    for batch in images.batches(BATCH_SIZE, Order::Sequential, &session.device.device)? {
        let maps = maps(lenet, &batch.images, layer)?;
        let [count, width, ..] = maps.dims();
        channels.resize(width, Vec::new());
        let means: Vec<f32> = read_back(maps.mean_dim(3).mean_dim(2).reshape([count, width]))?;
        for image in means.chunks_exact(width) {
            for (channel, &mean) in channels.iter_mut().zip(image) {
                channel.push(mean);
            }
        }
    }
    Ok(channels)
}

fn report(session: &mut Session, differences: &[Difference]) {
    let mut table = Table::new([
        "channel",
        "mean, coats",
        "mean, pullovers",
        "difference in std",
    ]);
    for difference in differences.iter().take(LISTED) {
        table.push_row([
            difference.channel.to_string(),
            format!("{:.3}", difference.means[0]),
            format!("{:.3}", difference.means[1]),
            format!("{:+.2}", difference.effect),
        ]);
    }
    session.table(table);
    if let Some(largest) = differences.first() {
        let (more, less) = if largest.effect > 0.0 {
            ("coats", "pullovers")
        } else {
            ("pullovers", "coats")
        };
        session.say(format!(
            "Channel {} differs most: it responds more to {more} than to {less}, by {:.2} standard deviations of an \
             image's mean activation.",
            largest.channel,
            largest.effect.abs()
        ));
    }
}
