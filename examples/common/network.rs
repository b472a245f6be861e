use anyhow::{Context, Result};
use burn::tensor::Tensor;
use lenet::core::{LeNet, LeNetConfig, Weights};
use lenet::plot::{ActivationGrid, Block};
use lenet::train::{evaluate, train};

use super::args::LookArgs;
use super::exercise::Session;
use super::single::console;

/// The layers whose activations the exercises look at.
pub(crate) const LAYERS: [&str; 2] = ["conv1.activation", "conv2.activation"];

impl Session {
    /// A modern LeNet: of the file given, else trained as in exercise 1.
    pub(crate) fn modern_lenet(&mut self, args: &LookArgs) -> Result<LeNet> {
        let network = LeNetConfig::modern(self.classes());
        let device = &self.device.device;
        let lenet = match &args.weights {
            Some(path) => {
                say!("weights   {}\n", path.display());
                network
                    .init(device, 0)?
                    .load_weights(Weights::open(path)?)?
            }
            None => {
                let config = args.recipe.training(15, self.quick);
                say!("training  {} epochs\n", config.epochs);
                let images = &self.splits.train;
                train(&network, &config, images, None, device, &mut console())?.lenet
            }
        };
        let result = evaluate(&lenet, &self.splits.test, device)?;
        say!("");
        self.say(format!(
            "The network recognises {:.1} % of the test images.",
            100.0 * result.accuracy
        ));
        Ok(lenet)
    }

    /// Writes the picture of a layer's activations.
    pub(crate) fn save_layer(
        &mut self,
        number: usize,
        mut grid: ActivationGrid,
        caption: String,
    ) -> Result<()> {
        if let Some(warning) = self.warning() {
            grid = grid.with_warning(warning);
        }
        let file = format!("layer{number}.png");
        grid.save(self.path(&file))?;
        self.wrote("activations", file.clone());
        self.add(Block::Picture { file, caption });
        Ok(())
    }
}

/// The feature maps `[batch, channel, height, width]` of a layer.
pub(crate) fn maps(lenet: &LeNet, images: &Tensor<4>, layer: &str) -> Result<Tensor<4>> {
    let stages = lenet.forward_with_activations(images.clone())?;
    let stage = stages.iter().find(|stage| stage.name() == layer);
    let maps = stage.and_then(|stage| stage.maps());
    maps.cloned()
        .with_context(|| format!("the network has no layer {layer}"))
}

/// The numbers of a tensor, row by row.
pub(crate) fn numbers<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    let data = tensor.try_into_data_as::<f32>();
    let data = data.map_err(|error| anyhow::anyhow!("the device failed: {error:?}"))?;
    data.try_into_vec()
        .map_err(|error| anyhow::anyhow!("the device failed: {error:?}"))
}

/// Mean and standard deviation.
pub(crate) fn mean_and_deviation(values: &[f32]) -> (f32, f32) {
    let count = values.len().max(1) as f32;
    let mean = values.iter().sum::<f32>() / count;
    let squares: f32 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0).max(1.0)).sqrt())
}
