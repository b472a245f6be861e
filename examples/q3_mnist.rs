//! Exercise 3 of *Dive into Deep Learning*, section 7.6: the modern LeNet on the original MNIST,
//! at the notebook's learning rate of 0.01 and at 0.1.

mod common;

use std::process::ExitCode;

use common::args::{CompareArgs, parse};
use common::{Exercise, Session};
use lenet::core::LeNetConfig;
use lenet::data::KnownDataset;
use lenet::train::Table;
use lenet::train::sweep::{Scale, Sweep, SweepResult};

const EXERCISE: Exercise = Exercise {
    name: "q3_mnist",
    title: "Original MNIST",
    question: "How well does the modern LeNet read handwritten digits?",
    dataset: KnownDataset::Mnist,
};

fn main() -> ExitCode {
    let args: CompareArgs = parse(EXERCISE.question);
    common::exit_code(|| {
        let mut session = Session::begin(&EXERCISE, &args.session)?;
        let training = args.recipe.training(15, session.quick);
        let mut sweep = Sweep::new("rates", "learning rate")
            .with_scale(Scale::Logarithmic)
            .with_seeds(args.sweep.seeds(args.recipe.seed, 3, session.quick));
        for rate in args.recipe.learning_rates(&[0.01, 0.1]) {
            let network = LeNetConfig::modern(session.classes());
            let training = training.clone().with_learning_rate(rate);
            sweep = sweep.with_setting(rate.to_string(), rate, network, training);
        }
        let result = session.sweep("Modern LeNet", &sweep, &args)?;
        session.table(by_epoch(&result));
        session.say(result.conclusion());
        session.finish()
    })
}

/// Training loss and test accuracy after each epoch, for each learning rate.
fn by_epoch(result: &SweepResult) -> Table {
    let rates = result.settings.iter().map(|setting| &setting.label);
    let columns = rates.flat_map(|rate| [format!("loss at {rate}"), format!("accuracy at {rate}")]);
    let mut table = Table::new(std::iter::once("epoch".to_owned()).chain(columns));
    let epochs = result.results().map(|trial| trial.epochs.len());
    let epochs = epochs.max().unwrap_or(0);
    for epoch in 1..=epochs {
        let mut row = vec![epoch.to_string()];
        for setting in &result.settings {
            let losses: Vec<f64> = setting
                .results()
                .filter_map(|trial| Some(trial.epochs.get(epoch - 1)?.mean_loss))
                .collect();
            let loss = losses.iter().sum::<f64>() / losses.len() as f64;
            let accuracy = setting.mean_after(epoch);
            row.push(if losses.is_empty() {
                String::new()
            } else {
                format!("{loss:.4}")
            });
            row.push(accuracy.map_or(String::new(), |accuracy| format!("{accuracy:.4}")));
        }
        table = table.with_row(row);
    }
    table
}
