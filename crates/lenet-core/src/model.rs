//! The network: creation, forward pass and the output of every layer. The layers are in `conv_block` and `dense`.

#[cfg(feature = "flex")]
use std::sync::{Arc, OnceLock};

use burn::module::{Content, DisplaySettings, Module, ModuleDisplay, ModuleDisplayDefault, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
#[cfg(feature = "flex")]
use lenet_kernels::NetworkPlan;

use crate::conv_block::{activate, convolve, pool};
#[cfg(feature = "flex")]
use crate::fused::{self, Shapes};
use crate::initializer::{ParameterStream, biases, weights};
use crate::{ConfigError, ConvBlock, Dense, InputError, LayerKind, LeNetConfig, cross_entropy};

/// LeNet: convolution blocks, then dense layers; created by [`LeNetConfig::init`].
///
/// It is a burn `Module`, so burn's optimisers and records work with it. `Display` prints its
/// [layer table](crate::LayerTable).
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct LeNet {
    /// The convolution blocks, first to last.
    pub conv: Vec<ConvBlock>,
    /// The dense layers, first to last. The last one outputs the logits.
    pub dense: Vec<Dense>,
    #[module(skip)]
    config: LeNetConfig,
    /// The plan of the first images that the kernels computed, and the shapes it is for.
    #[cfg(feature = "flex")]
    #[module(skip)]
    pub(crate) plan: OnceLock<(Shapes, Arc<NetworkPlan>)>,
}

/// The output of one layer, named as in the [`LayerTable`](crate::LayerTable).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StageActivation {
    /// Feature maps.
    Maps {
        /// Name, such as `conv1.activation`.
        name: String,
        /// `[batch, channel, height, width]`.
        values: Tensor<4>,
    },
    /// Features.
    Features {
        /// Name, such as `dense1.activation`.
        name: String,
        /// `[batch, features]`.
        values: Tensor<2>,
    },
}

impl StageActivation {
    /// The layer's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Maps { name, .. } | Self::Features { name, .. } => name,
        }
    }

    /// The feature maps `[batch, channel, height, width]`, before the flatten layer.
    pub fn maps(&self) -> Option<&Tensor<4>> {
        match self {
            Self::Maps { values, .. } => Some(values),
            Self::Features { .. } => None,
        }
    }

    /// The features `[batch, features]`, from the flatten layer on.
    pub fn features(&self) -> Option<&Tensor<2>> {
        match self {
            Self::Features { values, .. } => Some(values),
            Self::Maps { .. } => None,
        }
    }
}

impl LeNetConfig {
    /// Creates the network on `device` with initial weights drawn from `seed`.
    ///
    /// The same configuration and seed give bit-identical weights on every device: they are drawn on the host,
    /// each parameter from a random stream of its own, and uploaded. Pass `device.autodiff()` to train.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use lenet_core::LeNetConfig;
    ///
    /// let device = Device::flex();
    /// let lenet = LeNetConfig::modern(10).init(&device, 0)?;
    /// let logits = lenet.forward(Tensor::zeros([32, 1, 28, 28], &device));
    /// assert_eq!(logits.dims(), [32, 10]);
    /// # Ok::<(), lenet_core::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError`], before anything is allocated, if no such network is possible.
    pub fn init(&self, device: &Device, seed: u64) -> Result<LeNet, ConfigError> {
        let table = self.layer_table()?;
        // Parameters are numbered in the order of creation, and parameter n draws from stream n.
        let mut parameters = 0;
        let mut next_stream = || {
            parameters += 1;
            ParameterStream::new(seed, parameters - 1)
        };
        let (mut conv, mut dense) = (Vec::new(), Vec::new());

        for row in table.rows() {
            match row.kind {
                LayerKind::Convolution {
                    in_channels,
                    out_channels,
                    kernel_size,
                    padding,
                } => {
                    let area = kernel_size * kernel_size;
                    let (fan_in, fan_out) = (in_channels * area, out_channels * area);
                    let shape = [out_channels, in_channels, kernel_size, kernel_size];
                    let len = fan_in * out_channels;
                    let weight = weights(self.initializer, fan_in, fan_out, len, next_stream());
                    let bias = biases(self.bias, fan_in, out_channels, next_stream());
                    conv.push(ConvBlock::new(
                        Param::from_data(TensorData::new(weight, shape), device),
                        Param::from_data(TensorData::new(bias, [out_channels]), device),
                        padding,
                    ));
                }
                LayerKind::Dense { inputs, outputs } => {
                    let len = inputs * outputs;
                    let weight = weights(self.initializer, inputs, outputs, len, next_stream());
                    let bias = biases(self.bias, inputs, outputs, next_stream());
                    dense.push(Dense {
                        weight: Param::from_data(
                            TensorData::new(weight, [inputs, outputs]),
                            device,
                        ),
                        bias: Param::from_data(TensorData::new(bias, [outputs]), device),
                    });
                }
                LayerKind::Activation(_) | LayerKind::Pooling(_) | LayerKind::Flatten => {}
            }
        }
        Ok(LeNet {
            conv,
            dense,
            config: self.clone(),
            #[cfg(feature = "flex")]
            plan: OnceLock::new(),
        })
    }
}

impl LeNet {
    /// The configuration of the network.
    pub fn config(&self) -> &LeNetConfig {
        &self.config
    }

    /// Computes the logits `[batch, classes]` of `images` `[batch, channel, height, width]`, scaled like the
    /// images it was trained on (here [0, 1]). See [`predict`](Self::predict) for classes and probabilities.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use lenet_core::LeNetConfig;
    ///
    /// let device = Device::flex();
    /// let lenet = LeNetConfig::classic(10).init(&device, 0)?;
    /// let logits = lenet.forward(Tensor::zeros([2, 1, 28, 28], &device));
    /// assert_eq!(logits.dims(), [2, 10]);
    /// # Ok::<(), lenet_core::ConfigError>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If the images have another shape or are on another device, like any burn module. Use
    /// [`try_forward`](Self::try_forward) if their shape is not under your control.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        #[cfg(feature = "flex")]
        if let Some(logits) = fused::logits(self, &images) {
            return logits;
        }
        let (activation, pooling) = (self.config.activation, self.config.pooling);
        let maps = self.conv.iter().fold(images, |maps, block| {
            block.forward(maps, activation, pooling)
        });
        let mut features = maps.flatten::<2>(1, 3);
        for (index, dense) in self.dense.iter().enumerate() {
            let is_hidden = index + 1 < self.dense.len();
            features = dense.forward(features, is_hidden.then_some(activation));
        }
        features
    }

    /// The mean softmax cross-entropy of `images` `[batch, channel, height, width]` for `labels` `[batch]`, a
    /// tensor of one value in nats: what a training step minimises.
    ///
    /// It equals `cross_entropy(lenet.forward(images), labels)`, to the bit on the CPU. On Flex in 32-bit floats,
    /// if the parameters require gradients and the images do not, `lenet-kernels` computes the loss and all
    /// gradients together, a group of images at a time; `backward` then only returns them.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use lenet_core::LeNetConfig;
    ///
    /// let device = Device::flex().autodiff();
    /// let lenet = LeNetConfig::modern(10).init(&device, 0)?;
    /// let images = Tensor::zeros([2, 1, 28, 28], &device);
    /// let gradients = lenet.loss(images, Tensor::from_data([3, 7], &device)).backward();
    /// let bias = lenet.dense[2].bias.val().grad(&gradients).unwrap();
    /// assert_eq!(bias.dims(), [10]);
    /// # Ok::<(), lenet_core::ConfigError>(())
    /// ```
    ///
    /// # Panics
    ///
    /// See [`forward`](Self::forward) and [`cross_entropy`].
    pub fn loss(&self, images: Tensor<4>, labels: Tensor<1, Int>) -> Tensor<1> {
        #[cfg(feature = "flex")]
        if let Some(loss) = fused::loss(self, &images, &labels) {
            return loss;
        }
        cross_entropy(self.forward(images), labels)
    }

    /// Like [`forward`](Self::forward), but returns an error if the images do not fit the network.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use lenet_core::LeNetConfig;
    ///
    /// let device = Device::flex();
    /// let lenet = LeNetConfig::modern(10).init(&device, 0)?;
    /// let error = lenet.try_forward(Tensor::zeros([1, 3, 32, 32], &device)).unwrap_err();
    /// assert_eq!(error.expected, [1, 28, 28]);
    /// # Ok::<(), lenet_core::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InputError`] if channels, height or width differ from the configuration.
    pub fn try_forward(&self, images: Tensor<4>) -> Result<Tensor<2>, InputError> {
        self.check_input(images.dims())?;
        Ok(self.forward(images))
    }

    /// Computes the output of every layer for `images` `[batch, channel, height, width]`, first to last; the last
    /// one is the logits. [`forward`](Self::forward) fuses layers where it can, so its logits may differ in the
    /// last bits.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use lenet_core::LeNetConfig;
    ///
    /// let device = Device::flex();
    /// let lenet = LeNetConfig::modern(10).init(&device, 0)?;
    /// let stages = lenet.forward_with_activations(Tensor::zeros([2, 1, 28, 28], &device))?;
    /// let first = stages.iter().find(|stage| stage.name() == "conv1.activation");
    /// let maps = first.and_then(|stage| stage.maps()).unwrap();
    /// assert_eq!(maps.dims(), [2, 6, 28, 28]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InputError`] if channels, height or width differ from the configuration.
    pub fn forward_with_activations(
        &self,
        images: Tensor<4>,
    ) -> Result<Vec<StageActivation>, InputError> {
        self.check_input(images.dims())?;
        let mut stages = Vec::new();
        let mut maps = images;
        for (index, block) in self.conv.iter().enumerate() {
            let name = format!("conv{}", index + 1);
            let mut keep = |name: String, values: &Tensor<4>| {
                let values = values.clone();
                stages.push(StageActivation::Maps { name, values });
            };
            maps = convolve(maps, block.weight.val(), block.bias.val(), block.padding);
            keep(name.clone(), &maps);
            maps = activate(maps, self.config.activation);
            keep(format!("{name}.activation"), &maps);
            maps = pool(maps, self.config.pooling);
            keep(format!("{name}.pool"), &maps);
        }

        let mut keep = |name: String, values: &Tensor<2>| {
            let values = values.clone();
            stages.push(StageActivation::Features { name, values });
        };
        let mut features = maps.flatten::<2>(1, 3);
        keep("flatten".to_owned(), &features);
        for (index, dense) in self.dense.iter().enumerate() {
            let name = format!("dense{}", index + 1);
            features = dense.forward(features, None);
            keep(name.clone(), &features);
            if index + 1 < self.dense.len() {
                features = activate(features, self.config.activation);
                keep(format!("{name}.activation"), &features);
            }
        }
        Ok(stages)
    }

    pub(crate) fn check_input(&self, found: [usize; 4]) -> Result<(), InputError> {
        let [height, width] = self.config.image_size;
        let expected = [self.config.in_channels, height, width];
        match found {
            [_, channels, height, width] if [channels, height, width] == expected => Ok(()),
            _ => Err(InputError { expected, found }),
        }
    }
}

impl ModuleDisplay for LeNet {
    fn format(&self, _settings: DisplaySettings) -> String {
        match self.config.layer_table() {
            Ok(table) => table.to_string(),
            Err(error) => error.to_string(),
        }
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        self.content(content)
    }
}
