//! Two images side by side: how far apart each channel is, and what that supports in words.

use burn::tensor::Device;
use lenet_core::LeNet;
use lenet_data::Picture;
use serde::Serialize;

use super::forward::range;
use super::view::{Stage, StageKind, View, views};
use super::{EngineError, Prediction};

/// How the network's answers to two images, A and B, differ.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Comparison {
    /// The stages of a [`View`], in the same order.
    pub(crate) stages: Vec<StageDistance>,
    pub(crate) a: Prediction,
    pub(crate) b: Prediction,
    /// Sentences that the numbers support.
    pub(crate) words: Vec<String>,
}

/// How far apart two images are in each channel of a stage, or in each unit of a dense stage.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct StageDistance {
    pub(crate) name: String,
    /// For each channel the mean of `|A − B|` over its units, divided by the scale of the stage, so that stages can
    /// be compared: 0 if the channel is the same, at most 1.
    ///
    /// The scale is 1 for the input and the probabilities. For other stages it is the largest minus the smallest value
    /// of the stage over both images; a stage in which all values are the same has the distance 0.
    pub(crate) distance: Vec<f32>,
    /// The channels, most different first; equally different ones in ascending order.
    pub(crate) order: Vec<usize>,
    /// For each channel the mean of `A − B`, divided in the same way.
    #[serde(skip)]
    shift: Vec<f32>,
    #[serde(skip)]
    kind: StageKind,
}

/// Compares what the network computes from two pictures. `class_names` has a name for each class.
pub(crate) fn compare(
    lenet: &LeNet,
    a: &Picture,
    b: &Picture,
    class_names: &[String],
    device: &Device,
) -> Result<Comparison, EngineError> {
    let views = views(lenet, &[a, b], device)?;
    let [view_a, view_b] = views.as_slice() else {
        unreachable!("expected two views, found {}", views.len());
    };
    let stages: Vec<StageDistance> = view_a
        .stages()
        .zip(view_b.stages())
        .map(|((stage, a), (_, b))| StageDistance::new(stage, a, b))
        .collect();
    let named = |view: &View| view.prediction().clone().with_names(class_names);
    let (prediction_a, prediction_b) = (named(view_a), named(view_b));
    let words = if a.pixels() == b.pixels() {
        vec!["A and B are the same image.".to_owned()]
    } else {
        words(&stages, &prediction_a, &prediction_b)
    };
    Ok(Comparison {
        stages,
        a: prediction_a,
        b: prediction_b,
        words,
    })
}

impl StageDistance {
    fn new(stage: &Stage, a: &[f32], b: &[f32]) -> Self {
        let scale = match stage.kind {
            StageKind::Input | StageKind::Probabilities => 1.0,
            _ => {
                let ([min_a, max_a], [min_b, max_b]) = (range(a), range(b));
                f64::from(max_a.max(max_b)) - f64::from(min_a.min(min_b))
            }
        };
        let units: usize = stage.shape.iter().skip(1).product();
        let mean = |of: fn(f64) -> f64| {
            let channels = a.chunks_exact(units).zip(b.chunks_exact(units));
            let mean = channels.map(|(a, b)| {
                let pairs = a.iter().zip(b);
                let sum: f64 = pairs.map(|(&a, &b)| of(f64::from(a) - f64::from(b))).sum();
                if scale == 0.0 {
                    0.0
                } else {
                    (sum / units as f64 / scale) as f32
                }
            });
            mean.collect::<Vec<f32>>()
        };
        let (distance, shift) = (mean(f64::abs), mean(|difference| difference));
        let mut ranked: Vec<(usize, f32)> = distance.iter().copied().enumerate().collect();
        ranked.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        Self {
            name: stage.name.clone(),
            order: ranked.into_iter().map(|(channel, _)| channel).collect(),
            distance,
            shift,
            kind: stage.kind,
        }
    }
}

fn words(stages: &[StageDistance], a: &Prediction, b: &Prediction) -> Vec<String> {
    let mut words = vec![classes(a, b), certainty(a, b)];
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
            percent(distance)
        );
    }
    let mean = stage.distance.iter().sum::<f32>() / stage.distance.len() as f32;
    format!(
        "In {}, channel {channel} differs most, by {} of the layer's range on average ({} over all channels), \
         {direction}.",
        stage.name,
        percent(distance),
        percent(mean)
    )
}

/// `0.998` as `99.8 %`. What is not quite all or nothing is not rounded to it.
fn percent(fraction: f32) -> String {
    match 100.0 * fraction {
        percent if percent > 0.0 && percent < 0.1 => "less than 0.1 %".to_owned(),
        percent if percent < 100.0 && percent > 99.9 => "more than 99.9 %".to_owned(),
        percent => format!("{percent:.1} %"),
    }
}
