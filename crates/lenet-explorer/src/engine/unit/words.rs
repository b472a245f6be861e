//! How a unit is computed, in a sentence.

use lenet_core::{Activation, LayerKind, LayerRow, LeNetConfig};

use crate::engine::forward::range;

/// What the layer does for one of its channels, with the unit's weights.
pub(super) fn words(layer: &LayerRow, channel: usize, weights: &[f32], bias: f32) -> String {
    let name = &layer.name;
    let unit = match layer.kind {
        LayerKind::Convolution {
            in_channels,
            kernel_size,
            ..
        } => {
            let over = match (name.as_str(), in_channels) {
                ("conv1", _) => "over the image".to_owned(),
                (_, 1) => "over the map before it".to_owned(),
                _ => format!("over each of the {in_channels} maps before it"),
            };
            format!("Channel {channel} of {name}: a {kernel_size}×{kernel_size} kernel {over}")
        }
        LayerKind::Dense { inputs, .. } => {
            format!("Unit {channel} of {name}: a weighted sum of {inputs} inputs")
        }
        _ => unreachable!("expected a layer with parameters, found {}", layer.kind),
    };
    let [min, max] = range(weights);
    let weights = match weights.len() {
        1 => format!("one weight of {}", number(min)),
        count => format!("{count} weights from {} to {}", number(min), number(max)),
    };
    format!("{unit}, {weights} and a bias of {}", number(bias))
}

/// Three decimals, with a minus sign instead of a hyphen; zero has none, nor has what is rounded to it.
fn number(value: f32) -> String {
    let digits = format!("{:.3}", value.abs());
    let is_zero = digits.bytes().all(|digit| matches!(digit, b'0' | b'.'));
    let sign = if value < 0.0 && !is_zero { "−" } else { "" };
    format!("{sign}{digits}")
}

/// As people write it.
fn name_of(activation: Activation) -> String {
    match activation {
        Activation::Relu => "ReLU".to_owned(),
        other => other.to_string(),
    }
}

/// What follows between the layer and the stage.
pub(super) fn after(config: &LeNetConfig, kind: LayerKind) -> String {
    let (activation, pooling) = (name_of(config.activation), config.pooling);
    match kind {
        LayerKind::Activation(_) => format!(", then {activation}"),
        LayerKind::Pooling(_) => format!(", then {activation} and 2×2 {pooling}"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use lenet_core::{LeNet, LeNetConfig, Pretrained};

    use super::number;
    use crate::engine::unit;

    #[test]
    fn numbers_have_a_sign_unless_they_are_rounded_to_zero() {
        for (value, expected) in [
            (0.0, "0.000"),
            (-0.0, "0.000"),
            (-0.0004, "0.000"),
            (-0.0006, "−0.001"),
            (-1.5, "−1.500"),
            (12.25, "12.250"),
        ] {
            assert_eq!(number(value), expected);
        }
    }

    #[test]
    fn words_say_how_a_unit_is_computed() {
        let device = Device::flex();
        let lenet = LeNet::pretrained(Pretrained::MnistModern, &device).unwrap();
        for (stage, channel, start, end) in [
            (
                "conv1",
                2,
                "Channel 2 of conv1: a 5×5 kernel over the image, 25 weights from −",
                ".",
            ),
            (
                "conv2.activation",
                0,
                "Channel 0 of conv2: a 5×5 kernel over each of the 6 maps before it, 150 weights",
                ", then ReLU.",
            ),
            (
                "conv2.pool",
                15,
                "Channel 15 of conv2: ",
                ", then ReLU and 2×2 max pooling.",
            ),
            (
                "dense1",
                3,
                "Unit 3 of dense1: a weighted sum of 400 inputs, 400 weights from −",
                ".",
            ),
        ] {
            let words = unit(&lenet, stage, channel).unwrap().words;
            assert!(words.starts_with(start) && words.ends_with(end), "{words}");
        }
        let tiny = LeNetConfig::modern(2)
            .with_kernel_size(1)
            .with_out_channels([1, 1]);
        let tiny = tiny.init(&device, 0).unwrap();
        let words = unit(&tiny, "conv2", 0).unwrap().words;
        assert!(
            words.contains("a 1×1 kernel over the map before it, one weight of "),
            "{words}"
        );
    }
}
