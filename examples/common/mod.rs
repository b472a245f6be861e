//! What the exercises share: the command line, the data, one training run and its files.

mod args;
mod datasets;
mod outputs;

use std::io::{IsTerminal, stderr, stdout};
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use lenet::core::LeNetConfig;
use lenet::train::observer::{ProgressBar, TextLines};
use lenet::train::{Event, Observer, evaluate, train};

use args::Args;
use outputs::Outputs;

/// Trains the preset as the command line says, prints everything and writes the files.
pub(crate) fn run(example: &str, title: &str, preset: fn(usize) -> LeNetConfig) -> ExitCode {
    match try_run(example, title, preset, &Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn try_run(
    example: &str,
    title: &str,
    preset: fn(usize) -> LeNetConfig,
    args: &Args,
) -> Result<()> {
    let outputs = Outputs::prepare(&args.out_folder(example))?;
    let selected = args.device.select()?;
    let splits = datasets::load(args)?;
    let (learn, test) = (&splits.train, &splits.test);
    let network = preset(learn.class_names().len());
    let config = args.training();
    let warning = learn.is_synthetic().then(|| {
        format!(
            "{}: drawings made by this program, not a real data set",
            learn.name()
        )
    });

    println!("{title} on {}", learn.name());
    println!("device    {}", selected.description);
    println!(
        "images    {} to train on, {} to test with",
        learn.len(),
        test.len()
    );
    println!(
        "training  {} epochs, batch {}, learning rate {}, seed {}",
        config.epochs, config.batch_size, config.learning_rate, config.seed
    );
    if args.quick {
        println!("quick     a shortened run: its accuracy is not that of the exercise");
    }
    if let Some(warning) = &warning {
        println!("note      {warning}");
    }
    println!("\n{}", network.layer_table()?);

    let console: Box<dyn Observer> = match stderr().is_terminal() {
        true => Box::new(ProgressBar::new()),
        false => Box::new(TextLines::new(stdout())),
    };
    let mut observer = (console, outputs.metrics()?);
    let run = train(
        &network,
        &config,
        learn,
        None,
        &selected.device,
        &mut observer,
    )?;
    let result = evaluate(&run.lenet, test, &selected.device)?;
    println!();
    observer.observe(&Event::Evaluated {
        split: "test",
        evaluation: &result,
    });
    if let Some(warning) = &warning {
        println!("note      {warning}");
    }
    println!("\n{}", result.confusion);
    outputs.write(title, &run, &result, learn, warning, observer.1)
}
