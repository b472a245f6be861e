use burn::module::Param;
use burn::tensor::{Tensor, TensorData};

use crate::{ConfigError, LayerKind, LeNet, LeNetConfig, Weights, WeightsError};

/// A parameter as files and PyTorch know it.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    /// As in the `state_dict` of the notebook's `self.net = nn.Sequential(...)`: `net.0.weight`.
    pub name: String,
    /// PyTorch's shape: dense weights are `[outputs, inputs]`.
    pub shape: Vec<usize>,
    /// The values, the last dimension first.
    pub values: Vec<f32>,
}

impl LeNet {
    /// Every parameter in PyTorch's terms, in the order of the network: `net.0.weight`, `net.0.bias` and so
    /// on, convolution weights `[out_channels, in_channels, kernel_size, kernel_size]`, dense weights
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
            read.push(host(block.weight.val()));
            read.push(host(block.bias.val()));
        }
        for dense in &self.dense {
            let [inputs, outputs] = dense.weight.dims();
            read.push(host(dense.weight.val()).map(|v| transpose(&v, inputs, outputs)));
            read.push(host(dense.bias.val()));
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
                Err(message) => Err(WeightsError::Device { name, message }),
            });
        tensors.collect()
    }

    /// This network with these parameters, on the same device: [`load_weights`](Self::load_weights).
    ///
    /// # Errors
    ///
    /// [`WeightsError::Mismatch`] with everything that is missing, superfluous, of another shape, or not a
    /// finite number.
    pub fn load_state_dict(self, state: Vec<NamedTensor>) -> Result<Self, WeightsError> {
        self.load_weights(Weights::from(state))
    }

    /// This network with these values in its parameters, already proven to be of the right number.
    pub(crate) fn with_values(mut self, values: Vec<Vec<f32>>) -> Self {
        let mut values = values.into_iter();
        let mut next = || values.next().unwrap_or_default();
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

    /// The configuration as files keep it.
    pub(crate) fn config_json(&self) -> String {
        serde_json::to_string(self.config()).unwrap_or_default()
    }
}

impl LeNetConfig {
    /// Every parameter's name and PyTorch shape, in the order of the network.
    pub(crate) fn parameter_shapes(&self) -> Result<Vec<(String, Vec<usize>)>, ConfigError> {
        let mut shapes = Vec::new();
        // Its number in the notebook's `nn.Sequential`, which has no layer of the table left out.
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

fn host<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, String> {
    let data = tensor.try_into_data_as::<f32>();
    let data = data.map_err(|error| format!("{error:?}"))?;
    data.try_into_vec::<f32>()
        .map_err(|error| format!("{error:?}"))
}

/// Puts new values, already proven to be of the right number, in place of a parameter's.
fn replace<const D: usize>(parameter: &mut Param<Tensor<D>>, values: Vec<f32>) {
    let data = TensorData::new(values, parameter.dims());
    *parameter = parameter.clone().map(|old| {
        let new = Tensor::from_data(data, &old.device());
        match old.is_require_grad() {
            true => new.require_grad(),
            false => new,
        }
    });
}

/// A `rows × columns` matrix, transposed.
pub(crate) fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|column| {
            let column = values.iter().skip(column).step_by(columns.max(1));
            column.take(rows).copied()
        })
        .collect()
}
