//! The settings of a network and its presets. `layer_table` checks them, `model` builds the network.

pub use lenet_kernels::{Activation, Pooling};
use serde::{Deserialize, Serialize};

use crate::{BiasInitializer, Initializer, PerLayer};

/// Everything that determines a [`LeNet`](crate::LeNet) except its weights.
///
/// The network is convolution, activation and 2×2 pooling for each entry of
/// [`out_channels`](Self::out_channels), a dense layer with activation for each entry of
/// [`hidden_dims`](Self::hidden_dims), and a final dense layer that outputs the logits.
///
/// Start from a preset and change what differs. Settings are checked by
/// [`layer_table`](Self::layer_table) and [`init`](Self::init), so the order of the changes does not matter.
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
/// It serialises to JSON, with serde or with burn's `Config::save` and `Config::load`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LeNetConfig {
    /// Height and width of the images in pixels.
    pub image_size: [usize; 2],
    /// Channels of the images: 1 for grey, 3 for RGB.
    pub in_channels: usize,
    /// Output channels of each convolution. Its length is the number of convolutions.
    pub out_channels: Vec<usize>,
    /// Height and width of the square kernels.
    pub kernel_size: PerLayer,
    /// Rows and columns of zeros added on each of the four sides before a convolution.
    pub padding: PerLayer,
    /// Outputs of each hidden dense layer. May be empty.
    pub hidden_dims: Vec<usize>,
    /// Number of classes, and of logits for each image.
    pub classes: usize,
    /// Activation after every convolution and every hidden dense layer.
    pub activation: Activation,
    /// Pooling after every convolution's activation.
    pub pooling: Pooling,
    /// Distribution of the initial weights.
    pub initializer: Initializer,
    /// Distribution of the initial biases.
    pub bias: BiasInitializer,
}

impl burn::config::Config for LeNetConfig {}

impl LeNetConfig {
    /// The LeNet of *Dive into Deep Learning*, section 7.6, for 28×28 grey images: sigmoid, average pooling,
    /// 5×5 kernels, 6 and 16 channels, hidden dense layers of 120 and 84. It has 61,706 parameters for 10
    /// classes.
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

    /// The classic network with ReLU and max pooling (exercise 1 of the section).
    pub fn modern(classes: usize) -> Self {
        Self {
            activation: Activation::Relu,
            pooling: Pooling::Max,
            ..Self::classic(classes)
        }
    }

    /// The modern network with every convolution padded by 2, whatever its kernel size: the geometry in which
    /// exercise 2 varies kernel sizes, channels and layers.
    pub fn tweakable(classes: usize) -> Self {
        Self {
            padding: PerLayer::Same(2),
            ..Self::modern(classes)
        }
    }

    /// Sets the height and width of the images in pixels.
    #[must_use]
    pub fn with_image_size(mut self, image_size: [usize; 2]) -> Self {
        self.image_size = image_size;
        self
    }

    /// Sets the number of channels of the images.
    #[must_use]
    pub fn with_in_channels(mut self, in_channels: usize) -> Self {
        self.in_channels = in_channels;
        self
    }

    /// Sets the output channels of each convolution, and thereby the number of convolutions.
    ///
    /// If the number changes, set a padding or kernel size that is listed [for each](PerLayer::Each)
    /// convolution again.
    #[must_use]
    pub fn with_out_channels(mut self, out_channels: impl Into<Vec<usize>>) -> Self {
        self.out_channels = out_channels.into();
        self
    }

    /// Sets the kernel size: one number for all convolutions, or a list with one for each.
    #[must_use]
    pub fn with_kernel_size(mut self, kernel_size: impl Into<PerLayer>) -> Self {
        self.kernel_size = kernel_size.into();
        self
    }

    /// Sets the padding: one number for all convolutions, or a list with one for each.
    #[must_use]
    pub fn with_padding(mut self, padding: impl Into<PerLayer>) -> Self {
        self.padding = padding.into();
        self
    }

    /// Sets the outputs of each hidden dense layer, and thereby the number of these layers.
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

    /// Sets the distribution of the initial weights.
    #[must_use]
    pub fn with_initializer(mut self, initializer: Initializer) -> Self {
        self.initializer = initializer;
        self
    }

    /// Sets the distribution of the initial biases.
    #[must_use]
    pub fn with_bias(mut self, bias: BiasInitializer) -> Self {
        self.bias = bias;
        self
    }
}
