use super::FoundTensor;
use crate::{LeNetConfig, PerLayer, WeightsError};

/// The configuration whose parameters have the shapes of these tensors; what shapes do not tell is
/// as in `like`.
pub(super) fn config(
    tensors: &[FoundTensor],
    like: &LeNetConfig,
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
            "expected weights of convolutions, [out_channels, in_channels, kernel_size, kernel_size], \
             under net.0, net.3 and so on, then of dense layers, [outputs, inputs]",
            tensors,
        ));
    };

    let mut config = like
        .clone()
        .with_in_channels(in_channels)
        .with_out_channels(convolutions.iter().map(|conv| conv.0).collect::<Vec<_>>())
        .with_hidden_dims(outputs)
        .with_classes(classes);
    config.kernel_size = match convolutions.iter().all(|conv| conv.2 == kernel_size) {
        true => PerLayer::Same(kernel_size),
        false => PerLayer::Each(convolutions.iter().map(|conv| conv.2).collect()),
    };
    let mut first_only = vec![0; convolutions.len()];
    first_only
        .iter_mut()
        .take(1)
        .for_each(|padding| *padding = 2);
    let half_kernels = convolutions
        .iter()
        .map(|conv| conv.2 / 2)
        .collect::<Vec<_>>();
    let paddings = [
        like.padding.clone(),
        PerLayer::Each(first_only),
        PerLayer::Same(2),
        PerLayer::Each(half_kernels),
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
    let [height, width] = like.image_size;
    let reason = reason.map_or(String::new(), |reason| format!(" ({reason})"));
    Err(WeightsError::Shapes {
        reason: format!(
            "the first dense layer takes {features} features, which no usual padding of {height}×{width} images \
             gives{reason}; give the size of the images and the padding"
        ),
    })
}

/// The number of the module whose weight this is, and its shape.
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
