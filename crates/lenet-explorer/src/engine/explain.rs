//! Which pixels speak for a class: a heat map of the image, by one of two methods.

use burn::tensor::Device;
use lenet_core::LeNet;
use lenet_data::Picture;
use serde::{Deserialize, Serialize};

use super::EngineError;
use super::forward::range;
use super::gradient::gradient;
use super::occlusion::occlusion;

/// How the pixels that speak for a class are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Method {
    /// The derivative of the class's logit with respect to each pixel.
    Gradient,
    /// How far the class's logit falls when the image is black around a pixel.
    Occlusion,
}

/// A value for each pixel: positive where it speaks for the class.
#[derive(Clone, Debug)]
pub(crate) struct Heatmap {
    header: HeatmapHeader,
    values: Vec<f32>,
}

/// What the values of a [`Heatmap`] are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct HeatmapHeader {
    pub(crate) class: usize,
    pub(crate) method: Method,
    /// Height and width.
    pub(crate) shape: [usize; 2],
    /// The smallest value.
    pub(crate) min: f32,
    /// The largest value.
    pub(crate) max: f32,
    /// What the map shows.
    pub(crate) words: &'static str,
}

impl Heatmap {
    pub(crate) fn header(&self) -> &HeatmapHeader {
        &self.header
    }

    /// `[height, width]`.
    pub(crate) fn values(&self) -> &[f32] {
        &self.values
    }
}

/// Computes which pixels speak for a class.
pub(crate) fn explain(
    lenet: &LeNet,
    picture: &Picture,
    class: usize,
    method: Method,
    device: &Device,
) -> Result<Heatmap, EngineError> {
    let classes = lenet.config().classes;
    if class >= classes {
        return Err(EngineError::Class {
            found: class,
            classes,
        });
    }
    let values = match method {
        Method::Gradient => gradient(lenet, picture, class, device)?,
        Method::Occlusion => occlusion(lenet, picture, class, device)?,
    };
    let [min, max] = range(&values);
    Ok(Heatmap {
        header: HeatmapHeader {
            class,
            method,
            shape: picture.image_size(),
            min,
            max,
            words: words(method, [min, max]),
        },
        values,
    })
}

fn words(method: Method, range: [f32; 2]) -> &'static str {
    match (method, range) {
        (Method::Gradient, [0.0, 0.0]) => {
            "A small change of any single pixel leaves the logit of this class as it is."
        }
        (Method::Gradient, _) => {
            "Positive where a slightly brighter pixel would raise the logit of this class, negative where it would \
             lower it."
        }
        (Method::Occlusion, [0.0, 0.0]) => {
            "No part of the image can be made black so that the logit of this class changes."
        }
        (Method::Occlusion, _) => {
            "Positive where the logit of this class falls if the image is made black there, negative where it rises."
        }
    }
}
