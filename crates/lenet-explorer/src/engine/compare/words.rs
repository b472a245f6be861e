//! What the numbers of a comparison support, in sentences.

use super::StageDistance;
use crate::engine::Prediction;
use crate::engine::view::StageKind;

/// Sentences about two different images.
pub(super) fn words(stages: &[StageDistance], a: &Prediction, b: &Prediction) -> Vec<String> {
    let mut words = vec![classes(a, b)];
    // With a single class there is nothing to be uncertain about.
    if a.probabilities.len() > 1 {
        words.push(certainty(a, b));
    }
    let activations = stages
        .iter()
        .enumerate()
        .filter(|(_, stage)| stage.kind == StageKind::Activation && stage.name.starts_with("conv"));
    words.extend(activations.map(|(_, stage)| channels(stage)));
    words
}

fn classes(a: &Prediction, b: &Prediction) -> String {
    let [percent_a, percent_b] = [a, b].map(|prediction| percent(prediction.probability));
    if a.class == b.class {
        return format!(
            "The network takes both for “{}”: A with a probability of {percent_a}, B with {percent_b}.",
            a.name
        );
    }
    format!(
        "The network takes A for “{}” with a probability of {percent_a}, and B for “{}” with {percent_b}.",
        a.name, b.name
    )
}

/// A difference of the entropies that is not worth a word, in nats.
const SAME_ENTROPY: f32 = 0.05;

fn certainty(a: &Prediction, b: &Prediction) -> String {
    let numbers = format!(
        "the entropy of the probabilities is {:.2} nats for A and {:.2} for B, where 0 is certain and {:.2} a guess",
        a.entropy,
        b.entropy,
        (a.probabilities.len() as f32).ln()
    );
    if (a.entropy - b.entropy).abs() < SAME_ENTROPY {
        return format!("It is about as certain of one as of the other: {numbers}.");
    }
    let surer = if a.entropy < b.entropy { "A" } else { "B" };
    format!("It is more certain of {surer}: {numbers}.")
}

/// Which channel of a stage differs most.
fn channels(stage: &StageDistance) -> String {
    let first = stage.order.first().copied();
    let at = |values: &[f32]| first.and_then(|channel| values.get(channel)).copied();
    let (Some(channel), Some(distance), Some(shift)) =
        (first, at(&stage.distance), at(&stage.shift))
    else {
        unreachable!("expected at least one channel of {}", stage.name);
    };
    if distance == 0.0 {
        return format!("{} is the same for both.", stage.name);
    }
    // As far as the mean of the differences goes in one direction.
    let direction = if shift.abs() < distance / 2.0 {
        "with a similar mean, so the difference is in where it responds"
    } else if shift > 0.0 {
        "and its mean is higher for A"
    } else {
        "and its mean is higher for B"
    };
    if stage.distance.len() == 1 {
        return format!(
            "In {}, a unit differs by {} of the layer's range on average, {direction}.",
            stage.name,
            share(distance)
        );
    }
    let mean = stage.distance.iter().sum::<f32>() / stage.distance.len() as f32;
    format!(
        "In {}, channel {channel} differs most, by {} of the layer's range on average ({} over all channels), \
         {direction}.",
        stage.name,
        share(distance),
        share(mean)
    )
}

/// A distance of `0.998` as `99.8 %`. It may be all of the range.
fn share(fraction: f32) -> String {
    format!("{:.1} %", 100.0 * fraction)
}

/// `0.998` as `99.8 %`. A probability of almost 0 or 1 is not rounded to it: no softmax is certain.
fn percent(fraction: f32) -> String {
    match 100.0 * fraction {
        percent if percent > 0.0 && percent < 0.1 => "less than 0.1 %".to_owned(),
        percent if percent > 99.9 => "more than 99.9 %".to_owned(),
        percent => format!("{percent:.1} %"),
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use lenet_core::{LeNet, Pretrained};
    use lenet_data::Picture;

    use super::*;
    use crate::engine::compare;
    use crate::engine::parity::seven;

    #[test]
    fn words_name_classes_certainty_and_channels() {
        let device = Device::flex();
        let lenet = LeNet::pretrained(Pretrained::MnistModern, &device).unwrap();
        let names: Vec<String> = (0..10).map(|digit| format!("digit {digit}")).collect();
        let black = Picture::from_pixels(&[0; 784], [28, 28], [28, 28]).unwrap();
        let found = compare(&lenet, &seven(), &black, &names, &device).unwrap();
        let [classes, certainty, conv1, conv2] = found.words.as_slice() else {
            panic!("{:?}", found.words);
        };
        let start =
            "The network takes A for “digit 7” with a probability of more than 99.9 %, and B for “";
        assert!(classes.starts_with(start), "{classes}");
        assert!(
            certainty.starts_with("It is more certain of A: "),
            "{certainty}"
        );
        assert!(certainty.contains("0.00 nats for A"), "{certainty}");
        let most = found.stages[2].order[0];
        assert!(conv1.starts_with(&format!(
            "In conv1.activation, channel {most} differs most, by "
        )));
        assert!(conv2.starts_with("In conv2.activation, channel "));
    }

    /// A map that is at one end of the range for A and at the other for B, and a network that knows one class.
    #[test]
    fn a_distance_may_be_the_whole_range_and_one_class_is_certain() {
        let stage = StageDistance {
            name: "conv1.activation".to_owned(),
            distance: vec![1.0],
            order: vec![0],
            shift: vec![1.0],
            kind: StageKind::Activation,
        };
        let only = Prediction::new(&[3.0]);
        let found = words(&[stage], &only, &only);
        let [classes, units] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert!(
            classes.starts_with("The network takes both for “0”"),
            "{classes}"
        );
        assert_eq!(
            units,
            "In conv1.activation, a unit differs by 100.0 % of the layer's range on average, and its mean is higher \
             for A."
        );
    }

    #[test]
    fn percentages_are_not_rounded_to_all_or_nothing() {
        for (fraction, expected) in [
            (0.0, "0.0 %"),
            (1e-9, "less than 0.1 %"),
            (0.1234, "12.3 %"),
            (0.9985, "99.8 %"),
            (0.99999, "more than 99.9 %"),
            (1.0, "more than 99.9 %"),
        ] {
            assert_eq!(percent(fraction), expected);
        }
    }
}
