//! The addresses of the server, and what every request passes on its way.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Request};
use axum::http::StatusCode;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;

use super::extract::{self, MAX_READ};
use super::guard::{Hosts, guard};
use crate::api::{self, App};
use crate::assets::asset;
use crate::error::ApiError;
use crate::page::page;

/// Time for an answer, such as while a data set is downloaded.
const ANSWER_TIME: Duration = Duration::from_secs(30);

/// No script, style, font or request of another origin, nothing inline, and no frame around the page.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Headers of every answer.
const HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(self), microphone=(), geolocation=()",
    ),
];

/// For the page and its assets, which change with the program.
const REVALIDATE: [(HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-cache")];

/// Everything that the server answers.
pub(crate) fn router(app: Arc<App>, hosts: Hosts) -> Router {
    let mut router = Router::new()
        .route("/", get(index))
        .route("/assets/{name}", get(assets))
        .merge(api::routes())
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            ANSWER_TIME,
        ))
        // Has no end, so no time either.
        .merge(api::training::events_route())
        .with_state(app)
        .layer(DefaultBodyLimit::disable())
        .layer(RequestBodyLimitLayer::new(MAX_READ))
        .layer(from_fn_with_state(hosts, guard))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(sentence))
        .layer(SetResponseHeaderLayer::if_not_present(
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-store"),
        ));
    for (name, value) in HEADERS {
        let value = HeaderValue::from_static(value);
        router = router.layer(SetResponseHeaderLayer::overriding(name, value));
    }
    router
}

async fn index() -> impl IntoResponse {
    (REVALIDATE, Html(page().into_string()))
}

async fn assets(Path(name): Path<String>) -> Response {
    match asset(&name) {
        Some((content_type, text)) => {
            (REVALIDATE, [(header::CONTENT_TYPE, content_type)], text).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A bug of a handler: the request fails, the server goes on.
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let reason = panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
    let reason = reason.unwrap_or_else(|| "a panic without a message".to_owned());
    ApiError::internal(&*Box::<dyn std::error::Error + Send + Sync>::from(reason)).into_response()
}

/// Gives the errors of the router and its layers a sentence.
async fn sentence(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    let content_type = response.headers().get(header::CONTENT_TYPE);
    let has_sentence = content_type.is_some_and(|value| value == "application/json");
    if has_sentence || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let error = match status {
        StatusCode::NOT_FOUND => ApiError::not_found("there is nothing at this address"),
        StatusCode::METHOD_NOT_ALLOWED => ApiError::new(
            status,
            "this address does not take requests with this method",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => extract::too_large(),
        StatusCode::SERVICE_UNAVAILABLE => ApiError::unavailable(format!(
            "the answer takes longer than {} seconds, such as while a data set is downloaded: try again later",
            ANSWER_TIME.as_secs()
        )),
        _ if status.is_client_error() => ApiError::new(status, "the request is malformed"),
        _ => ApiError::new(status, "the server failed at this request"),
    };
    let mut answer = error.into_response();
    if let Some(allow) = response.headers().get(header::ALLOW) {
        answer.headers_mut().insert(header::ALLOW, allow.clone());
    }
    answer
}
