//! The data sets and their test images.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use lenet_data::{ImageDataset, permutation};
use serde::Deserialize;
use serde_json::{Value, json};

use super::App;
use crate::error::ApiError;
use crate::gallery::{DatasetId, excerpt};
use crate::server::extract::Query;

/// Most images in an answer.
const MAX_COUNT: usize = 200;

/// Images in an answer, unless the request says otherwise.
const COUNT: usize = 24;

pub(super) async fn datasets(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiError> {
    // It looks for files, which may be on a slow drive.
    let described = tokio::task::spawn_blocking(move || describe(&app)).await;
    described
        .map(Json)
        .map_err(|error| ApiError::internal(&error))
}

fn describe(app: &App) -> Value {
    let datasets = DatasetId::ALL.map(|dataset| {
        json!({
            "id": dataset,
            "name": dataset.name(),
            "classes": dataset.class_names(),
            "synthetic": dataset.known().is_none(),
            "available": app.gallery.is_available(dataset),
        })
    });
    json!({"datasets": datasets})
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Selection {
    /// Only images of this class: its index or its name.
    class: Option<String>,
    /// Only images that this network takes for another class.
    misclassified: Option<String>,
    #[serde(default)]
    order: Order,
    /// Of the random order.
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    offset: usize,
    count: Option<usize>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Order {
    /// That of the data set.
    #[default]
    Index,
    Random,
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    Path(dataset): Path<String>,
    Query(selection): Query<Selection>,
) -> Result<Json<Value>, ApiError> {
    let dataset: DatasetId = dataset.parse()?;
    let count = selection.count.unwrap_or(COUNT);
    if !(1..=MAX_COUNT).contains(&count) {
        return Err(ApiError::invalid(format!(
            "count is {count}: expected a number from 1 to {MAX_COUNT}"
        )));
    }
    let images = app.gallery.test(dataset).await?;
    let class = selection.class.filter(|class| !class.is_empty());
    let class = class.map(|class| find_class(&images, &class)).transpose()?;
    let misclassified = selection.misclassified.filter(|id| !id.is_empty());
    let predictions = match misclassified {
        Some(network) => Some(predictions(&app, &network, dataset, images.clone()).await?),
        None => None,
    };

    let predicted = |index: usize| predictions.as_ref()?.get(index).copied();
    let order = match selection.order {
        Order::Index => (0..images.len()).collect(),
        Order::Random => permutation(images.len(), selection.seed, 0),
    };
    let chosen: Vec<usize> = order
        .into_iter()
        .filter(|&index| {
            let label = images.labels().get(index).copied().map(usize::from);
            let is_of_class = class.is_none() || label == class;
            is_of_class && (predictions.is_none() || predicted(index) != label)
        })
        .collect();
    let page = chosen.iter().skip(selection.offset).take(count);
    let page: Result<Vec<Value>, ApiError> = page
        .map(|&index| image(dataset, &images, index, predicted(index)))
        .collect();
    Ok(Json(json!({"total": chosen.len(), "images": page?})))
}

pub(super) async fn one(
    State(app): State<Arc<App>>,
    Path((dataset, index)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let dataset: DatasetId = dataset.parse()?;
    let images = app.gallery.test(dataset).await?;
    let parsed = index.parse().ok().filter(|&index| index < images.len());
    let index = parsed.ok_or_else(|| {
        ApiError::not_found(format!(
            "there is no image '{}': {} has {} images, counted from 0",
            excerpt(&index),
            dataset.name(),
            images.len()
        ))
    })?;
    Ok(Json(image(dataset, &images, index, None)?))
}

/// A class by its index or its name.
fn find_class(images: &ImageDataset, class: &str) -> Result<usize, ApiError> {
    let names = images.class_names();
    let by_name = names.iter().position(|name| name == class);
    let by_index = class.parse().ok().filter(|&index| index < names.len());
    by_index.or(by_name).ok_or_else(|| {
        ApiError::invalid(format!(
            "there is no class '{}': expected a number below {} or one of {}",
            excerpt(class),
            names.len(),
            names.join(", ")
        ))
    })
}

/// What the network predicts for each of the images.
async fn predictions(
    app: &App,
    network: &str,
    dataset: DatasetId,
    images: ImageDataset,
) -> Result<Arc<[usize]>, ApiError> {
    let network = app.networks.get(network)?;
    let has_classes = match network.dataset() {
        Some(_) => network.classes() == images.class_names(),
        None => network.classes().len() == images.class_names().len(),
    };
    if !has_classes {
        return Err(ApiError::invalid(format!(
            "no image of {} is misclassified by {}, which knows other classes: choose another data set",
            dataset.name(),
            network.id()
        )));
    }
    if network.image_size() != images.image_size() {
        let ([height, width], [found_height, found_width]) =
            (network.image_size(), images.image_size());
        return Err(ApiError::invalid(format!(
            "{} takes images of {height}×{width} pixels, but those of {} have {found_height}×{found_width}",
            network.id(),
            dataset.name()
        )));
    }
    if network.is_in_training() {
        return Err(ApiError::conflict(format!(
            "what {} misclassifies changes with every step: stop the training first",
            network.id()
        )));
    }
    let predictions = network.predictions();
    let (lenet, device) = (network.look().lenet, app.networks.device().clone());
    let work = app.work.clone();
    predictions.get(dataset, images, lenet, device, work).await
}

fn image(
    dataset: DatasetId,
    images: &ImageDataset,
    index: usize,
    predicted: Option<usize>,
) -> Result<Value, ApiError> {
    let (Some(pixels), Some(&label)) = (images.image(index), images.labels().get(index)) else {
        unreachable!("expected an index below {}, found {index}", images.len());
    };
    let label = usize::from(label);
    let [height, width] = images.image_size();
    let mut image = json!({
        "dataset": dataset,
        "index": index,
        "label": label,
        "class": images.class_names().get(label),
        "width": width,
        "height": height,
        "pixels": BASE64_STANDARD.encode(pixels),
    });
    if let (Some(predicted), Some(fields)) = (predicted, image.as_object_mut()) {
        fields.insert("predicted".to_owned(), predicted.into());
    }
    Ok(image)
}
