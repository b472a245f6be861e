//! Everything that the network computes from one image.

use burn::tensor::Device;
use lenet_core::{LayerKind, LayerTable, LeNet};
use lenet_data::Picture;
use serde::Serialize;

use super::fields::{Field, fields};
use super::forward::{Outputs, forward, len, range, scaled};
use super::{EngineError, Prediction};

/// The image as the network sees it, the output of every layer, and the probabilities.
#[derive(Clone, Debug)]
pub(crate) struct View {
    stages: Vec<Stage>,
    values: Vec<f32>,
    prediction: Prediction,
}

/// What the values of a [`View`] are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ViewHeader {
    /// First the input, last the probabilities.
    pub(crate) stages: Vec<Stage>,
    pub(crate) prediction: Prediction,
}

/// A stage of the network and where its values are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Stage {
    /// `input`, the name of a layer, or `probabilities`.
    pub(crate) name: String,
    pub(crate) kind: StageKind,
    /// `[channel, height, width]` or `[units]`.
    pub(crate) shape: Vec<usize>,
    /// Index of the first value.
    pub(crate) offset: usize,
    /// The smallest value.
    pub(crate) min: f32,
    /// The largest value.
    pub(crate) max: f32,
    /// What each unit sees of the input; none from the flatten layer on, where units have no grid of fields.
    pub(crate) field: Option<Field>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StageKind {
    Input,
    Convolution,
    Activation,
    Pooling,
    Flatten,
    Dense,
    Probabilities,
}

impl From<LayerKind> for StageKind {
    fn from(kind: LayerKind) -> Self {
        match kind {
            LayerKind::Convolution { .. } => Self::Convolution,
            LayerKind::Activation(_) => Self::Activation,
            LayerKind::Pooling(_) => Self::Pooling,
            LayerKind::Flatten => Self::Flatten,
            LayerKind::Dense { .. } => Self::Dense,
            _ => unreachable!("expected a kind of layer that the explorer shows, found {kind}"),
        }
    }
}

impl View {
    /// What the values are. The prediction has no class name yet.
    pub(crate) fn header(&self) -> ViewHeader {
        ViewHeader {
            stages: self.stages.clone(),
            prediction: self.prediction.clone(),
        }
    }

    /// The values of all stages, one after another.
    pub(crate) fn values(&self) -> &[f32] {
        &self.values
    }

    pub(super) fn stages(&self) -> impl Iterator<Item = (&Stage, &[f32])> {
        let mut rest = self.values.as_slice();
        self.stages.iter().map(move |stage| {
            let values;
            (values, rest) = rest.split_at(len(&stage.shape));
            (stage, values)
        })
    }

    pub(super) fn prediction(&self) -> &Prediction {
        &self.prediction
    }

    fn new(picture: &Picture, table: &LayerTable, outputs: &Outputs) -> Self {
        let Some((_, logits)) = outputs.rows(table).last() else {
            unreachable!("expected at least one layer");
        };
        let prediction = Prediction::new(logits);
        let mut view = Self {
            stages: Vec::new(),
            values: Vec::new(),
            prediction: prediction.clone(),
        };
        let [height, width] = picture.image_size();
        let (shape, pixels) = ([1, height, width], scaled(picture));
        view.push(
            "input",
            StageKind::Input,
            &shape,
            Some(Field::INPUT),
            &pixels,
        );
        for ((row, values), field) in outputs.rows(table).zip(fields(table)) {
            view.push(&row.name, row.kind.into(), &row.output_shape, field, values);
        }
        let probabilities = prediction.probabilities;
        let shape = [probabilities.len()];
        view.push(
            "probabilities",
            StageKind::Probabilities,
            &shape,
            None,
            &probabilities,
        );
        view
    }

    fn push(
        &mut self,
        name: &str,
        kind: StageKind,
        shape: &[usize],
        field: Option<Field>,
        values: &[f32],
    ) {
        let [min, max] = range(values);
        self.stages.push(Stage {
            name: name.to_owned(),
            kind,
            shape: shape.to_vec(),
            offset: self.values.len(),
            min,
            max,
            field,
        });
        self.values.extend_from_slice(values);
    }
}

/// Runs the network on a picture and keeps what every layer outputs.
pub(crate) fn view(lenet: &LeNet, picture: &Picture, device: &Device) -> Result<View, EngineError> {
    let mut views = views(lenet, &[picture], device)?;
    match views.pop() {
        Some(view) => Ok(view),
        None => unreachable!("expected a view of each picture"),
    }
}

/// The view of each picture, computed in one batch.
pub(super) fn views(
    lenet: &LeNet,
    pictures: &[&Picture],
    device: &Device,
) -> Result<Vec<View>, EngineError> {
    let table = lenet.config().layer_table()?;
    let outputs = forward(lenet, &table, pictures, device)?;
    let views = pictures.iter().zip(outputs);
    Ok(views
        .map(|(picture, outputs)| View::new(picture, &table, &outputs))
        .collect())
}

#[cfg(test)]
mod tests {
    use lenet_core::LeNetConfig;

    use super::*;

    fn black(size: [usize; 2]) -> Picture {
        let pixels = vec![0; size.iter().product()];
        Picture::from_pixels(&pixels, size, size).unwrap()
    }

    #[test]
    fn stages_are_named_and_described_for_the_page() {
        let device = Device::flex();
        let lenet = LeNetConfig::modern(10).init(&device, 0).unwrap();
        let view = view(&lenet, &black([28, 28]), &device).unwrap();
        let header = serde_json::to_value(view.header()).unwrap();
        let stages = header["stages"].as_array().unwrap();
        let of = |name: &str| stages.iter().find(|stage| stage["name"] == name).unwrap();
        assert_eq!(stages.first(), Some(of("input")));
        assert_eq!(stages.last(), Some(of("probabilities")));
        for (name, kind) in [
            ("input", "input"),
            ("conv1", "convolution"),
            ("conv1.activation", "activation"),
            ("conv2.pool", "pooling"),
            ("flatten", "flatten"),
            ("dense1", "dense"),
            ("dense1.activation", "activation"),
            ("probabilities", "probabilities"),
        ] {
            assert_eq!(of(name)["kind"], kind);
        }
        let field = serde_json::json!({"size": [5, 5], "stride": [1, 1], "start": [-2, -2]});
        assert_eq!(of("conv1")["field"], field);
        assert!(of("flatten")["field"].is_null());
        assert_eq!(
            header["prediction"]["probabilities"]
                .as_array()
                .unwrap()
                .len(),
            10
        );
    }

    #[test]
    fn other_images_and_networks_of_colours_are_refused() {
        let device = Device::flex();
        let lenet = LeNetConfig::modern(10).init(&device, 0).unwrap();
        let error = view(&lenet, &black([28, 27]), &device).unwrap_err();
        assert!(matches!(error, EngineError::ImageSize { .. }), "{error}");
        let lenet = LeNetConfig::modern(10)
            .with_in_channels(3)
            .init(&device, 0)
            .unwrap();
        let error = view(&lenet, &black([28, 28]), &device).unwrap_err();
        assert!(
            matches!(error, EngineError::Channels { found: 3 }),
            "{error}"
        );
        assert!(!error.is_internal());
    }

    /// Weights of a diverging training overflow.
    #[test]
    fn outputs_that_are_not_finite_are_an_error() {
        let device = Device::flex();
        let lenet = LeNetConfig::modern(10).init(&device, 0).unwrap();
        let mut state = lenet.state_dict().unwrap();
        for tensor in &mut state {
            tensor.values.fill(1e30);
        }
        let lenet = lenet.load_state_dict(state).unwrap();
        let error = view(&lenet, &black([28, 28]), &device).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("conv2 of the network is not finite"),
            "{error}"
        );
        assert!(!error.is_internal());
    }
}
