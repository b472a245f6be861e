use anyhow::Result;
use lenet_core::LeNetConfig;
use lenet_data::KnownDataset;
use lenet_train::sweep::{Scale, Sweep, SweepResult};

use crate::Exercise;
use crate::args::ComparisonArgs;
use crate::exercise::Run;
use crate::output::Table;
use crate::run::{Comparison, Recipe};
use crate::session::Session;

/// Exercise 3: the modern LeNet on the original MNIST, at the notebook's learning rate of 0.01 and at 0.1.
pub const Q3_MNIST: Exercise = Exercise {
    name: "q3_mnist",
    title: "Original MNIST",
    question: "How accurately does the modern LeNet read handwritten digits?",
    dataset: KnownDataset::Mnist,
    run: Run::Comparisons(run),
};

const RATES: Comparison = Comparison {
    title: "Modern LeNet",
    epochs: 15,
    seeds: 3,
    sweep: learning_rates,
};

fn learning_rates(recipe: &Recipe) -> Sweep {
    let mut sweep = Sweep::new("rates", "learning rate").with_scale(Scale::Logarithmic);
    for rate in recipe.learning_rates(&[0.01, 0.1]) {
        let network = LeNetConfig::modern(recipe.classes);
        let training = recipe.training.clone().with_learning_rate(rate);
        sweep
            .push_setting(rate.to_string(), network, training)
            .at(rate);
    }
    sweep
}

fn run(session: &mut Session, args: &ComparisonArgs) -> Result<()> {
    if let Some(result) = session.compare(&RATES, args)? {
        session.table(by_epoch(&result));
        session.say(result.conclusion());
    }
    Ok(())
}

/// Training loss and test accuracy after each epoch, for each learning rate.
fn by_epoch(result: &SweepResult) -> Table {
    let rates = result.settings.iter().map(|setting| &setting.label);
    let columns = rates.flat_map(|rate| [format!("loss at {rate}"), format!("accuracy at {rate}")]);
    let mut table = Table::new(std::iter::once("epoch".to_owned()).chain(columns));
    let epochs = result.results().map(|trial| trial.epochs.len()).max();
    for epoch in 1..=epochs.unwrap_or(0) {
        let mut row = vec![epoch.to_string()];
        for setting in &result.settings {
            let loss = setting.mean_of(epoch, |metrics| Some(metrics.mean_loss));
            let cell =
                |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.4}"));
            row.extend([cell(loss), cell(setting.mean_after(epoch))]);
        }
        table.push_row(row);
    }
    table
}
