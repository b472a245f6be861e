//! Exercise 2 of *Dive into Deep Learning*, section 7.6, what the notebook left out: how the
//! weights are initialised, for how many epochs one trains, and whether the learning rate should
//! fall on the way.

mod common;

use std::process::ExitCode;

use common::args::{CompareArgs, parse};
use common::{Exercise, Session};
use lenet::core::{Initializer, LeNetConfig};
use lenet::data::KnownDataset;
use lenet::train::sweep::{Scale, Sweep};
use lenet::train::{Schedule, Table};

const EXERCISE: Exercise = Exercise {
    name: "q2_training",
    title: "Initialisation, epochs, schedule",
    question: "Does it matter how the weights begin, how long one trains, and how the learning rate falls?",
    dataset: KnownDataset::FashionMnist,
};

fn main() -> ExitCode {
    let args: CompareArgs = parse(EXERCISE.question);
    common::exit_code(|| {
        let mut session = Session::begin(&EXERCISE, &args.session)?;
        initialization(&mut session, &args)?;
        epochs(&mut session, &args)?;
        schedule(&mut session, &args)?;
        session.finish()
    })
}

fn initialization(session: &mut Session, args: &CompareArgs) -> anyhow::Result<()> {
    session.heading("Initialisation");
    let initializers = [
        ("Xavier uniform", Initializer::XavierUniform),
        ("Xavier normal", Initializer::XavierNormal),
        ("Kaiming uniform", Initializer::KaimingUniform),
        ("PyTorch default", Initializer::PyTorch),
        ("normal 0.01", Initializer::Normal(0.01)),
    ];
    let training = args.recipe.training(15, session.quick);
    let mut sweep = Sweep::new("initialization", "initialisation")
        .with_scale(Scale::Categories)
        .with_seeds(args.sweep.seeds(args.recipe.seed, 3, session.quick));
    for (index, (label, initializer)) in initializers.into_iter().enumerate() {
        let network = LeNetConfig::tweakable(session.classes()).with_initializer(initializer);
        sweep = sweep.with_setting(label, index as f64, network, training.clone());
    }
    let result = session.sweep("Initialisation", &sweep, args)?;
    session.say(result.conclusion());
    Ok(())
}

fn epochs(session: &mut Session, args: &CompareArgs) -> anyhow::Result<()> {
    session.heading("Number of epochs");
    let training = args.recipe.training(30, session.quick);
    let network = LeNetConfig::tweakable(session.classes());
    let last = training.epochs;
    let sweep = Sweep::new("epochs", "training")
        .with_scale(Scale::Categories)
        .with_seeds(args.sweep.seeds(args.recipe.seed, 3, session.quick))
        .with_setting("constant rate", 0.0, network, training);
    let result = session.sweep("Number of epochs", &sweep, args)?;

    let Some(setting) = result.settings.first() else {
        return Ok(());
    };
    let mut table = Table::new([
        "epochs",
        "test accuracy",
        "std",
        "test loss",
        "training loss",
    ]);
    let mut best: Option<(usize, f64)> = None;
    let mut listed = vec![1, 2, 5, 10, 15, 20, 30, last];
    listed.retain(|&epoch| epoch <= last);
    listed.sort_unstable();
    listed.dedup();
    for epoch in listed {
        let Some(accuracy) = setting.mean_after(epoch) else {
            continue;
        };
        // A mean of fewer trials than another's is not comparable with it.
        let is_whole = setting.trials.iter().all(|trial| {
            let result = trial.result();
            result.is_some_and(|result| result.accuracy_after(epoch).is_some())
        });
        if is_whole && best.is_none_or(|(_, most)| accuracy > most) {
            best = Some((epoch, accuracy));
        }
        let after = |value: fn(&lenet::train::EpochMetrics) -> Option<f64>| {
            let values: Vec<f64> = setting
                .results()
                .filter_map(|trial| value(trial.epochs.get(epoch - 1)?))
                .collect();
            format!("{:.4}", values.iter().sum::<f64>() / values.len() as f64)
        };
        table = table.with_row([
            epoch.to_string(),
            format!("{accuracy:.4}"),
            setting
                .standard_deviation_after(epoch)
                .map_or("–".to_owned(), |deviation| format!("{deviation:.4}")),
            after(|metrics| metrics.validation_loss),
            after(|metrics| Some(metrics.mean_loss)),
        ]);
    }
    session.table(table);
    if let Some((epoch, accuracy)) = best {
        session.say(format!(
            "Of these, {epoch} epochs show the highest test accuracy, {accuracy:.4}. A test loss that rises \
             while the training loss falls tells of overfitting."
        ));
    }
    Ok(())
}

fn schedule(session: &mut Session, args: &CompareArgs) -> anyhow::Result<()> {
    session.heading("Learning-rate schedule");
    let training = args.recipe.training(15, session.quick);
    let third = training.epochs.div_ceil(3);
    let schedules = [
        ("constant", Schedule::Constant),
        (
            "step",
            Schedule::Step {
                epochs: third,
                factor: 0.3,
            },
        ),
        ("linear", Schedule::Linear { final_rate: 0.0 }),
        ("cosine", Schedule::Cosine { final_rate: 0.0 }),
    ];
    let mut sweep = Sweep::new("schedule", "schedule")
        .with_scale(Scale::Categories)
        .with_seeds(args.sweep.seeds(args.recipe.seed, 3, session.quick));
    for (index, (label, schedule)) in schedules.into_iter().enumerate() {
        let network = LeNetConfig::tweakable(session.classes());
        let training = training.clone().with_schedule(schedule);
        sweep = sweep.with_setting(label, index as f64, network, training);
    }
    let result = session.sweep("Learning-rate schedule", &sweep, args)?;
    session.say(format!(
        "The step multiplies the rate by 0.3 every {third} epochs; linear and cosine end at 0."
    ));
    session.say(result.conclusion());
    Ok(())
}
