//! Parameters by PyTorch's names and in its layouts, out of a network and into it.

use burn::module::Param;
use burn::tensor::{Tensor, TensorData};

use crate::{ConfigError, LayerKind, LeNet, LeNetConfig, Weights, WeightsError, read_back};

/// A parameter with PyTorch's name and layout.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    /// Its key in the `state_dict` of the notebook's `self.net = nn.Sequential(...)`, such as `net.0.weight`.
    pub name: String,
    /// PyTorch's shape: dense weights are `[outputs, inputs]`.
    pub shape: Vec<usize>,
    /// The values in row-major order (last dimension fastest).
    pub values: Vec<f32>,
}

impl LeNet {
    /// Every parameter with PyTorch's name and layout, first layer to last: `net.0.weight`, `net.0.bias` and so
    /// on. Convolution weights are `[out_channels, in_channels, kernel_size, kernel_size]`, dense weights
    /// `[outputs, inputs]`.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use lenet_core::LeNetConfig;
    ///
    /// let lenet = LeNetConfig::modern(10).init(&Device::flex(), 0)?;
    /// let state = lenet.state_dict()?;
    /// assert_eq!(state[0].name, "net.0.weight");
    /// assert_eq!(state[4].shape, [120, 400]);
    ///
    /// let other = LeNetConfig::modern(10).init(&Device::flex(), 1)?.load_state_dict(state)?;
    /// assert_eq!(other.state_dict()?, lenet.state_dict()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`WeightsError::Device`] if the weights cannot be read back from the device.
    pub fn state_dict(&self) -> Result<Vec<NamedTensor>, WeightsError> {
        let mut read = Vec::new();
        for block in &self.conv {
            read.push(read_back(block.weight.val()));
            read.push(read_back(block.bias.val()));
        }
        for dense in &self.dense {
            let [inputs, outputs] = dense.weight.dims();
            let weight = read_back::<f32>(dense.weight.val());
            read.push(weight.map(|values| transpose(&values, inputs, outputs)));
            read.push(read_back(dense.bias.val()));
        }
        let shapes = self.config().parameter_shapes()?.into_iter();
        let tensors = shapes
            .zip(read)
            .map(|((name, shape), values)| match values {
                Ok(values) => Ok(NamedTensor {
                    name,
                    shape,
                    values,
                }),
                Err(source) => Err(WeightsError::Device { name, source }),
            });
        tensors.collect()
    }

    /// Replaces the parameters of this network, on the same device, like
    /// [`load_weights`](Self::load_weights).
    ///
    /// # Errors
    ///
    /// [`WeightsError::Mismatch`] lists every tensor that is missing, superfluous, of another shape, or not
    /// finite.
    pub fn load_state_dict(self, state: Vec<NamedTensor>) -> Result<Self, WeightsError> {
        self.load_weights(Weights::from(state))
    }

    /// Replaces the values of all parameters. Their number and lengths must be right.
    pub(crate) fn with_values(mut self, values: Vec<Vec<f32>>) -> Self {
        let mut values = values.into_iter();
        let mut next = || {
            let next = values.next();
            next.unwrap_or_else(|| unreachable!("expected values for every parameter"))
        };
        for block in &mut self.conv {
            replace(&mut block.weight, next());
            replace(&mut block.bias, next());
        }
        for dense in &mut self.dense {
            let [inputs, outputs] = dense.weight.dims();
            replace(&mut dense.weight, transpose(&next(), outputs, inputs));
            replace(&mut dense.bias, next());
        }
        self
    }

    /// The configuration as files store it.
    pub(crate) fn config_json(&self) -> String {
        serde_json::to_string(self.config())
            .unwrap_or_else(|error| unreachable!("expected a configuration to be JSON: {error}"))
    }
}

impl LeNetConfig {
    /// Every parameter's name and PyTorch shape, first layer to last.
    pub(crate) fn parameter_shapes(&self) -> Result<Vec<(String, Vec<usize>)>, ConfigError> {
        let mut shapes = Vec::new();
        // Every row of the table is a module of the notebook's `nn.Sequential`, so their numbers agree.
        for (module, row) in self.layer_table()?.rows().iter().enumerate() {
            let (weight, outputs) = match row.kind {
                LayerKind::Convolution {
                    in_channels,
                    out_channels,
                    kernel_size,
                    ..
                } => (
                    vec![out_channels, in_channels, kernel_size, kernel_size],
                    out_channels,
                ),
                LayerKind::Dense { inputs, outputs } => (vec![outputs, inputs], outputs),
                LayerKind::Activation(_) | LayerKind::Pooling(_) | LayerKind::Flatten => continue,
            };
            shapes.push((format!("net.{module}.weight"), weight));
            shapes.push((format!("net.{module}.bias"), vec![outputs]));
        }
        Ok(shapes)
    }
}

/// Replaces a parameter's values and keeps its id and whether it has a gradient.
fn replace<const D: usize>(parameter: &mut Param<Tensor<D>>, values: Vec<f32>) {
    let data = TensorData::new(values, parameter.dims());
    *parameter = parameter.clone().map(|old| {
        let new = Tensor::from_data(data, &old.device());
        if old.is_require_grad() {
            new.require_grad()
        } else {
            new
        }
    });
}

/// Transposes a `rows × columns` matrix in row-major order.
pub(crate) fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|column| {
            let column = values.iter().skip(column).step_by(columns.max(1));
            column.take(rows).copied()
        })
        .collect()
}
