//! Which pixels speak for a class.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

use super::{App, as_seen, binary};
use crate::engine::{self, Method};
use crate::error::ApiError;
use crate::server::extract::{Body, Query};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    network: String,
    class: usize,
    method: Method,
}

pub(super) async fn explain(
    State(app): State<Arc<App>>,
    Query(request): Query<Request>,
    Body(body): Body,
) -> Result<Response, ApiError> {
    let network = app.networks.get(&request.network)?;
    let device = app.networks.device().clone();
    let message = app
        .work
        .infer(move || {
            let pictures = as_seen(&network, &body, 1)?;
            let [picture] = pictures.as_slice() else {
                unreachable!("expected one picture, found {}", pictures.len());
            };
            let lenet = network.look().lenet;
            let heatmap = engine::explain(
                &lenet,
                picture,
                request.class,
                network.classes(),
                request.method,
                &device,
            )?;
            Ok(engine::message(heatmap.header(), heatmap.values()))
        })
        .await?;
    Ok(binary(message))
}
