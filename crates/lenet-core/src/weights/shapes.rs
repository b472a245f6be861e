//! From the shapes of tensors to a configuration.

use super::FoundTensor;
use crate::{LeNetConfig, PerLayer, WeightsError};

/// The configuration whose parameters have the shapes of these tensors. The preset supplies what shapes leave
/// open.
pub(super) fn config(
    tensors: &[FoundTensor],
    preset: &LeNetConfig,
) -> Result<LeNetConfig, WeightsError> {
    let mut weights: Vec<(usize, &[usize])> = tensors.iter().filter_map(weight).collect();
    weights.sort_unstable();
    let (mut convolutions, mut outputs) = (Vec::new(), Vec::new());
    let mut features = None;
    for (_, shape) in weights {
        match *shape {
            [out_channels, in_channels, height, width] if height == width && outputs.is_empty() => {
                convolutions.push((out_channels, in_channels, height));
            }
            [out, inputs] => {
                features.get_or_insert(inputs);
                outputs.push(out);
            }
            _ => {}
        }
    }
    let (Some(&(_, in_channels, kernel_size)), Some(classes), Some(features)) =
        (convolutions.first(), outputs.pop(), features)
    else {
        return Err(no_network(
            "expected the weights of convolutions, [out_channels, in_channels, kernel_size, kernel_size], under \
             net.0, net.3 and so on, then the weights of dense layers, [outputs, inputs]",
            tensors,
        ));
    };

    let mut config = preset
        .clone()
        .with_in_channels(in_channels)
        .with_out_channels(convolutions.iter().map(|conv| conv.0).collect::<Vec<_>>())
        .with_hidden_dims(outputs)
        .with_classes(classes);
    let kernel_sizes = convolutions.iter().map(|conv| conv.2);
    config.kernel_size = if kernel_sizes.clone().all(|size| size == kernel_size) {
        PerLayer::Same(kernel_size)
    } else {
        PerLayer::Each(kernel_sizes.clone().collect())
    };
    let first_only = (0..convolutions.len()).map(|index| if index == 0 { 2 } else { 0 });
    let paddings = [
        preset.padding.clone(),
        PerLayer::Each(first_only.collect()),
        PerLayer::Same(2),
        PerLayer::Each(kernel_sizes.map(|size| size / 2).collect()),
        PerLayer::Same(0),
    ];
    let mut reason = None;
    for padding in paddings {
        let candidate = config.clone().with_padding(padding);
        match candidate.layer_table() {
            Ok(table) if table.flattened() == features => return Ok(candidate),
            Ok(_) => {}
            Err(error) => reason = Some(error.to_string()),
        }
    }
    let [height, width] = preset.image_size;
    let reason = reason.map_or(String::new(), |reason| format!(" ({reason})"));
    Err(WeightsError::Shapes {
        reason: format!(
            "the first dense layer takes {features} features, but no usual padding of {height}×{width} images \
             leads to that number{reason}; set image size and padding in the preset"
        ),
    })
}

/// The number of the module that this weight belongs to, and its shape.
fn weight(tensor: &FoundTensor) -> Option<(usize, &[usize])> {
    let module = tensor.name.strip_prefix("net.")?.strip_suffix(".weight")?;
    Some((module.parse().ok()?, &tensor.shape))
}

fn no_network(expected: &str, tensors: &[FoundTensor]) -> WeightsError {
    let mut found: Vec<String> = tensors
        .iter()
        .map(|tensor| format!("{} {:?}", tensor.name, tensor.shape))
        .collect();
    found.sort_unstable();
    let more = found.len().saturating_sub(20);
    found.truncate(20);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    let reason = format!("{expected}; found {}{more}", found.join(", "));
    WeightsError::Shapes { reason }
}
