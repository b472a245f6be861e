//! The weights and the bias of one unit.

use lenet_core::{LayerKind, LayerRow, LeNet, ReadBackError, read_back};
use serde::Serialize;

use super::EngineError;
use super::forward::range;
use super::view::StageKind;

/// A unit's parameters, which are those of the convolution or dense layer that computes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Unit {
    /// The stage of the unit.
    pub(crate) stage: String,
    /// The channel of a feature map, or the unit of a dense layer, from 0.
    pub(crate) channel: usize,
    /// The layer that the parameters belong to.
    pub(crate) layer: String,
    /// The kind of that layer.
    pub(crate) kind: StageKind,
    pub(crate) weights: UnitWeights,
    pub(crate) bias: f32,
    /// How the unit is computed.
    pub(crate) words: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct UnitWeights {
    /// `[channel, height, width]`, also of a dense unit after the flatten layer; `[inputs]` of other dense units.
    pub(crate) shape: Vec<usize>,
    /// In row-major order.
    pub(crate) values: Vec<f32>,
}

/// Reads the parameters of a unit.
///
/// Activations and poolings belong to the layer before them, a flattened feature to the convolution that made its map,
/// and a probability to the last dense layer.
pub(crate) fn unit(lenet: &LeNet, stage: &str, channel: usize) -> Result<Unit, EngineError> {
    let table = lenet.config().layer_table()?;
    let rows = up_to(table.rows(), stage)?;
    let Some(last) = rows.last() else {
        unreachable!("expected the row of {stage}");
    };
    let (channels, layer_channel) = match (last.kind, last.output_shape.as_slice()) {
        (LayerKind::Flatten, &[features]) => {
            let map: usize = last.input_shape.iter().skip(1).product();
            (features, channel / map)
        }
        (_, &[channels, ..]) => (channels, channel),
        (_, []) => unreachable!("expected an output of {stage}"),
    };
    if channel >= channels {
        return Err(EngineError::Channel {
            stage: stage.to_owned(),
            found: channel,
            channels,
        });
    }

    let Some(layer) = rows.iter().rfind(|row| has_parameters(row.kind)) else {
        unreachable!("expected a layer with parameters up to {stage}");
    };
    let (weights, bias) = parameters(lenet, rows, layer, layer_channel)?;
    Ok(Unit {
        words: words(layer, last, stage, layer_channel, &weights, bias),
        stage: stage.to_owned(),
        channel,
        layer: layer.name.clone(),
        kind: layer.kind.into(),
        weights,
        bias,
    })
}

/// The rows of the table from the first to that of the stage.
fn up_to<'a>(rows: &'a [LayerRow], stage: &str) -> Result<&'a [LayerRow], EngineError> {
    match stage {
        "input" => return Err(EngineError::NoWeights),
        "probabilities" => return Ok(rows),
        _ => {}
    }
    let position = rows.iter().position(|row| row.name == stage);
    position
        .and_then(|position| rows.get(..=position))
        .ok_or_else(|| {
            let names = rows.iter().map(|row| row.name.as_str());
            let names: Vec<&str> = names.chain(["probabilities"]).collect();
            EngineError::Stage {
                found: stage.to_owned(),
                expected: names.join(", "),
            }
        })
}

fn has_parameters(kind: LayerKind) -> bool {
    matches!(
        kind,
        LayerKind::Convolution { .. } | LayerKind::Dense { .. }
    )
}

/// The weights and the bias of a channel of `layer`, the last one of `rows` that has any.
fn parameters(
    lenet: &LeNet,
    rows: &[LayerRow],
    layer: &LayerRow,
    channel: usize,
) -> Result<(UnitWeights, f32), EngineError> {
    let is_dense = |row: &&LayerRow| matches!(row.kind, LayerKind::Dense { .. });
    let dense = rows.iter().filter(is_dense).count();
    let only = channel..channel + 1;
    let (values, bias, shape) = if dense == 0 {
        let Some(block) = lenet.conv.get(number(rows) - 1) else {
            unreachable!("expected the weights of {}", layer.name);
        };
        let [_, inputs, height, width] = block.weight.dims();
        let weights = block.weight.val().slice([only.clone()]);
        let bias = block.bias.val().slice([only]);
        (
            read_back(weights)?,
            one(read_back(bias))?,
            vec![inputs, height, width],
        )
    } else {
        let Some(layer) = lenet.dense.get(dense - 1) else {
            unreachable!("expected the weights of {}", layer.name);
        };
        let [inputs, _] = layer.weight.dims();
        let weights = layer.weight.val().slice([0..inputs, only.clone()]);
        let bias = layer.bias.val().slice([only]);
        let flatten = rows.iter().find(|row| row.kind == LayerKind::Flatten);
        let shape = match flatten {
            Some(flatten) if dense == 1 => flatten.input_shape.clone(),
            _ => vec![inputs],
        };
        (read_back(weights)?, one(read_back(bias))?, shape)
    };
    Ok((UnitWeights { shape, values }, bias))
}

/// How many convolutions there are.
fn number(rows: &[LayerRow]) -> usize {
    let is_convolution = |row: &&LayerRow| matches!(row.kind, LayerKind::Convolution { .. });
    rows.iter().filter(is_convolution).count()
}

fn one(values: Result<Vec<f32>, ReadBackError>) -> Result<f32, ReadBackError> {
    match values?.as_slice() {
        &[value] => Ok(value),
        values => unreachable!("expected one value, found {}", values.len()),
    }
}

/// How the unit of the stage `last` is computed by `layer`, in a sentence.
fn words(
    layer: &LayerRow,
    last: &LayerRow,
    stage: &str,
    channel: usize,
    weights: &UnitWeights,
    bias: f32,
) -> String {
    let [min, max] = range(&weights.values);
    let count = weights.values.len();
    let weights = if count == 1 {
        format!("one weight of {min:.3}")
    } else {
        format!("{count} weights from {min:.3} to {max:.3}")
    };
    let unit = match layer.kind {
        LayerKind::Convolution {
            in_channels,
            kernel_size,
            ..
        } => {
            let kernel = format!("{kernel_size}×{kernel_size} kernel");
            let maps = match (layer.name.as_str(), in_channels) {
                ("conv1", 1) => format!("a {kernel} over the image"),
                (_, 1) => format!("a {kernel} over the map before it"),
                _ => format!("a {kernel} over each of the {in_channels} maps before it"),
            };
            format!("channel {channel} of {}: {maps}", layer.name)
        }
        LayerKind::Dense { inputs, .. } => {
            format!(
                "unit {channel} of {}: a sum over {inputs} inputs",
                layer.name
            )
        }
        _ => unreachable!("expected a layer with parameters, found {}", layer.kind),
    };
    let after = match (stage, last.kind) {
        ("probabilities", _) => ", then the softmax over all classes".to_owned(),
        (_, LayerKind::Activation(activation)) => format!(", then {activation}"),
        (_, LayerKind::Pooling(pooling)) => {
            format!(", then the activation and {pooling} 2×2")
        }
        (_, LayerKind::Flatten) => ", then the activation and the pooling".to_owned(),
        _ => String::new(),
    };
    let mut words = format!("{unit}, {weights} and a bias of {bias:.3}{after}.");
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words
}
