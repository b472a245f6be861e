//! The one error of requests: a status and a sentence, sent as JSON.

use std::error::Error;
use std::io::{Write, stderr};

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use lenet_core::{ConfigError, WeightsError};
use lenet_data::{DataError, PictureError};
use lenet_train::TrainingConfigError;
use serde_json::json;
use thiserror::Error;

use crate::engine::EngineError;

/// Why a request was refused, or failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    /// The request cannot be read.
    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// The request can be read, but asks for something impossible.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// Possible in principle, but not now.
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// A failure that is not the user's mistake: its causes are printed where the server runs.
    pub(crate) fn internal(error: &dyn Error) -> Self {
        report(&format!("error: {}", chain(error)));
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "The server failed at this request; the reason is printed in the terminal in which it runs.",
        )
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let message = sentence(&self.message);
        (self.status, Json(json!({"error": message}))).into_response()
    }
}

/// The message with a capital letter and a full stop, as the page shows it.
fn sentence(message: &str) -> String {
    let message = message.trim();
    let mut characters = message.chars();
    // A name stays as it is, such as `conv1: …`.
    let is_word = message
        .split([' ', ','])
        .next()
        .is_some_and(|word| word.chars().all(|letter| letter.is_ascii_lowercase()));
    let mut sentence = match characters.next() {
        Some(first) if is_word => first.to_uppercase().chain(characters).collect(),
        _ => message.to_owned(),
    };
    if !sentence.ends_with(['.', '!', '?']) {
        sentence.push('.');
    }
    sentence
}

/// Prints a line where the server runs. If standard error is closed, the server goes on without it.
pub(crate) fn report(line: &str) {
    let _ = writeln!(stderr(), "{line}");
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        if error.is_internal() {
            Self::internal(&error)
        } else {
            Self::invalid(chain(&error))
        }
    }
}

impl From<PictureError> for ApiError {
    fn from(error: PictureError) -> Self {
        // Pictures in memory are named `-`, as on a command line.
        let message = chain(&error);
        match message.strip_prefix("- ") {
            Some(rest) => Self::invalid(format!("The file {rest}")),
            None => Self::invalid(message),
        }
    }
}

impl From<WeightsError> for ApiError {
    fn from(error: WeightsError) -> Self {
        match error {
            // The path is that of a temporary file.
            WeightsError::Contents { source, .. } => Self::invalid(chain(&*source)),
            WeightsError::File(_) | WeightsError::Device { .. } => Self::internal(&error),
            other => Self::invalid(chain(&other)),
        }
    }
}

impl From<ConfigError> for ApiError {
    fn from(error: ConfigError) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<TrainingConfigError> for ApiError {
    fn from(error: TrainingConfigError) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<DataError> for ApiError {
    fn from(error: DataError) -> Self {
        Self::not_found(format!("the data set is unavailable: {}", chain(&error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_become_sentences() {
        for (message, expected) in [
            ("epochs is 0", "Epochs is 0."),
            ("conv1: too large", "conv1: too large."),
            ("learning_rate is -1", "learning_rate is -1."),
            ("Really?", "Really?"),
            ("", "."),
        ] {
            assert_eq!(sentence(message), expected);
        }
    }
}
