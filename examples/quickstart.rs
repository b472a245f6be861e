//! Loads Fashion-MNIST, trains the modern LeNet for three epochs, evaluates it, and saves its weights.

use std::error::Error;
use std::io::stdout;

use lenet::core::{DeviceChoice, LeNetConfig};
use lenet::data::{DataError, KnownDataset, Loader, synthetic};
use lenet::train::observer::TextLines;
use lenet::train::{Trainer, TrainingConfig, evaluate};

fn main() -> Result<(), Box<dyn Error>> {
    // A hardware GPU if there is one, else the CPU.
    let device = DeviceChoice::Auto.select()?;
    println!("device: {}", device.description);

    // On disk, or downloaded and verified; without either, generated garments take its place.
    let data = match Loader::new(KnownDataset::FashionMnist).load() {
        Err(DataError::Missing { .. }) => synthetic::garment_splits(12_800, 2_000),
        data => data?,
    };
    println!("images: {} of {}", data.train.len(), data.train.name());

    let network = LeNetConfig::modern(10);
    println!("{}", network.layer_table()?);

    let config = TrainingConfig::default().with_epochs(3);
    let mut log = TextLines::new(stdout());
    let run = Trainer::new(&network, &config)
        .with_observer(&mut log)
        .fit(&data.train, &device.device)?;

    let result = evaluate(&run.lenet, &data.test, &device.device)?;
    println!("test accuracy {:.3}\n{}", result.accuracy, result.confusion);

    run.lenet.save_safetensors("quickstart.safetensors")?;
    println!("weights in quickstart.safetensors");
    Ok(())
}
