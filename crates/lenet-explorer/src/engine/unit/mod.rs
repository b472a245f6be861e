//! The weights and the bias of one unit. `words` describes it.

mod words;

use lenet_core::{LayerKind, LayerRow, LeNet, ReadBackError, read_back};
use serde::Serialize;

use self::words::words;
use super::EngineError;
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
/// Activations and poolings belong to the layer before them. Pixels, flattened features and probabilities have none.
pub(crate) fn unit(lenet: &LeNet, stage: &str, channel: usize) -> Result<Unit, EngineError> {
    let table = lenet.config().layer_table()?;
    let rows = up_to(table.rows(), stage)?;
    let Some(last) = rows.last() else {
        unreachable!("expected the row of {stage}");
    };
    let &[channels, ..] = last.output_shape.as_slice() else {
        unreachable!("expected an output of {stage}");
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
    let (weights, bias) = parameters(lenet, rows, layer, channel)?;
    let computed = words(layer, channel, &weights.values, bias);
    Ok(Unit {
        words: format!("{computed}{}.", words::after(lenet.config(), last.kind)),
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
    if ["input", "flatten", "probabilities"].contains(&stage) {
        return Err(EngineError::NoWeights {
            stage: stage.to_owned(),
        });
    }
    let position = rows.iter().position(|row| row.name == stage);
    position
        .and_then(|position| rows.get(..=position))
        .ok_or_else(|| {
            let rows = rows.iter().filter(|row| row.kind != LayerKind::Flatten);
            let names: Vec<&str> = rows.map(|row| row.name.as_str()).collect();
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
) -> Result<(UnitWeights, f32), ReadBackError> {
    let only = channel..channel + 1;
    let layers =
        |is_kind: fn(LayerKind) -> bool| rows.iter().filter(|row| is_kind(row.kind)).count();
    let convolutions = layers(|kind| matches!(kind, LayerKind::Convolution { .. }));
    let (values, shape, bias) = match layers(|kind| matches!(kind, LayerKind::Dense { .. })) {
        0 => {
            let Some(block) = lenet.conv.get(convolutions - 1) else {
                unreachable!("expected the weights of {}", layer.name);
            };
            let [_, inputs, height, width] = block.weight.dims();
            let weights = read_back(block.weight.val().slice([only.clone()]))?;
            (weights, vec![inputs, height, width], &block.bias)
        }
        dense => {
            let Some(block) = lenet.dense.get(dense - 1) else {
                unreachable!("expected the weights of {}", layer.name);
            };
            let [inputs, _] = block.weight.dims();
            let weights = read_back(block.weight.val().slice([0..inputs, only.clone()]))?;
            let flatten = rows.iter().find(|row| row.kind == LayerKind::Flatten);
            let maps = flatten.filter(|_| dense == 1);
            let shape = maps.map_or(vec![inputs], |flatten| flatten.input_shape.clone());
            (weights, shape, &block.bias)
        }
    };
    let bias = read_back::<f32>(bias.val().slice([only]))?;
    let &[bias] = bias.as_slice() else {
        unreachable!("expected one bias, found {}", bias.len());
    };
    Ok((UnitWeights { shape, values }, bias))
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use lenet_core::{LeNetConfig, Pretrained};

    use super::*;

    #[test]
    fn every_stage_leads_to_the_parameters_of_its_layer() {
        let lenet = LeNet::pretrained(Pretrained::MnistModern, &Device::flex()).unwrap();
        let state = lenet.state_dict().unwrap();
        for (stage, channel, layer, parameter, shape) in [
            ("conv1", 0, "conv1", 0, &[1, 5, 5][..]),
            ("conv1.activation", 5, "conv1", 0, &[1, 5, 5]),
            ("conv1.pool", 2, "conv1", 0, &[1, 5, 5]),
            ("conv2", 15, "conv2", 2, &[6, 5, 5]),
            ("conv2.pool", 3, "conv2", 2, &[6, 5, 5]),
            ("dense1", 119, "dense1", 4, &[16, 5, 5]),
            ("dense1.activation", 7, "dense1", 4, &[16, 5, 5]),
            ("dense2", 83, "dense2", 6, &[120]),
            ("dense3", 9, "dense3", 8, &[84]),
        ] {
            let found = unit(&lenet, stage, channel).unwrap();
            assert_eq!((found.stage.as_str(), found.channel), (stage, channel));
            assert_eq!(
                (found.layer.as_str(), found.weights.shape.as_slice()),
                (layer, shape)
            );
            let len: usize = shape.iter().product();
            let weights = &state[parameter].values[channel * len..][..len];
            assert_eq!(found.weights.values, weights, "{stage}");
            assert_eq!(found.bias, state[parameter + 1].values[channel], "{stage}");
        }
    }

    #[test]
    fn unknown_stages_and_channels_are_refused() {
        let lenet = LeNetConfig::modern(10).init(&Device::flex(), 0).unwrap();
        for (stage, channel, expected) in [
            (
                "conv3",
                0,
                "unknown stage 'conv3': expected one of conv1, conv1.activation, conv1.pool, conv2,",
            ),
            ("", 0, "unknown stage ''"),
            (
                "input",
                0,
                "the units of input have no weights of their own: pick one of a convolution or a dense layer",
            ),
            ("flatten", 0, "the units of flatten have no weights"),
            (
                "probabilities",
                0,
                "the units of probabilities have no weights",
            ),
            (
                "conv1",
                6,
                "unknown channel 6 of conv1: it has 6, counted from 0",
            ),
            (
                "dense3",
                usize::MAX,
                "unknown channel 18446744073709551615 of dense3: it has 10",
            ),
        ] {
            let error = unit(&lenet, stage, channel).unwrap_err();
            assert!(error.to_string().starts_with(expected), "{error}");
            assert!(!error.is_internal());
        }
    }
}
