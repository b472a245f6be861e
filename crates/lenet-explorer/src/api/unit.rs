//! The weights of one unit.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;

use super::App;
use crate::engine::{self, Unit};
use crate::error::ApiError;
use crate::server::extract::Query;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    network: String,
    stage: String,
    channel: usize,
}

pub(super) async fn unit(
    State(app): State<Arc<App>>,
    Query(request): Query<Request>,
) -> Result<Json<Unit>, ApiError> {
    let network = app.networks.get(&request.network)?;
    let unit = app
        .work
        .infer(move || {
            let lenet = network.look().lenet;
            Ok(engine::unit(&lenet, &request.stage, request.channel)?)
        })
        .await?;
    Ok(Json(unit))
}
