use std::path::PathBuf;

use thiserror::Error;

/// Why a [`LeNetConfig`](crate::LeNetConfig) describes no possible network.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A size that must be at least 1 is zero.
    #[error("{what} is 0: it must be at least 1")]
    Zero {
        /// What is zero, as `out_channels of conv2`.
        what: String,
    },
    /// There is no convolution at all.
    #[error("out_channels is empty: a LeNet has at least one convolution")]
    NoConvolution,
    /// A setting lists a value for each convolution, but not for as many as there are.
    #[error(
        "{setting} lists {found} values for {expected} convolutions: give one number for all, or {expected} numbers"
    )]
    ListLength {
        /// The field's name.
        setting: &'static str,
        /// The number of convolutions.
        expected: usize,
        /// The number of values listed.
        found: usize,
    },
    /// A kernel is larger than its padded input.
    #[error(
        "{layer}: a {kernel_size}×{kernel_size} kernel does not fit its input of {height}×{width} padded by {padding} \
         ({padded_height}×{padded_width}); use a smaller kernel, more padding, larger images or fewer convolutions",
        padded_height = height + 2 * padding, padded_width = width + 2 * padding
    )]
    KernelTooLarge {
        /// The layer's name, as `conv2`.
        layer: String,
        /// Height and width of the kernel.
        kernel_size: usize,
        /// Padding on each side.
        padding: usize,
        /// Height of the layer's input without padding.
        height: usize,
        /// Width of the layer's input without padding.
        width: usize,
    },
    /// A feature map is too small for a 2×2 window.
    #[error(
        "{layer}: 2×2 pooling leaves nothing of its input of {height}×{width}; use larger images, more padding or fewer convolutions"
    )]
    NothingLeft {
        /// The layer's name, as `conv2.pool`.
        layer: String,
        /// Height of the pooling's input.
        height: usize,
        /// Width of the pooling's input.
        width: usize,
    },
    /// The network is larger than any LeNet can usefully be.
    #[error(
        "{layer}: the network would hold more than {limit} numbers up to here; reduce its channels, kernels, dense layers or images"
    )]
    TooLarge {
        /// The layer at which the limit is passed.
        layer: String,
        /// The limit, for the parameters of a network and for the values of one feature map.
        limit: usize,
    },
    /// The network is deeper than any LeNet can usefully be.
    #[error("the network has {found} convolutions and dense layers: at most {limit} are possible")]
    TooManyLayers {
        /// The most there may be.
        limit: usize,
        /// The number given.
        found: usize,
    },
    /// The standard deviation of [`Initializer::Normal`](crate::Initializer::Normal) is unusable.
    #[error("the initializer's standard deviation is {found}: it must be finite and above 0")]
    StandardDeviation {
        /// The value given.
        found: f64,
    },
}

/// Images that do not fit the network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "images have shape {found:?}, the network takes [batch, {}, {}, {}] (batch, channel, height, width)",
    expected[0], expected[1], expected[2]
)]
pub struct InputError {
    /// Channel, height and width that the network takes.
    pub expected: [usize; 3],
    /// Shape of the images, batch first.
    pub found: [usize; 4],
}

/// One tensor in which a weights file and a network differ.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TensorDifference {
    /// The network has a parameter that the file lacks.
    #[error("{name}: missing, expected shape {expected:?}")]
    Missing {
        /// Key of the tensor.
        name: String,
        /// Shape the network needs.
        expected: Vec<usize>,
    },
    /// The file has a tensor that the network does not know.
    #[error("{name}: not part of this network, shape {found:?}")]
    Unexpected {
        /// Key of the tensor.
        name: String,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// The shapes differ.
    #[error("{name}: expected shape {expected:?}, found {found:?}")]
    Shape {
        /// Key of the tensor.
        name: String,
        /// Shape the network needs.
        expected: Vec<usize>,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// The element type is not 32-bit float.
    #[error("{name}: expected element type F32, found {found}")]
    ElementType {
        /// Key of the tensor.
        name: String,
        /// Element type in the file, in the format's own spelling.
        found: String,
    },
    /// The number of values is not what the shape says.
    #[error("{name}: expected {expected} values, found {found}")]
    Length {
        /// Key of the tensor.
        name: String,
        /// Values of the shape.
        expected: usize,
        /// Values there are.
        found: usize,
    },
    /// A value is infinite or not a number.
    #[error("{name}: value {index} is {found}, not a finite number")]
    NotFinite {
        /// Key of the tensor.
        name: String,
        /// Place of the first such value.
        index: usize,
        /// The value.
        found: String,
    },
    /// The file does not hold the values that it lists.
    #[error("{name}: {reason}")]
    Unreadable {
        /// Key of the tensor.
        name: String,
        /// What is wrong.
        reason: String,
    },
}

/// Why weights were not saved or loaded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The file could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// What is wrong with a file.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<WeightsError>,
    },
    /// The file begins as no weights file does.
    #[error(
        "not a weights file: expected safetensors, a burn record or a PyTorch file, found one that begins with {start:02x?}"
    )]
    UnknownFormat {
        /// The first bytes, at most eight.
        start: Vec<u8>,
    },
    /// The file is damaged, or of a kind that cannot be read.
    #[error("not a readable {format} file: {reason}")]
    Format {
        /// The format that the file begins as.
        format: &'static str,
        /// What the parser said.
        reason: String,
    },
    /// The configuration in the file's metadata is none that this version knows.
    #[error("the configuration in the file cannot be read: {reason}")]
    Metadata {
        /// What the parser said.
        reason: String,
    },
    /// The file says no configuration, and none follows from its tensors.
    #[error("the weights are of no LeNet: {reason}")]
    Shapes {
        /// What was expected and what was found.
        reason: String,
    },
    /// The configuration in the file describes no possible network.
    #[error("the configuration in the file: {0}")]
    Config(#[from] ConfigError),
    /// The file holds the weights of another network.
    #[error("the weights are of another network:{}", list(differences))]
    Mismatch {
        /// Every tensor that differs, in the order of the network's parameters.
        differences: Vec<TensorDifference>,
    },
    /// The file says that its network computes something else, though every shape is the same.
    #[error("the weights are of another network: {what} is {found} in the file, {expected} here")]
    Function {
        /// What differs.
        what: &'static str,
        /// As the network to load into has it.
        expected: String,
        /// As the file has it.
        found: String,
    },
    /// The device did not give the weights back.
    #[error("reading {name} from the device failed: {message}")]
    Device {
        /// Key of the tensor.
        name: String,
        /// What the device said.
        message: String,
    },
}

/// Differences listed in a message; all are in the error.
const LISTED: usize = 50;

fn list(differences: &[TensorDifference]) -> String {
    let shown = differences.iter().take(LISTED);
    let mut lines: String = shown
        .map(|difference| format!("\n  {difference}"))
        .collect();
    if let Some(more @ 1..) = differences.len().checked_sub(LISTED) {
        lines.push_str(&format!("\n  and {more} more"));
    }
    lines
}
