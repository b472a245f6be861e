//! From a configuration to the shapes and costs of its layers, with checked arithmetic and without tensors.

use std::fmt;

use crate::{Activation, ConfigError, Initializer, LeNetConfig, PerLayer, Pooling};

/// Largest number of parameters of a network, and of values of a feature map: anything larger is a mistake.
const LIMIT: usize = i32::MAX as usize;

/// Largest number of convolutions and dense layers: more are a mistake, or a file made to exhaust memory.
const MAX_LAYERS: usize = 1_000;

/// What a layer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayerKind {
    /// A convolution of stride 1.
    Convolution {
        /// Channels of the input.
        in_channels: usize,
        /// Channels of the output.
        out_channels: usize,
        /// Height and width of the kernel.
        kernel_size: usize,
        /// Zeros added on each side.
        padding: usize,
    },
    /// An activation function.
    Activation(Activation),
    /// A 2×2 pooling of stride 2.
    Pooling(Pooling),
    /// The feature maps of an image as one row.
    Flatten,
    /// A dense layer.
    Dense {
        /// Number of inputs.
        inputs: usize,
        /// Number of outputs.
        outputs: usize,
    },
}

impl fmt::Display for LayerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Convolution {
                kernel_size,
                padding,
                ..
            } => write!(
                f,
                "convolution {kernel_size}×{kernel_size}, padding {padding}"
            ),
            Self::Activation(activation) => activation.fmt(f),
            Self::Pooling(pooling) => write!(f, "{pooling} 2×2"),
            Self::Flatten => f.write_str("flatten"),
            Self::Dense { .. } => f.write_str("dense"),
        }
    }
}

/// A layer: its name, its shapes without the batch dimension, and its cost for one image.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerRow {
    /// Name, such as `conv1`, `conv1.activation`, `conv1.pool`, `flatten` or `dense3`.
    pub name: String,
    /// What it does.
    pub kind: LayerKind,
    /// Shape of one image's input: `[channel, height, width]` or `[features]`.
    pub input_shape: Vec<usize>,
    /// Shape of one image's output: `[channel, height, width]` or `[features]`.
    pub output_shape: Vec<usize>,
    /// Number of weights and biases.
    pub parameters: usize,
    /// Multiply-adds of the forward pass of one image.
    pub multiply_adds: u64,
}

impl LayerRow {
    /// A layer without parameters or multiply-adds.
    fn free(name: &str, kind: LayerKind, input_shape: &[usize], output_shape: &[usize]) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            input_shape: input_shape.to_vec(),
            output_shape: output_shape.to_vec(),
            parameters: 0,
            multiply_adds: 0,
        }
    }
}

/// Every layer of a network, first to last, with shapes and costs. `Display` prints an aligned table.
///
/// ```
/// use lenet_core::LeNetConfig;
///
/// let table = LeNetConfig::classic(10).layer_table()?;
/// assert_eq!(table.parameters(), 61_706);
/// assert_eq!(table.flattened(), 400);
/// println!("{table}");
/// # Ok::<(), lenet_core::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerTable {
    rows: Vec<LayerRow>,
}

impl LayerTable {
    /// The layers, first to last.
    pub fn rows(&self) -> &[LayerRow] {
        &self.rows
    }

    /// Number of weights and biases.
    pub fn parameters(&self) -> usize {
        self.rows.iter().map(|row| row.parameters).sum()
    }

    /// Multiply-adds of the forward pass of one image.
    pub fn multiply_adds(&self) -> u64 {
        self.rows.iter().map(|row| row.multiply_adds).sum()
    }

    /// Number of features that the first dense layer takes.
    pub fn flattened(&self) -> usize {
        let mut rows = self.rows.iter();
        let flatten = rows.find(|row| row.kind == LayerKind::Flatten);
        let flatten = flatten.unwrap_or_else(|| unreachable!("expected a flatten row"));
        flatten.output_shape.iter().product()
    }
}

impl fmt::Display for LayerTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cells = |row: &LayerRow| {
            [
                row.name.clone(),
                row.kind.to_string(),
                format!("{:?}", row.output_shape),
                thousands(row.parameters as u64),
                thousands(row.multiply_adds),
            ]
        };
        let header = [
            "layer",
            "kind",
            "output shape",
            "parameters",
            "multiply-adds",
        ]
        .map(str::to_owned);
        let total = [
            "total".to_owned(),
            String::new(),
            String::new(),
            thousands(self.parameters() as u64),
            thousands(self.multiply_adds()),
        ];
        let rows: Vec<_> = self.rows.iter().map(cells).collect();

        let mut widths = [0; 5];
        for row in rows.iter().chain([&header, &total]) {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        let [a, b, c, d, e] = widths;
        let rule = "─".repeat(a + b + c + d + e + 8);
        let line = |f: &mut fmt::Formatter<'_>,
                    [name, kind, shape, parameters, cost]: &[String; 5]| {
            writeln!(
                f,
                "{name:a$}  {kind:b$}  {shape:c$}  {parameters:>d$}  {cost:>e$}"
            )
        };

        line(f, &header)?;
        writeln!(f, "{rule}")?;
        for row in &rows {
            line(f, row)?;
        }
        writeln!(f, "{rule}")?;
        line(f, &total)
    }
}

/// Formats `61706` as `61,706`, and 0 as an empty cell.
fn thousands(value: u64) -> String {
    if value == 0 {
        return String::new();
    }
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

impl LeNetConfig {
    /// Computes every layer's shapes, parameters and multiply-adds without allocating any tensor.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if no such network is possible, with the layer and the shapes.
    pub fn layer_table(&self) -> Result<LayerTable, ConfigError> {
        check_settings(self)?;
        let mut rows = Vec::new();
        let [mut height, mut width] = self.image_size;
        let mut channels = self.in_channels;
        bounded("the input", &[channels, height, width])?;

        for (index, &out_channels) in self.out_channels.iter().enumerate() {
            let layer = format!("conv{}", index + 1);
            let setting = |values: &PerLayer| {
                let value = values.get(index);
                value.unwrap_or_else(|| unreachable!("check_settings compares the lengths"))
            };
            let (kernel_size, padding) = (setting(&self.kernel_size), setting(&self.padding));
            not_zero(kernel_size, || format!("kernel_size of {layer}"))?;
            not_zero(out_channels, || format!("out_channels of {layer}"))?;

            let out = |size: usize| {
                let padded = padding.checked_mul(2).and_then(|p| p.checked_add(size));
                let padded = padded.ok_or_else(|| too_large(&layer))?;
                padded
                    .checked_sub(kernel_size)
                    .map(|free| free + 1)
                    .ok_or_else(|| ConfigError::KernelTooLarge {
                        layer: layer.clone(),
                        kernel_size,
                        padding,
                        height,
                        width,
                    })
            };
            let convolved = [out_channels, out(height)?, out(width)?];
            let map = bounded(&layer, &convolved)?;
            let kernel = bounded(&layer, &[channels, kernel_size, kernel_size])?;
            let parameters = bounded(&layer, &[kernel, out_channels])? + out_channels;
            let [_, map_height, map_width] = convolved;
            let pooled = [out_channels, map_height / 2, map_width / 2];
            if pooled.contains(&0) {
                return Err(ConfigError::NothingLeft {
                    layer: format!("{layer}.pool"),
                    height: map_height,
                    width: map_width,
                });
            }

            let kind = LayerKind::Convolution {
                in_channels: channels,
                out_channels,
                kernel_size,
                padding,
            };
            rows.push(LayerRow {
                parameters,
                multiply_adds: map as u64 * kernel as u64,
                ..LayerRow::free(&layer, kind, &[channels, height, width], &convolved)
            });
            let name = format!("{layer}.activation");
            let kind = LayerKind::Activation(self.activation);
            rows.push(LayerRow::free(&name, kind, &convolved, &convolved));
            let (name, kind) = (format!("{layer}.pool"), LayerKind::Pooling(self.pooling));
            rows.push(LayerRow::free(&name, kind, &convolved, &pooled));
            [channels, height, width] = pooled;
        }

        let maps = [channels, height, width];
        let mut inputs = bounded("flatten", &maps)?;
        rows.push(LayerRow::free(
            "flatten",
            LayerKind::Flatten,
            &maps,
            &[inputs],
        ));

        let outputs = self.hidden_dims.iter().chain([&self.classes]);
        for (index, &outputs) in outputs.enumerate() {
            let layer = format!("dense{}", index + 1);
            let is_hidden = index < self.hidden_dims.len();
            not_zero(outputs, || {
                if is_hidden {
                    format!("hidden_dims of {layer}")
                } else {
                    "classes".to_owned()
                }
            })?;
            let weights = bounded(&layer, &[inputs, outputs])?;
            let kind = LayerKind::Dense { inputs, outputs };
            rows.push(LayerRow {
                parameters: weights + outputs,
                multiply_adds: weights as u64,
                ..LayerRow::free(&layer, kind, &[inputs], &[outputs])
            });
            if is_hidden {
                let name = format!("{layer}.activation");
                let kind = LayerKind::Activation(self.activation);
                rows.push(LayerRow::free(&name, kind, &[outputs], &[outputs]));
            }
            inputs = outputs;
        }

        let mut total = 0_usize;
        for row in &rows {
            total = total.saturating_add(row.parameters);
            if total > LIMIT {
                return Err(too_large(&row.name));
            }
        }
        Ok(LayerTable { rows })
    }
}

/// Checks everything that does not depend on a layer's input.
fn check_settings(config: &LeNetConfig) -> Result<(), ConfigError> {
    let [height, width] = config.image_size;
    not_zero(height, || "image height".to_owned())?;
    not_zero(width, || "image width".to_owned())?;
    not_zero(config.in_channels, || "in_channels".to_owned())?;
    if config.out_channels.is_empty() {
        return Err(ConfigError::NoConvolution);
    }
    let layers = config.out_channels.len() + config.hidden_dims.len() + 1;
    if layers > MAX_LAYERS {
        return Err(ConfigError::TooManyLayers {
            limit: MAX_LAYERS,
            found: layers,
        });
    }
    for (setting, values) in [
        ("kernel_size", &config.kernel_size),
        ("padding", &config.padding),
    ] {
        if let Some(found) = values.listed().filter(|&n| n != config.out_channels.len()) {
            return Err(ConfigError::ListLength {
                setting,
                expected: config.out_channels.len(),
                found,
            });
        }
    }
    match config.initializer {
        Initializer::Normal(found) if !(found.is_finite() && found > 0.0) => {
            Err(ConfigError::StandardDeviation { found })
        }
        _ => Ok(()),
    }
}

fn not_zero(size: usize, what: impl FnOnce() -> String) -> Result<(), ConfigError> {
    if size == 0 {
        return Err(ConfigError::Zero { what: what() });
    }
    Ok(())
}

/// The product of the factors, if it stays within [`LIMIT`].
fn bounded(layer: &str, factors: &[usize]) -> Result<usize, ConfigError> {
    factors
        .iter()
        .try_fold(1_usize, |product, &factor| product.checked_mul(factor))
        .filter(|&product| product <= LIMIT)
        .ok_or_else(|| too_large(layer))
}

fn too_large(layer: &str) -> ConfigError {
    ConfigError::TooLarge {
        layer: layer.to_owned(),
        limit: LIMIT,
    }
}
