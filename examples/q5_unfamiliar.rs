//! Exercise 5 of *Dive into Deep Learning*, section 7.6: what a network trained on garments makes
//! of images that are none: cats, cars, digits, noise, and any picture given.

mod common;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use clap::Parser;
use common::args::{LookArgs, parse};
use common::network::{LAYERS, maps, mean_and_deviation, numbers};
use common::{Exercise, Session, say};
use lenet::core::LeNet;
use lenet::data::{ImageDataset, KnownDataset, Order, Picture, Polarity, synthetic};
use lenet::plot::ActivationGrid;
use lenet::train::Table;

const EXERCISE: Exercise = Exercise {
    name: "q5_unfamiliar",
    title: "Unfamiliar images",
    question: "What happens inside, and how sure is the network, when it sees what it never learnt?",
    dataset: KnownDataset::FashionMnist,
};

/// Images of each unfamiliar kind that the numbers are taken from.
const EACH: usize = 200;

#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    look: LookArgs,

    /// Pictures of your own: PNG, JPEG, GIF, BMP, WebP or PNM
    #[arg(long, value_name = "FILE", num_args = 1..)]
    image: Vec<PathBuf>,

    /// What is brighter in them: auto, light-on-dark or dark-on-light
    #[arg(long, value_name = "NAME", default_value = "auto")]
    polarity: Polarity,
}

/// Images of one kind.
struct Kind {
    name: String,
    images: ImageDataset,
    familiar: bool,
}

fn main() -> ExitCode {
    let args: Args = parse(EXERCISE.question);
    common::exit_code(|| {
        let mut session = Session::begin(&EXERCISE, &args.look.session)?;
        session.require_garments()?;
        let test = &session.splits.test;
        let mut kinds = vec![Kind {
            name: "test images".to_owned(),
            images: test.clone(),
            familiar: true,
        }];
        kinds.extend(unfamiliar());
        for path in &args.image {
            kinds.push(picture(path, &args, test.image_size())?);
        }
        let lenet = session.modern_lenet(&args.look)?;

        session.heading("How sure the network is");
        let answers = kinds
            .iter()
            .map(|kind| Answers::of(&session, &lenet, &kind.images))
            .collect::<Result<Vec<_>>>()?;
        session.table(table(&kinds, &answers, session.splits.test.class_names()));
        let sentence = sentence(&kinds, &answers);
        session.say(sentence);

        for (index, layer) in LAYERS.into_iter().enumerate() {
            draw(&mut session, &lenet, layer, index + 1, &kinds)?;
        }
        session.finish()
    })
}

/// The kinds that the project draws.
fn unfamiliar() -> Vec<Kind> {
    let classes = synthetic::unfamiliar(0, 0).class_names().len();
    let all = synthetic::unfamiliar(EACH * classes, 0);
    let of_class = |class: usize| {
        let images = (0..EACH).map(|index| index * classes + class);
        all.select(&images.collect::<Vec<_>>())
    };
    let names = all.class_names().iter().enumerate();
    names
        .map(|(class, name)| Kind {
            name: name.clone(),
            images: of_class(class),
            familiar: false,
        })
        .collect()
}

fn picture(path: &PathBuf, args: &Args, image_size: [usize; 2]) -> Result<Kind> {
    let picture = Picture::open(path, image_size, args.polarity)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let taken = if picture.is_inverted() {
        "dark on light"
    } else {
        "light on dark"
    };
    say!("picture   {}: taken for {taken}", path.display());
    let pixels = picture.pixels().to_vec();
    Ok(Kind {
        name: name.to_string(),
        images: ImageDataset::new("picture", pixels, vec![0], image_size, ["picture"])?,
        familiar: false,
    })
}

/// What the network says about images, and how excited its layers are: one value for each image.
struct Answers {
    classes: Vec<usize>,
    /// Probability of the class answered.
    confidence: Vec<f32>,
    /// Entropy of the probabilities in nats; 2.30 for ten equal ones.
    entropy: Vec<f32>,
    /// Mean activation of each of the two layers.
    activation: [Vec<f32>; 2],
    /// Part of the second layer's activations above 0.
    active: Vec<f32>,
}

impl Answers {
    fn of(session: &Session, lenet: &LeNet, images: &ImageDataset) -> Result<Self> {
        let mut answers = Self {
            classes: Vec::new(),
            confidence: Vec::new(),
            entropy: Vec::new(),
            activation: [Vec::new(), Vec::new()],
            active: Vec::new(),
        };
        for batch in images.batches(250, Order::Sequential, &session.device.device)? {
            let logits = lenet.forward(batch.images.clone());
            let [_, classes] = logits.dims();
            for row in numbers(softmax(logits, 1))?.chunks_exact(classes) {
                let most = row.iter().copied().fold(0.0, f32::max);
                answers
                    .classes
                    .push(row.iter().position(|&p| p == most).unwrap_or(0));
                answers.confidence.push(most);
                let terms = row.iter().filter(|&&p| p > 0.0).map(|&p| -p * p.ln());
                answers.entropy.push(terms.sum());
            }
            for (layer, means) in LAYERS.into_iter().zip(&mut answers.activation) {
                let maps: Tensor<2> = maps(lenet, &batch.images, layer)?.flatten(1, 3);
                means.extend(numbers(maps.clone().mean_dim(1))?);
                if layer == LAYERS[1] {
                    let above = maps.greater_elem(0.0).float();
                    answers.active.extend(numbers(above.mean_dim(1))?);
                }
            }
        }
        Ok(answers)
    }

    /// The class most often answered, and the part of the images it is answered for.
    fn favourite(&self, classes: usize) -> (usize, f32) {
        let count = |class: usize| self.classes.iter().filter(|&&c| c == class).count();
        let favourite = (0..classes).max_by_key(|&class| count(class)).unwrap_or(0);
        let part = count(favourite) as f32 / self.classes.len().max(1) as f32;
        (favourite, part)
    }
}

fn table(kinds: &[Kind], answers: &[Answers], classes: &[String]) -> Table {
    let head = [
        "images",
        "number",
        "taken most for",
        "of them",
        "confidence",
        "entropy",
        "layer 1",
        "layer 2",
        "active in layer 2",
    ];
    let mean = |values: &[f32], digits: usize| format!("{:.digits$}", mean_and_deviation(values).0);
    kinds
        .iter()
        .zip(answers)
        .fold(Table::new(head), |table, (kind, answers)| {
            let (favourite, part) = answers.favourite(classes.len());
            table.with_row([
                kind.name.clone(),
                kind.images.len().to_string(),
                classes.get(favourite).cloned().unwrap_or_default(),
                format!("{:.0} %", 100.0 * part),
                mean(&answers.confidence, 3),
                mean(&answers.entropy, 3),
                mean(&answers.activation[0], 3),
                mean(&answers.activation[1], 3),
                format!("{:.0} %", 100.0 * mean_and_deviation(&answers.active).0),
            ])
        })
}

/// Whether confidence gives the unfamiliar away: a threshold that nearly all familiar images pass
/// is held against the others.
fn sentence(kinds: &[Kind], answers: &[Answers]) -> String {
    let of = |familiar: bool| -> Vec<f32> {
        kinds
            .iter()
            .zip(answers)
            .filter(|(kind, _)| kind.familiar == familiar)
            .flat_map(|(_, answers)| answers.confidence.iter().copied())
            .collect()
    };
    let (mut familiar, unfamiliar) = (of(true), of(false));
    familiar.sort_by(f32::total_cmp);
    let threshold = familiar.get(familiar.len() / 20).copied().unwrap_or(0.0);
    let stopped = unfamiliar.iter().filter(|&&c| c < threshold).count();
    let stopped = 100.0 * stopped as f32 / unfamiliar.len().max(1) as f32;
    let (sure, unsure) = (
        mean_and_deviation(&familiar).0,
        mean_and_deviation(&unfamiliar).0,
    );
    format!(
        "The network always answers with a garment: its mean confidence is {sure:.2} for test images and \
         {unsure:.2} for unfamiliar ones. A threshold that 95 % of the test images pass ({threshold:.2}) \
         stops {stopped:.0} % of the unfamiliar ones."
    )
}

/// Writes the picture of a layer: one image of each unfamiliar kind below three familiar ones.
fn draw(
    session: &mut Session,
    lenet: &LeNet,
    layer: &str,
    number: usize,
    kinds: &[Kind],
) -> Result<()> {
    let device = session.device.device.clone();
    let (mut labels, mut images) = (Vec::new(), Vec::new());
    for kind in kinds {
        for index in 0..if kind.familiar { 3 } else { 1 } {
            let label = kind.images.labels().get(index).copied().map(usize::from);
            let class = label.and_then(|label| kind.images.class_names().get(label));
            labels.push(match (kind.familiar, class) {
                (true, Some(class)) => class.clone(),
                _ => kind.name.chars().take(20).collect(),
            });
            images.push(kind.images.batch(&[index], &device).images);
        }
    }
    let images = Tensor::cat(images, 0);
    let title = format!("Layer {number}: familiar and unfamiliar images");
    let grid = ActivationGrid::new(title, labels, images.clone(), maps(lenet, &images, layer)?)?;
    let caption = format!(
        "Three test images and one of each unfamiliar kind, and every channel after layer {number}'s ReLU."
    );
    session.save_layer(number, grid, caption)
}
