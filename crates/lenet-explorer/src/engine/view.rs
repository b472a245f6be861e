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
    /// What each unit sees of the input; none if it sees all of it.
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
