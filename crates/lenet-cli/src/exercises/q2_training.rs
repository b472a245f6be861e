use anyhow::Result;
use lenet_core::{Initializer, LeNetConfig};
use lenet_data::KnownDataset;
use lenet_train::Schedule;
use lenet_train::sweep::{SettingResult, Sweep};

use crate::Exercise;
use crate::args::ComparisonArgs;
use crate::exercise::Run;
use crate::output::Table;
use crate::run::{Comparison, Recipe};
use crate::session::Session;

/// Exercise 2, the parts that the notebook leaves out: initialisation, number of epochs, learning-rate schedule.
pub const Q2_TRAINING: Exercise = Exercise {
    name: "q2_training",
    title: "Initialisation, epochs, schedule",
    question: "How much do initialisation, training length and schedule matter?",
    dataset: KnownDataset::FashionMnist,
    run: Run::Comparisons(run),
};

const INITIALIZATION: Comparison = Comparison {
    title: "Initialisation",
    epochs: 15,
    seeds: 3,
    sweep: initializers,
};

const EPOCHS: Comparison = Comparison {
    title: "Number of epochs",
    epochs: 30,
    seeds: 3,
    sweep: constant_rate,
};

const SCHEDULE: Comparison = Comparison {
    title: "Learning-rate schedule",
    epochs: 15,
    seeds: 3,
    sweep: schedules,
};

/// Epochs after which the accuracy is listed, in addition to the last one.
const LISTED_EPOCHS: [usize; 7] = [1, 2, 5, 10, 15, 20, 30];

fn run(session: &mut Session, args: &ComparisonArgs) -> Result<()> {
    session.heading(INITIALIZATION.title);
    if let Some(result) = session.compare(&INITIALIZATION, args)? {
        session.say(result.conclusion());
    }

    session.heading(EPOCHS.title);
    let result = session.compare(&EPOCHS, args)?;
    for setting in result.iter().flat_map(|result| &result.settings) {
        report_epochs(session, setting);
    }

    session.heading(SCHEDULE.title);
    let Some(result) = session.compare(&SCHEDULE, args)? else {
        return Ok(());
    };
    session.say("The step schedule multiplies the rate by 0.3 after each third of the epochs; linear and cosine end at 0.");
    session.say(result.conclusion());
    Ok(())
}

fn initializers(recipe: &Recipe) -> Sweep {
    let mut sweep = Sweep::new("initialization", "initialisation");
    for (label, initializer) in [
        ("Xavier uniform", Initializer::XavierUniform),
        ("Xavier normal", Initializer::XavierNormal),
        ("Kaiming uniform", Initializer::KaimingUniform),
        ("PyTorch default", Initializer::PyTorch),
        ("normal 0.01", Initializer::Normal(0.01)),
    ] {
        let network = LeNetConfig::tweakable(recipe.classes).with_initializer(initializer);
        sweep.push_setting(label, network, recipe.training.clone());
    }
    sweep
}

fn constant_rate(recipe: &Recipe) -> Sweep {
    let mut sweep = Sweep::new("epochs", "training");
    let network = LeNetConfig::tweakable(recipe.classes);
    sweep.push_setting("constant rate", network, recipe.training.clone());
    sweep
}

fn schedules(recipe: &Recipe) -> Sweep {
    let step = Schedule::Step {
        epochs: recipe.training.epochs.div_ceil(3),
        factor: 0.3,
    };
    let mut sweep = Sweep::new("schedule", "schedule");
    for (label, schedule) in [
        ("constant", Schedule::Constant),
        ("step", step),
        ("linear", Schedule::Linear { final_rate: 0.0 }),
        ("cosine", Schedule::Cosine { final_rate: 0.0 }),
    ] {
        let network = LeNetConfig::tweakable(recipe.classes);
        let training = recipe.training.clone().with_schedule(schedule);
        sweep.push_setting(label, network, training);
    }
    sweep
}

/// Accuracy and losses after some epochs, and the epoch with the highest accuracy.
fn report_epochs(session: &mut Session, setting: &SettingResult) {
    let mut table = Table::new([
        "epochs",
        "test accuracy",
        "std",
        "test loss",
        "training loss",
    ]);
    let cell = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.4}"));
    let last = setting
        .results()
        .map(|trial| trial.epochs.len())
        .max()
        .unwrap_or(0);
    let mut listed: Vec<usize> = LISTED_EPOCHS
        .into_iter()
        .filter(|&epoch| epoch < last)
        .collect();
    listed.push(last);
    let mut best: Option<(usize, f64)> = None;
    for epoch in listed {
        let Some(accuracy) = setting.mean_after(epoch) else {
            continue;
        };
        // Means over different numbers of trials are not comparable.
        let is_complete = setting
            .results()
            .filter(|trial| trial.accuracy_after(epoch).is_some())
            .count()
            == setting.trials.len();
        if is_complete && best.is_none_or(|(_, highest)| accuracy > highest) {
            best = Some((epoch, accuracy));
        }
        table.push_row([
            epoch.to_string(),
            format!("{accuracy:.4}"),
            cell(setting.standard_deviation_after(epoch)),
            cell(setting.mean_of(epoch, |metrics| metrics.validation_loss)),
            cell(setting.mean_of(epoch, |metrics| Some(metrics.mean_loss))),
        ]);
    }
    session.table(table);
    if let Some((epoch, accuracy)) = best {
        session.say(format!(
            "Of these, {epoch} epochs have the highest test accuracy, {accuracy:.4}. A test loss that rises while \
             the training loss falls is a sign of overfitting."
        ));
    }
}
