#![allow(
    clippy::indexing_slicing,
    reason = "labels and predictions are classes, each of them with a name, and there are test images"
)]

use std::path::{Path, PathBuf};

use anyhow::Result;
use burn::tensor::Tensor;
use clap::Args;
use lenet_core::{LeNet, read_back};
use lenet_data::{ImageDataset, KnownDataset, Order, Picture, Polarity, synthetic};

use crate::Exercise;
use crate::args::InspectionArgs;
use crate::exercise::Run;
use crate::output::Table;
use crate::run::inspection::{BATCH_SIZE, LAYERS, maps_in, mean_and_deviation};
use crate::session::Session;

/// Exercise 5: how a network trained on garments responds to other images: cats, cars, digits, noise, and pictures of
/// the user.
pub const Q5_UNFAMILIAR: Exercise = Exercise {
    name: "q5_unfamiliar",
    title: "Unfamiliar images",
    question: "What happens inside the network, and how confident is it, when it sees images unlike any it was trained on?",
    dataset: KnownDataset::FashionMnist,
    run: Run::Pictures(run),
};

/// Images of each unfamiliar kind from which the numbers are computed.
const IMAGES_PER_KIND: usize = 200;
/// Test images in the figures.
const SHOWN: usize = 3;
/// Longest label in the figures, in characters.
const LABEL: usize = 20;

// Flags of an exercise that looks inside a trained network, with pictures of the user as well. Not a doc comment,
// which clap would show as the description of the exercise.
#[derive(Clone, Debug, Args)]
pub(crate) struct PictureArgs {
    #[command(flatten)]
    pub(crate) inspection: InspectionArgs,

    /// Pictures of your own: PNG, JPEG, GIF, BMP, WebP or PNM
    #[arg(long, value_name = "FILE", num_args = 1..)]
    image: Vec<PathBuf>,

    /// Polarity of these pictures: auto, light-on-dark or dark-on-light
    #[arg(long, value_name = "NAME", default_value = "auto")]
    polarity: Polarity,
}

/// Images of one kind.
struct Kind {
    name: String,
    images: ImageDataset,
    is_familiar: bool,
}

fn run(session: &mut Session, args: &PictureArgs) -> Result<()> {
    session.require_garments()?;
    let test = session.splits.test.clone();
    let mut kinds = vec![Kind {
        name: "test images".to_owned(),
        images: test.clone(),
        is_familiar: true,
    }];
    kinds.extend(synthetic_kinds());
    for path in &args.image {
        kinds.push(picture(path, args.polarity, test.image_size())?);
    }
    let lenet = session.modern_lenet(&args.inspection)?;

    session.heading("How confident the network is");
    let responses = kinds
        .iter()
        .map(|kind| Responses::new(session, &lenet, &kind.images))
        .collect::<Result<Vec<_>>>()?;
    session.table(table(&kinds, &responses, test.class_names()));
    session.say(conclusion(&kinds, &responses));
    for (number, layer) in (1..).zip(LAYERS) {
        draw(session, &lenet, (number, layer), &kinds)?;
    }
    Ok(())
}

/// The unfamiliar kinds that can be generated.
fn synthetic_kinds() -> Vec<Kind> {
    let classes = synthetic::unfamiliar(0, 0).class_names().len();
    let all = synthetic::unfamiliar(IMAGES_PER_KIND * classes, 0);
    let names = all.class_names().iter();
    let kinds = names.map(|name| {
        let Some(images) = all.of_class(name) else {
            unreachable!("'{name}' is a class of the synthetic images")
        };
        Kind {
            name: name.clone(),
            images,
            is_familiar: false,
        }
    });
    kinds.collect()
}

fn picture(path: &Path, polarity: Polarity, image_size: [usize; 2]) -> Result<Kind> {
    let picture = Picture::open(path, image_size, polarity)?;
    let name = path.file_name().unwrap_or(path.as_os_str());
    let polarity = if picture.is_inverted() {
        "dark on light"
    } else {
        "light on dark"
    };
    say!("picture   {}: read as {polarity}", path.display());
    let pixels = picture.pixels().to_vec();
    Ok(Kind {
        name: name.to_string_lossy().into_owned(),
        images: ImageDataset::new("picture", pixels, vec![0], image_size, ["picture"])?,
        is_familiar: false,
    })
}

/// What the network predicts, and how strongly its layers respond: one value for each image.
#[derive(Default)]
struct Responses {
    classes: Vec<usize>,
    /// Probability of the predicted class.
    confidence: Vec<f32>,
    /// Entropy of the probabilities in nats; ten equal ones have 2.30.
    entropy: Vec<f32>,
    /// Mean activation of each of the two layers.
    activation: [Vec<f32>; 2],
    /// Fraction of the second layer's activations above 0.
    active: Vec<f32>,
}

impl Responses {
    fn new(session: &Session, lenet: &LeNet, images: &ImageDataset) -> Result<Self> {
        let mut responses = Self::default();
        for batch in images.batches(BATCH_SIZE, Order::Sequential, &session.device.device)? {
            for prediction in lenet.predict(batch.images.clone())? {
                responses.classes.push(prediction.class());
                responses.confidence.push(prediction.probability());
                let probabilities = prediction
                    .top(usize::MAX)
                    .iter()
                    .map(|class| class.probability);
                let terms = probabilities.filter(|&p| p > 0.0).map(|p| -p * p.ln());
                responses.entropy.push(terms.sum());
            }
            let stages = lenet.forward_with_activations(batch.images)?;
            for (layer, means) in LAYERS.into_iter().zip(&mut responses.activation) {
                let maps: Tensor<2> = maps_in(&stages, layer)?.flatten(1, 3);
                means.extend(read_back::<f32>(maps.clone().mean_dim(1))?);
                if layer == LAYERS[1] {
                    let active = maps.greater_elem(0.0).float().mean_dim(1);
                    responses.active.extend(read_back::<f32>(active)?);
                }
            }
        }
        Ok(responses)
    }

    /// The class predicted most often, and the fraction of the images it is predicted for.
    fn most_frequent(&self, classes: usize) -> (usize, f32) {
        let count = |class: usize| self.classes.iter().filter(|&&c| c == class).count();
        let Some(class) = (0..classes).max_by_key(|&class| count(class)) else {
            unreachable!("the network has at least one class")
        };
        (class, count(class) as f32 / self.classes.len() as f32)
    }
}

fn table(kinds: &[Kind], responses: &[Responses], class_names: &[String]) -> Table {
    let mut table = Table::new([
        "images",
        "number",
        "most frequent prediction",
        "fraction",
        "confidence",
        "entropy",
        "layer 1",
        "layer 2",
        "active in layer 2",
    ]);
    let mean = |values: &[f32]| format!("{:.3}", mean_and_deviation(values).0);
    for (kind, responses) in kinds.iter().zip(responses) {
        let (class, fraction) = responses.most_frequent(class_names.len());
        table.push_row([
            kind.name.clone(),
            kind.images.len().to_string(),
            class_names[class].clone(),
            format!("{:.0} %", 100.0 * fraction),
            mean(&responses.confidence),
            mean(&responses.entropy),
            mean(&responses.activation[0]),
            mean(&responses.activation[1]),
            format!("{:.0} %", 100.0 * mean_and_deviation(&responses.active).0),
        ]);
    }
    table
}

/// States whether confidence separates unfamiliar images from familiar ones: how many of them a threshold rejects that
/// nearly all familiar images pass.
fn conclusion(kinds: &[Kind], responses: &[Responses]) -> String {
    let confidence = |is_familiar: bool| -> Vec<f32> {
        let kinds = kinds.iter().zip(responses);
        kinds
            .filter(|(kind, _)| kind.is_familiar == is_familiar)
            .flat_map(|(_, responses)| responses.confidence.iter().copied())
            .collect()
    };
    let (mut familiar, unfamiliar) = (confidence(true), confidence(false));
    familiar.sort_by(f32::total_cmp);
    let threshold = familiar[familiar.len() / 20];
    let rejected = unfamiliar.iter().filter(|&&c| c < threshold).count();
    format!(
        "The network always answers with a garment: its mean confidence is {:.2} for test images and {:.2} for \
         unfamiliar ones. A threshold that 95 % of the test images pass ({threshold:.2}) rejects {:.0} % of the \
         unfamiliar ones.",
        mean_and_deviation(&familiar).0,
        mean_and_deviation(&unfamiliar).0,
        100.0 * rejected as f32 / unfamiliar.len() as f32
    )
}

/// Draws a layer's activations: a few familiar images, and one of each unfamiliar kind.
fn draw(
    session: &mut Session,
    lenet: &LeNet,
    (number, layer): (usize, &str),
    kinds: &[Kind],
) -> Result<()> {
    let (mut labels, mut images) = (Vec::new(), Vec::new());
    for kind in kinds {
        let shown = if kind.is_familiar { SHOWN } else { 1 };
        for index in 0..shown.min(kind.images.len()) {
            let label = if kind.is_familiar {
                let label = usize::from(kind.images.labels()[index]);
                &kind.images.class_names()[label]
            } else {
                &kind.name
            };
            labels.push(label.chars().take(LABEL).collect());
            images.push(kind.images.batch(&[index], &session.device.device).images);
        }
    }
    let title = format!("Layer {number}: familiar and unfamiliar images");
    let caption = format!(
        "Three test images and one of each unfamiliar kind, and every channel after layer {number}'s ReLU."
    );
    session.draw_layer(
        lenet,
        (number, layer),
        labels,
        Tensor::cat(images, 0),
        (title, caption),
    )
}
