use burn::tensor::Device;
pub use lenet_kernels::{Activation, Pooling};
use serde::{Deserialize, Serialize};

use crate::{
    BiasInitializer, ConfigError, Initializer, LayerTable, LeNet, PerLayer, layer_table, model,
};

/// Everything that determines a [`LeNet`] but its weights.
///
/// A network is `conv → activation → 2×2 pooling`, once for each entry of
/// [`out_channels`](Self::out_channels), then a dense layer with activation for each of
/// [`hidden_dims`](Self::hidden_dims), then a dense layer to the classes.
///
/// Start from a preset and change what differs. Nothing is checked until
/// [`layer_table`](Self::layer_table) or [`init`](Self::init), so the order of the changes does
/// not matter.
///
/// ```
/// use lenet_core::LeNetConfig;
///
/// let config = LeNetConfig::tweakable(10)
///     .with_kernel_size(7)
///     .with_out_channels([12, 22]);
/// assert_eq!(config.layer_table()?.flattened(), 22 * 5 * 5);
/// # Ok::<(), lenet_core::ConfigError>(())
/// ```
///
/// It is stored as JSON, by serde or through burn's `Config::save` and `Config::load`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LeNetConfig {
    /// Height and width of an image in pixels.
    pub image_size: [usize; 2],
    /// Channels of an image: 1 for grey, 3 for RGB.
    pub in_channels: usize,
    /// Output channels of each convolution; its length is the number of convolutions.
    pub out_channels: Vec<usize>,
    /// Height and width of the square kernels.
    pub kernel_size: PerLayer,
    /// Zeros added on each of the four sides before a convolution.
    pub padding: PerLayer,
    /// Outputs of each hidden dense layer; may be empty.
    pub hidden_dims: Vec<usize>,
    /// Number of classes, the length of a row of logits.
    pub classes: usize,
    /// Activation after every convolution and hidden dense layer.
    pub activation: Activation,
    /// Pooling after every convolution's activation.
    pub pooling: Pooling,
    /// Where the weights come from.
    pub initializer: Initializer,
    /// Where the biases come from.
    pub bias: BiasInitializer,
}

impl burn::config::Config for LeNetConfig {}

impl LeNetConfig {
    /// The LeNet of *Dive into Deep Learning*, section 7.6: sigmoid and average pooling on 28×28
    /// grey images, kernel 5, channels 6 and 16, dense layers 120 and 84; 61,706 parameters for
    /// 10 classes.
    pub fn classic(classes: usize) -> Self {
        Self {
            image_size: [28, 28],
            in_channels: 1,
            out_channels: vec![6, 16],
            kernel_size: PerLayer::Same(5),
            padding: PerLayer::Each(vec![2, 0]),
            hidden_dims: vec![120, 84],
            classes,
            activation: Activation::Sigmoid,
            pooling: Pooling::Average,
            initializer: Initializer::XavierUniform,
            bias: BiasInitializer::FanInUniform,
        }
    }

    /// The classic geometry with ReLU and max pooling (exercise 1 of the section).
    pub fn modern(classes: usize) -> Self {
        Self {
            activation: Activation::Relu,
            pooling: Pooling::Max,
            ..Self::classic(classes)
        }
    }

    /// The modern network with every convolution padded by 2, whatever its kernel: the geometry
    /// in which exercise 2 varies kernels, channels and layers.
    pub fn tweakable(classes: usize) -> Self {
        Self {
            padding: PerLayer::Same(2),
            ..Self::modern(classes)
        }
    }

    /// Sets height and width of the images in pixels.
    #[must_use]
    pub fn with_image_size(mut self, image_size: [usize; 2]) -> Self {
        self.image_size = image_size;
        self
    }

    /// Sets the channels of an image.
    #[must_use]
    pub fn with_in_channels(mut self, in_channels: usize) -> Self {
        self.in_channels = in_channels;
        self
    }

    /// Sets the output channels of each convolution, and so the number of convolutions.
    ///
    /// A padding or kernel size listed [for each](PerLayer::Each) convolution must then be given
    /// anew if the number changes.
    #[must_use]
    pub fn with_out_channels(mut self, out_channels: impl Into<Vec<usize>>) -> Self {
        self.out_channels = out_channels.into();
        self
    }

    /// Sets the kernel size: one number for all convolutions, or a list.
    #[must_use]
    pub fn with_kernel_size(mut self, kernel_size: impl Into<PerLayer>) -> Self {
        self.kernel_size = kernel_size.into();
        self
    }

    /// Sets the padding: one number for all convolutions, or a list.
    #[must_use]
    pub fn with_padding(mut self, padding: impl Into<PerLayer>) -> Self {
        self.padding = padding.into();
        self
    }

    /// Sets the outputs of each hidden dense layer, and so their number.
    #[must_use]
    pub fn with_hidden_dims(mut self, hidden_dims: impl Into<Vec<usize>>) -> Self {
        self.hidden_dims = hidden_dims.into();
        self
    }

    /// Sets the number of classes.
    #[must_use]
    pub fn with_classes(mut self, classes: usize) -> Self {
        self.classes = classes;
        self
    }

    /// Sets the activation.
    #[must_use]
    pub fn with_activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self
    }

    /// Sets the pooling.
    #[must_use]
    pub fn with_pooling(mut self, pooling: Pooling) -> Self {
        self.pooling = pooling;
        self
    }

    /// Sets where the weights come from.
    #[must_use]
    pub fn with_initializer(mut self, initializer: Initializer) -> Self {
        self.initializer = initializer;
        self
    }

    /// Sets where the biases come from.
    #[must_use]
    pub fn with_bias(mut self, bias: BiasInitializer) -> Self {
        self.bias = bias;
        self
    }

    /// Computes every layer's output shape, parameters and multiply-adds without allocating any
    /// tensor.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if no such network can exist, naming the layer and the shapes.
    pub fn layer_table(&self) -> Result<LayerTable, ConfigError> {
        layer_table::layer_table(self)
    }

    /// Creates the network on `device` with weights drawn from `seed`.
    ///
    /// The same configuration and seed give bit-identical weights on every device: they are drawn
    /// on the host, each parameter from a stream of its own, and uploaded. Pass
    /// `device.autodiff()` to train.
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
    /// [`ConfigError`], before anything is allocated, if no such network can exist.
    pub fn init(&self, device: &Device, seed: u64) -> Result<LeNet, ConfigError> {
        model::init(self, device, seed)
    }
}
