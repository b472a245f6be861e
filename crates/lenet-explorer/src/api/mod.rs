//! What can be asked of the server, one file for each kind of request.

mod compare;
mod explain;
mod images;
mod networks;
pub(crate) mod training;
mod unit;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use lenet_data::Picture;

use crate::error::ApiError;
use crate::gallery::Gallery;
use crate::networks::{Network, Networks};
use crate::server::Shutdown;
use crate::server::work::Work;
use crate::training::Training;

/// What the server keeps between requests.
pub(crate) struct App {
    pub(crate) networks: Networks,
    pub(crate) gallery: Gallery,
    pub(crate) training: Training,
    pub(crate) work: Work,
    pub(crate) shutdown: Shutdown,
}

/// All requests except the events of a training, which have no time limit.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/networks", get(networks::list).post(networks::upload))
        .route(
            "/api/networks/{id}",
            axum::routing::delete(networks::remove),
        )
        .route("/api/networks/{id}/weights", get(networks::weights))
        .route("/api/datasets", get(images::datasets))
        .route("/api/images/{dataset}", get(images::list))
        .route("/api/images/{dataset}/{index}", get(images::one))
        .route("/api/view", post(view::view))
        .route("/api/explain", post(explain::explain))
        .route("/api/unit", get(unit::unit))
        .route("/api/compare", post(compare::compare))
        .route("/api/training", get(training::state).post(training::start))
        .route("/api/training/stop", post(training::stop))
}

/// A binary answer, see [`message`](crate::engine::message).
fn binary(message: Vec<u8>) -> Response {
    ([(CONTENT_TYPE, "application/octet-stream")], message).into_response()
}

/// The pixels of `count` images as the network sees them, one after another.
fn as_seen(network: &Network, bytes: &[u8], count: usize) -> Result<Vec<Picture>, ApiError> {
    let [height, width] = network.image_size();
    let len = height * width;
    if bytes.len() != len * count {
        let images = if count == 1 { "image" } else { "images" };
        return Err(ApiError::invalid(format!(
            "the body has {} bytes: expected {} for {count} {images} of {height}×{width} grey pixels",
            bytes.len(),
            len * count
        )));
    }
    let pictures = bytes.chunks_exact(len).map(|pixels| {
        let size = network.image_size();
        Ok(Picture::from_pixels(pixels, size, size)?)
    });
    pictures.collect()
}
