//! Trains one of the networks of `LeNet::pretrained`, and writes its weights and its model card.
//!
//! Recipes are compared by 5,000 of the training images. The best one is trained again on all of them
//! and meets the test images once.

mod common;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use common::args::{CompareArgs, parse};
use common::exercise::command_line;
use common::{Exercise, Session, machine, write_whole};
use lenet::core::LeNetConfig;
use lenet::data::{Augmentation, KnownDataset};
use lenet::train::sweep::Sweep;
use lenet::train::{Evaluation, Schedule, TrainingConfig};

const EXERCISE: Exercise = Exercise {
    name: "pretrain",
    title: "Pretrained LeNet",
    question: "How good can a network be that others use as it is?",
    dataset: KnownDataset::FashionMnist,
};

#[derive(Debug, Parser)]
struct Args {
    /// Which LeNet to train
    #[arg(long, value_enum, default_value_t = Network::Modern, value_name = "NAME")]
    network: Network,

    #[command(flatten)]
    compare: CompareArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Network {
    /// Sigmoid and average pooling
    Classic,
    /// ReLU and max pooling
    Modern,
}

fn main() -> ExitCode {
    let args: Args = parse(EXERCISE.question);
    common::exit_code(|| run(&args))
}

fn run(Args { network, compare }: &Args) -> Result<()> {
    let mut session = Session::begin(&EXERCISE, &compare.session)?;
    let validation = session.splits.train.len() / 12;
    let (learn, choose) = session.splits.train.split_validation(validation, 0);
    let config = match network {
        Network::Classic => LeNetConfig::classic(session.classes()),
        Network::Modern => LeNetConfig::modern(session.classes()),
    };

    session.heading("Choosing by the validation images");
    let training = compare.recipe.training(30, session.quick);
    let sweep = candidates(&config, &training).with_seeds([compare.recipe.seed]);
    let result = session.sweep_on("Recipes", &sweep, compare, (&learn, &choose))?;
    session.say(result.conclusion());
    let candidates = result.to_markdown();
    let (training, evaluation) = session.train_best(compare, &sweep, result)?;
    let card = card(&session, *network, &training, &evaluation, &candidates);
    write_whole(&session.path("model-card.md"), card.as_bytes())?;
    session.wrote("model card", "model-card.md");
    session.finish()
}

/// Learning rates, each with the images as they are and moved by up to a pixel.
fn candidates(network: &LeNetConfig, training: &TrainingConfig) -> Sweep {
    let training = training
        .clone()
        .with_momentum(0.9)
        .with_schedule(Schedule::Cosine { final_rate: 0.0 });
    let moved = Augmentation::default().with_max_shift(1);
    let rates = [0.02, 0.05, 0.1];
    rates.into_iter().fold(
        Sweep::new("recipes", "recipe").with_held_out("validation"),
        |sweep, rate| {
            let training = training.clone().with_learning_rate(rate);
            let label = format!("rate {rate}");
            let shifted = training.clone().with_augmentation(moved);
            sweep
                .with_setting(label.clone(), rate, network.clone(), training)
                .with_setting(format!("{label}, shifts"), rate, network.clone(), shifted)
        },
    )
}

fn card(
    session: &Session,
    network: Network,
    training: &TrainingConfig,
    evaluation: &Evaluation,
    candidates: &str,
) -> String {
    let (train, test) = (&session.splits.train, &session.splits.test);
    let (kind, description) = match network {
        Network::Classic => ("Classic", "sigmoid and average pooling"),
        Network::Modern => ("Modern", "ReLU and max pooling"),
    };
    let moved = match training.augmentation.max_shift {
        0 => "images as they are".to_owned(),
        pixels => format!("each image moved by up to {pixels} pixel along both axes"),
    };
    let known = KnownDataset::ALL
        .into_iter()
        .find(|known| known.name() == train.name());
    let terms = known.map_or("drawn by this program".to_owned(), |known| {
        format!("{} (<{}>)", known.licence(), known.homepage())
    });
    let warning = session
        .warning()
        .map_or(String::new(), |w| format!("> {w}\n\n"));
    format!(
        "# {kind} LeNet, {name}\n\n\
         {warning}\
         The network of *Dive into Deep Learning*, section 7.6, with {description}: 28×28 grey images from 0 \
         (black) to 1 in, ten logits out.\n\n\
         | | |\n|---|---|\n\
         | test accuracy | {accuracy:.4} on {images} images, looked at once |\n\
         | test loss | {loss:.4} (mean cross-entropy) |\n\
         | trained on | {name}, {train_len} images |\n\
         | licence of the images | {terms} |\n\
         | recipe | SGD, {epochs} epochs, batch {batch}, learning rate {rate} falling to 0 by half a cosine, \
         momentum {momentum}, {moved} |\n\
         | seed | {seed} |\n\
         | command | `{command}` |\n\
         | trained with | lenet {version}, {machine} |\n\n\
         The recipe is the best of these by {validation} training images, held out for the choice; then the \
         network was trained anew on all of them.\n\n\
         {candidates}\n\n\
         Test images by class, rows as labelled, columns as recognised:\n\n\
         ```text\n{confusion}\n```\n\n\
         It knows nothing but images of this kind: 28×28 pixels, light on black, centred. Anything else it \
         gives one of the ten names too, often with confidence.\n",
        name = train.name(),
        accuracy = evaluation.accuracy,
        images = test.len(),
        loss = evaluation.mean_loss,
        train_len = train.len(),
        epochs = training.epochs,
        batch = training.batch_size,
        rate = training.learning_rate,
        momentum = training.momentum,
        seed = training.seed,
        command = command_line(),
        version = env!("CARGO_PKG_VERSION"),
        machine = machine::description(),
        validation = train.len() / 12,
        candidates = candidates.trim(),
        confusion = evaluation.confusion.to_string().trim_end(),
    )
}
