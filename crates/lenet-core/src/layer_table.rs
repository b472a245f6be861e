use std::fmt;

use crate::{Activation, ConfigError, Initializer, LeNetConfig, PerLayer, Pooling};

/// Most parameters of a network, and most values of one feature map: sizes beyond are mistakes.
const LIMIT: usize = i32::MAX as usize;

/// Most convolutions and dense layers: more are a mistake, or a file made to take all memory.
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
    /// All values of an image in one row.
    Flatten,
    /// A dense layer.
    Dense {
        /// Values in.
        inputs: usize,
        /// Values out.
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

/// One layer: its name, shapes without the batch, and cost for one image.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerRow {
    /// Name, as `conv1`, `conv1.activation`, `conv1.pool`, `flatten`, `dense3`.
    pub name: String,
    /// What it does.
    pub kind: LayerKind,
    /// Shape of one image's input: `[channel, height, width]` or `[features]`.
    pub input_shape: Vec<usize>,
    /// Shape of one image's output: `[channel, height, width]` or `[features]`.
    pub output_shape: Vec<usize>,
    /// Weights and biases.
    pub parameters: usize,
    /// Multiplications of an image's forward pass, each followed by an addition.
    pub multiply_adds: u64,
}

/// Every layer of a network in order, with shapes and costs; printing it gives the table.
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

    /// All weights and biases.
    pub fn parameters(&self) -> usize {
        self.rows.iter().map(|row| row.parameters).sum()
    }

    /// Multiply-adds of one image's forward pass.
    pub fn multiply_adds(&self) -> u64 {
        self.rows.iter().map(|row| row.multiply_adds).sum()
    }

    /// Number of features that the first dense layer takes.
    pub fn flattened(&self) -> usize {
        self.rows
            .iter()
            .find(|row| row.kind == LayerKind::Flatten)
            .map_or(0, |row| row.output_shape.iter().product())
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

/// `61706` as `61,706`; nothing at all for 0.
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

/// Walks the configuration layer by layer, with checked arithmetic and without any tensor.
pub(crate) fn layer_table(config: &LeNetConfig) -> Result<LayerTable, ConfigError> {
    check_settings(config)?;
    let mut rows = Vec::new();
    let [mut height, mut width] = config.image_size;
    let mut channels = config.in_channels;
    bounded("the input", &[channels, height, width])?;

    for (index, &out_channels) in config.out_channels.iter().enumerate() {
        let layer = format!("conv{}", index + 1);
        let kernel_size = value(&config.kernel_size, index, "kernel_size", config)?;
        let padding = value(&config.padding, index, "padding", config)?;
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
        let pooled = convolved_to_pooled(convolved);
        if pooled.contains(&0) {
            return Err(ConfigError::NothingLeft {
                layer: format!("{layer}.pool"),
                height: convolved[1],
                width: convolved[2],
            });
        }

        rows.push(LayerRow {
            name: layer.clone(),
            kind: LayerKind::Convolution {
                in_channels: channels,
                out_channels,
                kernel_size,
                padding,
            },
            input_shape: vec![channels, height, width],
            output_shape: convolved.to_vec(),
            parameters,
            multiply_adds: (map as u64).saturating_mul(kernel as u64),
        });
        rows.push(free_layer(
            format!("{layer}.activation"),
            LayerKind::Activation(config.activation),
            convolved.to_vec(),
            convolved.to_vec(),
        ));
        rows.push(free_layer(
            format!("{layer}.pool"),
            LayerKind::Pooling(config.pooling),
            convolved.to_vec(),
            pooled.to_vec(),
        ));
        [channels, height, width] = pooled;
    }

    let mut inputs = bounded("flatten", &[channels, height, width])?;
    rows.push(free_layer(
        "flatten".to_owned(),
        LayerKind::Flatten,
        vec![channels, height, width],
        vec![inputs],
    ));

    let outputs = config.hidden_dims.iter().chain([&config.classes]);
    for (index, &outputs) in outputs.enumerate() {
        let layer = format!("dense{}", index + 1);
        let hidden = index < config.hidden_dims.len();
        not_zero(outputs, || match hidden {
            true => format!("hidden_dims of {layer}"),
            false => "classes".to_owned(),
        })?;
        let weights = bounded(&layer, &[inputs, outputs])?;
        rows.push(LayerRow {
            name: layer.clone(),
            kind: LayerKind::Dense { inputs, outputs },
            input_shape: vec![inputs],
            output_shape: vec![outputs],
            parameters: weights + outputs,
            multiply_adds: weights as u64,
        });
        if hidden {
            rows.push(free_layer(
                format!("{layer}.activation"),
                LayerKind::Activation(config.activation),
                vec![outputs],
                vec![outputs],
            ));
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

fn convolved_to_pooled([channels, height, width]: [usize; 3]) -> [usize; 3] {
    [channels, height / 2, width / 2]
}

fn free_layer(
    name: String,
    kind: LayerKind,
    input_shape: Vec<usize>,
    output_shape: Vec<usize>,
) -> LayerRow {
    LayerRow {
        name,
        kind,
        input_shape,
        output_shape,
        parameters: 0,
        multiply_adds: 0,
    }
}

/// The settings that concern no single layer.
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
            return Err(list_length(setting, found, config));
        }
    }
    match config.initializer {
        Initializer::Normal(found) if !(found.is_finite() && found > 0.0) => {
            Err(ConfigError::StandardDeviation { found })
        }
        _ => Ok(()),
    }
}

fn value(
    values: &PerLayer,
    index: usize,
    setting: &'static str,
    config: &LeNetConfig,
) -> Result<usize, ConfigError> {
    values
        .get(index)
        .ok_or_else(|| list_length(setting, values.listed().unwrap_or(1), config))
}

fn list_length(setting: &'static str, found: usize, config: &LeNetConfig) -> ConfigError {
    ConfigError::ListLength {
        setting,
        expected: config.out_channels.len(),
        found,
    }
}

fn not_zero(size: usize, what: impl FnOnce() -> String) -> Result<(), ConfigError> {
    match size {
        0 => Err(ConfigError::Zero { what: what() }),
        _ => Ok(()),
    }
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
