//! Weights into a network: everything is compared before the network is changed.

use std::collections::HashMap;

use burn::tensor::Device;

use super::{FoundTensor, Weights};
use crate::{LeNet, LeNetConfig, TensorDifference, WeightsError};

impl LeNet {
    /// Creates the network that these weights belong to, on `device`. Its configuration is
    /// [`Weights::config`].
    ///
    /// # Errors
    ///
    /// [`WeightsError`] if the configuration is unknown or the tensors do not fit it; nothing of the network's
    /// size is allocated before that is certain.
    pub fn from_weights(weights: Weights, device: &Device) -> Result<Self, WeightsError> {
        let config = weights.config()?;
        let values = values(&config, weights)?;
        Ok(config.init(device, 0)?.with_values(values))
    }

    /// Replaces the weights of this network, on the same device.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use lenet_core::{LeNetConfig, Weights};
    ///
    /// let lenet = LeNetConfig::modern(10).init(&Device::flex(), 0)?;
    /// let other = LeNetConfig::modern(10).init(&Device::flex(), 1)?;
    /// let same = other.load_weights(Weights::from_bytes(lenet.to_safetensors()?)?)?;
    /// assert_eq!(same.state_dict()?, lenet.state_dict()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`WeightsError::Mismatch`] lists every tensor that is missing, superfluous, of another shape or element
    /// type, or not finite. [`WeightsError::Function`] means that the file contains a configuration with
    /// another activation, pooling or padding, which shapes do not reveal.
    pub fn load_weights(self, weights: Weights) -> Result<Self, WeightsError> {
        if let Some(found) = &weights.config {
            same_function(self.config(), found)?;
        }
        let values = values(self.config(), weights)?;
        Ok(self.with_values(values))
    }
}

/// The values of every parameter of the network, in order. All shapes are compared before any value is read.
fn values(config: &LeNetConfig, weights: Weights) -> Result<Vec<Vec<f32>>, WeightsError> {
    let mut tensors: HashMap<String, FoundTensor> = HashMap::new();
    let mut unexpected = Vec::new();
    for tensor in weights.tensors {
        // Of two tensors with the same name the first is superfluous.
        if let Some(first) = tensors.insert(tensor.name.clone(), tensor) {
            unexpected.push(first);
        }
    }
    let (mut differences, mut found) = (Vec::new(), Vec::new());
    for (name, expected) in config.parameter_shapes()? {
        match tensors.remove(&name) {
            None => differences.push(TensorDifference::Missing { name, expected }),
            Some(tensor) if tensor.shape != expected => {
                differences.push(TensorDifference::Shape {
                    name,
                    expected,
                    found: tensor.shape,
                });
            }
            Some(FoundTensor {
                other_type: Some(found),
                ..
            }) => differences.push(TensorDifference::ElementType { name, found }),
            Some(tensor) => found.push(tensor),
        }
    }
    unexpected.extend(tensors.into_values());
    unexpected.sort_by(|a, b| a.name.cmp(&b.name));
    differences.extend(unexpected.into_iter().map(|tensor| {
        let (name, found) = (tensor.name, tensor.shape);
        TensorDifference::Unexpected { name, found }
    }));

    let mut values = Vec::new();
    if differences.is_empty() {
        // Tensors may share bytes and thereby claim more than the file holds.
        let numbers = found
            .iter()
            .map(|t| t.shape.iter().product::<usize>() as u64);
        let claimed = 4 * numbers.sum::<u64>();
        if claimed > weights.len {
            let len = weights.len;
            return Err(WeightsError::Format {
                format: "weights",
                reason: format!("its tensors claim {claimed} bytes, but it has {len}"),
            });
        }
        for tensor in found {
            match read(tensor) {
                Ok(numbers) => values.push(numbers),
                Err(difference) => differences.push(difference),
            }
        }
    }
    if differences.is_empty() {
        Ok(values)
    } else {
        Err(WeightsError::Mismatch { differences })
    }
}

/// The values of a tensor: as many as its shape says, all finite.
fn read(tensor: FoundTensor) -> Result<Vec<f32>, TensorDifference> {
    let name = tensor.name;
    let values = match (tensor.read)() {
        Ok(values) => values,
        Err(reason) => return Err(TensorDifference::Unreadable { name, reason }),
    };
    let expected = tensor.shape.iter().product();
    if values.len() != expected {
        return Err(TensorDifference::Length {
            name,
            expected,
            found: values.len(),
        });
    }
    match values.iter().enumerate().find(|(_, v)| !v.is_finite()) {
        Some((index, value)) => Err(TensorDifference::NotFinite {
            name,
            index,
            found: value.to_string(),
        }),
        None => Ok(values),
    }
}

/// Compares what two configurations with the same shapes may still differ in.
fn same_function(expected: &LeNetConfig, found: &LeNetConfig) -> Result<(), WeightsError> {
    let settings = |config: &LeNetConfig| {
        let convolutions = 0..expected.out_channels.len();
        let padding: Vec<_> = convolutions.filter_map(|i| config.padding.get(i)).collect();
        [
            ("activation", config.activation.to_string()),
            ("pooling", config.pooling.to_string()),
            ("padding", format!("{padding:?}")),
        ]
    };
    for ((what, expected), (_, found)) in settings(expected).into_iter().zip(settings(found)) {
        if expected != found {
            return Err(WeightsError::Function {
                what,
                expected,
                found,
            });
        }
    }
    Ok(())
}
