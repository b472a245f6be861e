//! Two images side by side.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;

use super::{App, as_seen};
use crate::engine::{self, Comparison};
use crate::error::ApiError;
use crate::server::extract::{Body, Query};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    network: String,
}

pub(super) async fn compare(
    State(app): State<Arc<App>>,
    Query(request): Query<Request>,
    Body(body): Body,
) -> Result<Json<Comparison>, ApiError> {
    let network = app.networks.get(&request.network)?;
    let device = app.networks.device().clone();
    let comparison = app
        .work
        .infer(move || {
            let pictures = as_seen(&network, &body, 2)?;
            let [a, b] = pictures.as_slice() else {
                unreachable!("expected two pictures, found {}", pictures.len());
            };
            let lenet = network.look().lenet;
            Ok(engine::compare(&lenet, a, b, network.classes(), &device)?)
        })
        .await?;
    Ok(Json(comparison))
}
