//! Two images side by side: how far apart each channel is. `words` says what the numbers support.

mod words;

use burn::tensor::Device;
use lenet_core::LeNet;
use lenet_data::Picture;
use serde::Serialize;

use self::words::words;
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

#[cfg(test)]
mod tests {
    use lenet_core::Pretrained;

    use super::*;
    use crate::engine::parity::seven;
    use crate::engine::view::view;

    fn names() -> Vec<String> {
        (0..10).map(|digit| digit.to_string()).collect()
    }

    fn picture(pixel: impl Fn(usize) -> u8) -> Picture {
        let pixels: Vec<u8> = (0..784).map(pixel).collect();
        Picture::from_pixels(&pixels, [28, 28], [28, 28]).unwrap()
    }

    #[test]
    fn distances_are_mean_absolute_differences_of_the_scale() {
        let device = Device::flex();
        let lenet = LeNet::pretrained(Pretrained::MnistModern, &device).unwrap();
        let (a, b) = (seven(), picture(|at| (at % 256) as u8));
        let found = compare(&lenet, &a, &b, &names(), &device).unwrap();
        let [view_a, view_b] = [&a, &b].map(|picture| view(&lenet, picture, &device).unwrap());
        assert_eq!(found.a, view_a.prediction().clone().with_names(&names()));
        assert_eq!(found.b.probabilities, view_b.prediction().probabilities);

        for ((distances, (stage, a)), (_, b)) in found
            .stages
            .iter()
            .zip(view_a.stages())
            .zip(view_b.stages())
        {
            assert_eq!(distances.name, stage.name);
            let (channels, units) = (stage.shape[0], a.len() / stage.shape[0]);
            let all = || a.iter().chain(b).copied();
            let range = all().fold(f32::MIN, f32::max) - all().fold(f32::MAX, f32::min);
            let scale = match stage.name.as_str() {
                "input" | "probabilities" => 1.0,
                _ => range,
            };
            assert_eq!(distances.distance.len(), channels);
            for (channel, distance) in distances.distance.iter().enumerate() {
                let units = channel * units..(channel + 1) * units;
                let len = units.len() as f32;
                let mean = units.map(|unit| (a[unit] - b[unit]).abs()).sum::<f32>() / len;
                assert!((distance - mean / scale).abs() < 1e-5, "{}", stage.name);
                assert!((0.0..=1.0).contains(distance));
            }
            let mut order = distances.order.clone();
            assert!(order.is_sorted_by(|&x, &y| distances.distance[x] >= distances.distance[y]));
            order.sort_unstable();
            assert_eq!(order, (0..channels).collect::<Vec<_>>());
        }

        let swapped = compare(&lenet, &b, &a, &names(), &device).unwrap();
        for (found, swapped) in found.stages.iter().zip(&swapped.stages) {
            assert_eq!(found.distance, swapped.distance);
        }
    }

    #[test]
    fn an_image_does_not_differ_from_itself() {
        let device = Device::flex();
        let lenet = LeNet::pretrained(Pretrained::MnistClassic, &device).unwrap();
        let found = compare(&lenet, &seven(), &seven(), &names(), &device).unwrap();
        assert_eq!(found.words, ["A and B are the same image."]);
        assert!(
            found
                .stages
                .iter()
                .all(|stage| stage.distance.iter().all(|&d| d == 0.0))
        );
        assert_eq!(found.stages[1].order, [0, 1, 2, 3, 4, 5]);
    }
}
