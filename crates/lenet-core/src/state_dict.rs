use std::collections::HashMap;

use burn::module::Param;
use burn::tensor::{Tensor, TensorData};

use crate::{LeNet, TensorDifference, WeightsError};

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

/// A tensor of a file: its values, or what they are instead of 32-bit floats.
pub(crate) struct FoundTensor {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Result<Vec<f32>, String>,
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
        let shapes = self.parameter_shapes().into_iter();
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

    /// This network with these parameters, on the same device. The names may lack the prefix `net.`.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Mismatch`] with everything that is missing, superfluous, of another shape, or not a
    /// finite number.
    pub fn load_state_dict(self, state: Vec<NamedTensor>) -> Result<Self, WeightsError> {
        self.load(state.into_iter().map(|tensor| FoundTensor {
            name: tensor.name,
            shape: tensor.shape,
            values: Ok(tensor.values),
        }))
    }

    pub(crate) fn load(
        mut self,
        tensors: impl Iterator<Item = FoundTensor>,
    ) -> Result<Self, WeightsError> {
        let mut differences = Vec::new();
        let mut unexpected = Vec::new();
        let mut found = HashMap::new();
        for tensor in tensors {
            let name = match tensor.name.starts_with("net.") {
                true => tensor.name.clone(),
                false => format!("net.{}", tensor.name),
            };
            // The second one of a name is none of the network's.
            if let Some(second) = found.insert(name, tensor) {
                unexpected.push(second);
            }
        }
        let mut values = Vec::new();
        for (name, expected) in self.parameter_shapes() {
            match found.remove(&name) {
                None => differences.push(TensorDifference::Missing { name, expected }),
                Some(tensor) => match check(name, expected, tensor) {
                    Ok(numbers) => values.push(numbers),
                    Err(difference) => differences.push(difference),
                },
            }
        }
        unexpected.extend(found.into_values());
        unexpected.sort_by(|a, b| a.name.cmp(&b.name));
        differences.extend(
            unexpected
                .into_iter()
                .map(|tensor| TensorDifference::Unexpected {
                    name: tensor.name,
                    found: tensor.shape,
                }),
        );
        if !differences.is_empty() {
            return Err(WeightsError::Mismatch { differences });
        }

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
        Ok(self)
    }

    /// Every parameter's name and PyTorch shape, in the order of the network.
    fn parameter_shapes(&self) -> Vec<(String, Vec<usize>)> {
        let conv = self.conv.iter().enumerate().map(|(index, block)| {
            let (weight, bias) = (block.weight.dims().to_vec(), block.bias.dims().to_vec());
            (3 * index, weight, bias)
        });
        let first_dense = 3 * self.conv.len() + 1;
        let dense = self.dense.iter().enumerate().map(|(index, dense)| {
            let [inputs, outputs] = dense.weight.dims();
            let module = first_dense + 2 * index;
            (module, vec![outputs, inputs], vec![outputs])
        });
        let parameters = conv.chain(dense).flat_map(|(module, weight, bias)| {
            [
                (format!("net.{module}.weight"), weight),
                (format!("net.{module}.bias"), bias),
            ]
        });
        parameters.collect()
    }
}

fn check(
    name: String,
    expected: Vec<usize>,
    tensor: FoundTensor,
) -> Result<Vec<f32>, TensorDifference> {
    let values = match tensor.values {
        _ if tensor.shape != expected => {
            return Err(TensorDifference::Shape {
                name,
                expected,
                found: tensor.shape,
            });
        }
        Err(found) => return Err(TensorDifference::ElementType { name, found }),
        Ok(values) => values,
    };
    let len = expected.iter().product();
    if values.len() != len {
        return Err(TensorDifference::Length {
            name,
            expected: len,
            found: values.len(),
        });
    }
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(TensorDifference::NotFinite {
            name,
            index,
            found: values.get(index).copied().unwrap_or(f32::NAN).to_string(),
        }),
        None => Ok(values),
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
fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|column| {
            let column = values.iter().skip(column).step_by(columns.max(1));
            column.take(rows).copied()
        })
        .collect()
}
