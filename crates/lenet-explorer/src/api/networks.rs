//! The networks: list, upload, download, delete.

use std::io::Write;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use lenet_core::{Preset, Weights};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::App;
use crate::error::ApiError;
use crate::gallery::{DatasetId, excerpt};
use crate::server::extract::{Body, Query};

pub(super) async fn list(State(app): State<Arc<App>>) -> Json<Value> {
    let networks = app.networks.all();
    let networks: Vec<Value> = networks.iter().map(|network| network.to_json()).collect();
    Json(json!({"networks": networks}))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Upload {
    /// The name of the file.
    name: String,
    /// What the network computes if the file does not say.
    #[serde(default)]
    preset: Preset,
    /// The data set whose classes the network knows.
    dataset: Option<String>,
}

pub(super) async fn upload(
    State(app): State<Arc<App>>,
    Query(upload): Query<Upload>,
    Body(bytes): Body,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let dataset = match upload.dataset.as_deref() {
        None | Some("") => None,
        Some(id) => {
            let known = id.parse::<DatasetId>()?.known();
            Some(known.ok_or_else(|| {
                ApiError::invalid(format!(
                    "'{}' does not name the classes of a network: expected mnist, fashion-mnist or kmnist",
                    excerpt(id)
                ))
            })?)
        }
    };
    let work = app.work.clone();
    let network = work
        .infer(move || {
            // Files of PyTorch can only be read from disk.
            let written = NamedTempFile::new().and_then(|mut file| {
                file.write_all(&bytes)?;
                file.flush()?;
                Ok(file)
            });
            let file = written.map_err(|error| ApiError::internal(&error))?;
            let weights = Weights::open(file.path())?;
            app.networks
                .open(weights, &upload.name, upload.preset, dataset)
        })
        .await?;
    Ok((StatusCode::CREATED, Json(network.to_json())))
}

pub(super) async fn remove(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    app.networks.remove(&id)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn weights(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let network = app.networks.get(&id)?;
    // An identifier has only letters, digits and hyphens.
    let file = format!("attachment; filename=\"{}.safetensors\"", network.id());
    let lenet = network.look().lenet;
    let bytes = app.work.infer(move || Ok(lenet.to_safetensors()?)).await?;
    let headers = [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (CONTENT_DISPOSITION, file),
    ];
    Ok((headers, bytes).into_response())
}
