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
    pub(crate) words: String,
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

/// Computes which pixels speak for a class. `class_names` has a name for each class.
pub(crate) fn explain(
    lenet: &LeNet,
    picture: &Picture,
    class: usize,
    class_names: &[String],
    method: Method,
    device: &Device,
) -> Result<Heatmap, EngineError> {
    let Some(name) = class_names.get(class) else {
        return Err(EngineError::Class {
            found: class,
            classes: class_names.len(),
        });
    };
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
            words: words(name, method, [min, max]),
        },
        values,
    })
}

fn words(name: &str, method: Method, range: [f32; 2]) -> String {
    match (method, range) {
        (Method::Gradient, [0.0, 0.0]) => {
            format!("A small change of any single pixel leaves the logit of “{name}” as it is.")
        }
        (Method::Gradient, _) => format!(
            "Positive where a slightly brighter pixel would raise the logit of “{name}”, negative where it would lower \
             it."
        ),
        (Method::Occlusion, [0.0, 0.0]) => format!(
            "Making a small part of the image black leaves the logit of “{name}” as it is, wherever the part is."
        ),
        (Method::Occlusion, _) => format!(
            "Positive where the logit of “{name}” falls if the image is made black there, negative where it rises."
        ),
    }
}

#[cfg(test)]
mod tests {
    use lenet_core::LeNetConfig;

    use super::*;

    fn names(classes: usize) -> Vec<String> {
        (0..classes).map(|class| format!("digit {class}")).collect()
    }

    #[test]
    fn classes_and_images_that_the_network_does_not_have_are_refused() {
        let device = Device::flex();
        let lenet = LeNetConfig::modern(10).init(&device, 0).unwrap();
        let fits = Picture::from_pixels(&[0; 784], [28, 28], [28, 28]).unwrap();
        let small = Picture::from_pixels(&[0; 64], [8, 8], [8, 8]).unwrap();
        for method in [Method::Gradient, Method::Occlusion] {
            let error = explain(&lenet, &fits, 10, &names(10), method, &device).unwrap_err();
            let expected = "unknown class 10: the network has 10 classes, counted from 0";
            assert_eq!(error.to_string(), expected);
            let error = explain(&lenet, &small, 0, &names(10), method, &device).unwrap_err();
            let expected = "the image has 8×8 pixels, but the network takes 28×28 (height × width)";
            assert_eq!(error.to_string(), expected);
        }
    }

    /// A class whose weights are zero depends on nothing.
    #[test]
    fn words_say_when_no_pixel_matters() {
        let device = Device::flex();
        let lenet = LeNetConfig::modern(2).init(&device, 0).unwrap();
        let mut state = lenet.state_dict().unwrap();
        let weights = state
            .iter_mut()
            .find(|tensor| tensor.name == "net.11.weight");
        weights.unwrap().values.fill(0.0);
        let lenet = lenet.load_state_dict(state).unwrap();
        let white = Picture::from_pixels(&[255; 784], [28, 28], [28, 28]).unwrap();
        for (method, words) in [
            (
                Method::Gradient,
                "A small change of any single pixel leaves the logit of “digit 1” as it is.",
            ),
            (
                Method::Occlusion,
                "Making a small part of the image black leaves the logit of “digit 1” as it is,",
            ),
        ] {
            let map = explain(&lenet, &white, 1, &names(2), method, &device).unwrap();
            assert_eq!(map.values(), [0.0; 784]);
            assert!(map.header().words.starts_with(words));
        }
    }

    #[test]
    fn a_header_is_json_with_lowercase_methods() {
        let device = Device::flex();
        let lenet = LeNetConfig::modern(10).init(&device, 0).unwrap();
        let white = Picture::from_pixels(&[255; 784], [28, 28], [28, 28]).unwrap();
        let map = explain(&lenet, &white, 3, &names(10), Method::Occlusion, &device).unwrap();
        let header = serde_json::to_value(map.header()).unwrap();
        assert_eq!(header["method"], "occlusion");
        assert_eq!(
            header["words"],
            "Positive where the logit of “digit 3” falls if the image is made black there, negative where it rises."
        );
        assert_eq!(header["class"], 3);
        assert_eq!(header["shape"], serde_json::json!([28, 28]));
        let method: Method = serde_json::from_str("\"gradient\"").unwrap();
        assert_eq!(method, Method::Gradient);
    }
}
