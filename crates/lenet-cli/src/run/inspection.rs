//! A trained modern LeNet, and its activations as tensors and figures.

use anyhow::{Context, Result};
use burn::tensor::Tensor;
use lenet_core::{LeNet, LeNetConfig, StageActivation, Weights};
use lenet_plot::{ActivationGrid, Figure};
use lenet_train::{Trainer, TrainingConfig, TrainingError, evaluate};

use crate::args::InspectionArgs;
use crate::output::console;
use crate::session::Session;
use crate::session::interrupt::{self, Interrupted};

/// The layers that the exercises inspect, in the order of the network.
pub(crate) const LAYERS: [&str; 2] = ["conv1.activation", "conv2.activation"];

/// Images per batch when activations are computed.
pub(crate) const BATCH_SIZE: usize = 250;

impl Session {
    /// The network to inspect: loaded from the given file, or else trained as in exercise 1.
    pub(crate) fn modern_lenet(&mut self, args: &InspectionArgs) -> Result<LeNet> {
        let network = LeNetConfig::modern(self.classes());
        let device = &self.device.device;
        let lenet = if let Some(path) = &args.weights {
            say!("weights   {}\n", path.display());
            network
                .init(device, 0)?
                .load_weights(Weights::open(path)?)?
        } else {
            let config = args
                .recipe
                .training(TrainingConfig::default().epochs, self.quick);
            say!("training  {} epochs\n", config.epochs);
            let mut observer = console();
            let trainer = Trainer::new(&network, &config)
                .with_observer(&mut observer)
                .with_stop(&self.stop);
            match trainer.fit(&self.splits.train, device) {
                // There is no checkpoint to resume from.
                Err(TrainingError::Interrupted { .. }) => return Err(Interrupted.into()),
                run => run?.lenet,
            }
        };
        let result = evaluate(&lenet, &self.splits.test, device)?;
        self.remove_old_section()?;
        say!("");
        self.say(format!(
            "The network recognises {:.1} % of the test images.",
            100.0 * result.accuracy
        ));
        Ok(lenet)
    }

    /// Draws a layer's activations for these images `[image, 1, height, width]`.
    pub(crate) fn draw_layer(
        &mut self,
        lenet: &LeNet,
        (number, layer): (usize, &str),
        labels: Vec<String>,
        images: Tensor<4>,
        (title, caption): (String, String),
    ) -> Result<()> {
        interrupt::check(&self.stop)?;
        let maps = maps(lenet, &images, layer)?;
        let figure = Figure::new(title, ActivationGrid::new(labels, images, maps)?);
        self.save_figure(figure, &format!("layer{number}"), &["png"], caption)
    }
}

/// A layer's feature maps `[batch, channel, height, width]`.
pub(crate) fn maps(lenet: &LeNet, images: &Tensor<4>, layer: &str) -> Result<Tensor<4>> {
    maps_in(&lenet.forward_with_activations(images.clone())?, layer)
}

/// A layer's feature maps among the stages of a forward pass.
pub(crate) fn maps_in(stages: &[StageActivation], layer: &str) -> Result<Tensor<4>> {
    let stage = stages.iter().find(|stage| stage.name() == layer);
    let maps = stage.and_then(|stage| stage.maps());
    maps.cloned()
        .with_context(|| format!("the network has no layer {layer}"))
}

/// Mean and standard deviation of at least one value.
pub(crate) fn mean_and_deviation(values: &[f32]) -> (f32, f32) {
    let count = values.len() as f32;
    let mean = values.iter().sum::<f32>() / count;
    let squares: f32 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0).max(1.0)).sqrt())
}
