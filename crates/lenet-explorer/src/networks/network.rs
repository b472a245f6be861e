//! One network: what the page shows of it, and its weights, which change while it is trained.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use lenet_core::{LayerTable, LeNet, LeNetConfig, Pretrained};
use serde::Serialize;
use serde_json::{Value, json};

use super::predictions::Predictions;
use crate::gallery::DatasetId;

/// Where a network comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Pretrained,
    File,
    Trained,
}

/// What a network is called and what its classes mean.
#[derive(Clone, Debug)]
pub(crate) struct Details {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// The data set whose classes it knows.
    pub(crate) dataset: Option<DatasetId>,
    pub(crate) classes: Vec<String>,
}

/// The weights of a moment.
#[derive(Clone, Debug)]
pub(crate) struct Weighted {
    /// Without autodiff.
    pub(crate) lenet: LeNet,
    /// Steps of training behind these weights, if it was trained here.
    pub(crate) step: Option<usize>,
}

/// A network that can be explored.
pub(crate) struct Network {
    id: String,
    details: Details,
    config: LeNetConfig,
    layers: LayerTable,
    state: Mutex<State>,
}

struct State {
    weighted: Weighted,
    in_training: bool,
    test_accuracy: Option<f64>,
    /// When somebody last asked for the weights.
    looked_at: Option<Instant>,
    predictions: Arc<Predictions>,
}

impl Network {
    /// A network with a number of steps is in training.
    pub(super) fn new(id: String, details: Details, lenet: LeNet, step: Option<usize>) -> Self {
        let config = lenet.config().clone();
        let layers = match config.layer_table() {
            Ok(layers) => layers,
            Err(error) => unreachable!("expected the network to exist: {error}"),
        };
        Self {
            id,
            details,
            config,
            layers,
            state: Mutex::new(State {
                weighted: Weighted { lenet, step },
                in_training: step.is_some(),
                test_accuracy: None,
                looked_at: None,
                predictions: Arc::default(),
            }),
        }
    }

    pub(super) fn pretrained(pretrained: Pretrained, lenet: LeNet) -> Self {
        let dataset: DatasetId = match pretrained.dataset().parse() {
            Ok(dataset) => dataset,
            Err(error) => unreachable!("expected a known data set: {error}"),
        };
        let details = Details {
            name: pretrained.name().to_owned(),
            kind: Kind::Pretrained,
            dataset: Some(dataset),
            classes: dataset.class_names(),
        };
        let network = Self::new(pretrained.name().to_owned(), details, lenet, None);
        network.state().test_accuracy = Some(pretrained.test_accuracy());
        network
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn name(&self) -> &str {
        &self.details.name
    }

    pub(crate) fn kind(&self) -> Kind {
        self.details.kind
    }

    pub(crate) fn dataset(&self) -> Option<DatasetId> {
        self.details.dataset
    }

    pub(crate) fn classes(&self) -> &[String] {
        &self.details.classes
    }

    pub(crate) fn image_size(&self) -> [usize; 2] {
        self.config.image_size
    }

    /// The weights of the moment. Training makes new ones available soon after somebody looked.
    pub(crate) fn look(&self) -> Weighted {
        let mut state = self.state();
        state.looked_at = Some(Instant::now());
        state.weighted.clone()
    }

    /// When somebody last looked.
    pub(crate) fn looked_at(&self) -> Option<Instant> {
        self.state().looked_at
    }

    /// Replaces the weights; what was computed with the old ones is forgotten.
    pub(crate) fn update(&self, lenet: LeNet, step: usize) {
        let mut state = self.state();
        state.weighted = Weighted {
            lenet,
            step: Some(step),
        };
        state.predictions = Arc::default();
    }

    pub(crate) fn set_in_training(&self, in_training: bool) {
        self.state().in_training = in_training;
    }

    pub(crate) fn is_in_training(&self) -> bool {
        self.state().in_training
    }

    pub(crate) fn set_test_accuracy(&self, accuracy: f64) {
        self.state().test_accuracy = Some(accuracy);
    }

    /// What the network predicts for the test images of each data set, as far as it is known.
    pub(crate) fn predictions(&self) -> Arc<Predictions> {
        Arc::clone(&self.state().predictions)
    }

    /// As the page receives it.
    pub(crate) fn to_json(&self) -> Value {
        let state = self.state();
        let layers = self.layers.rows().iter().map(|row| {
            json!({
                "name": row.name,
                "kind": row.kind.to_string(),
                "shape": row.output_shape,
                "parameters": row.parameters,
                "multiply_adds": row.multiply_adds,
            })
        });
        json!({
            "id": self.id,
            "name": self.details.name,
            "kind": self.details.kind,
            "dataset": self.details.dataset,
            "image_size": self.config.image_size,
            "classes": self.details.classes,
            "parameters": self.layers.parameters(),
            "layers": layers.collect::<Vec<_>>(),
            "test_accuracy": state.test_accuracy,
            "step": state.weighted.step,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
