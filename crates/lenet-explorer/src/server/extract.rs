//! Query, body and JSON of a request, with the errors of this server.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query as AxumQuery, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use tokio_stream::StreamExt;

use crate::error::ApiError;

/// Largest body, in bytes.
pub(crate) const MAX_BODY: usize = 8 << 20;

/// Bytes of a body that is too large that are still read, so that the client gets to read the answer.
pub(super) const MAX_READ: usize = 64 << 20;

/// Time for a body.
const BODY_TIME: Duration = Duration::from_secs(10);

/// The query string, in which unknown fields are errors.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query = AxumQuery::try_from_uri(&parts.uri);
        let AxumQuery(query) = query.map_err(|rejection| {
            let reason = rejection.body_text();
            let reason = reason
                .split_once(": ")
                .map_or(&*reason, |(_, reason)| reason);
            ApiError::malformed(format!("the query is not valid: {reason}"))
        })?;
        Ok(Self(query))
    }
}

/// The whole body.
pub(crate) struct Body(pub(crate) Bytes);

impl<S: Sync> FromRequest<S> for Body {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        match timeout(BODY_TIME, read(request.into_body())).await {
            Ok(read) => read.map(Self),
            Err(_) => Err(ApiError::new(
                StatusCode::REQUEST_TIMEOUT,
                format!(
                    "the body of the request took longer than {} seconds",
                    BODY_TIME.as_secs()
                ),
            )),
        }
    }
}

async fn read(body: axum::body::Body) -> Result<Bytes, ApiError> {
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    let mut len = 0_usize;
    while let Some(chunk) = stream.next().await {
        let chunk = match chunk {
            Ok(chunk) => chunk,
            // The limit of the router, if no length was announced.
            Err(_) if len > MAX_BODY => break,
            Err(_) => return Err(ApiError::malformed("the body of the request is incomplete")),
        };
        len = len.saturating_add(chunk.len());
        if len <= MAX_BODY {
            bytes.extend_from_slice(&chunk);
        }
    }
    if len > MAX_BODY {
        return Err(too_large());
    }
    Ok(bytes.into())
}

pub(super) fn too_large() -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!(
            "the body of the request is too large: at most {} MB are allowed",
            MAX_BODY >> 20
        ),
    )
}

/// A JSON body, in which unknown fields are errors.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let content_type = request.headers().get(CONTENT_TYPE);
        let media_type = content_type
            .and_then(|value| value.to_str().ok()?.split(';').next())
            .map(str::trim);
        if !media_type.is_some_and(|found| found.eq_ignore_ascii_case("application/json")) {
            return Err(ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "expected JSON with the header Content-Type: application/json",
            ));
        }
        let Body(bytes) = Body::from_request(request, state).await?;
        let value = serde_json::from_slice(&bytes).map_err(|error| {
            if error.is_data() {
                ApiError::invalid(format!("the request is not valid: {error}"))
            } else {
                ApiError::malformed(format!("the request is not JSON: {error}"))
            }
        })?;
        Ok(Self(value))
    }
}
