//! The training: start, stop, and its state as it changes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State as AxumState;
use axum::http::StatusCode;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_stream::wrappers::ReceiverStream;

use super::App;
use crate::error::ApiError;
use crate::server::ended;
use crate::server::extract::{Json, Query};
use crate::training::{Plan, Preparation, Request, State};

/// Time between two events.
const PAUSE: Duration = Duration::from_millis(100);

/// Time after which a comment keeps a silent connection open.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// No query at all.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

pub(super) async fn state(
    AxumState(app): AxumState<Arc<App>>,
    _: Query<Nothing>,
) -> axum::Json<State> {
    axum::Json(app.training.state())
}

pub(super) async fn start(
    AxumState(app): AxumState<Arc<App>>,
    Json(request): Json<Request>,
) -> Result<(StatusCode, axum::Json<Value>), ApiError> {
    let plan = Plan::new(request)?;
    // Before a data set is loaded in vain; starting checks it again.
    app.networks.check_room()?;
    let preparation = Preparation::new(&app)?;
    let splits = app.gallery.training(plan.dataset, plan.images);
    let splits = preparation.unless_stopped(splits).await?;
    let work = app.work.clone();
    let start = move || app.training.start(preparation, plan, splits);
    let network = work.infer(start).await?;
    Ok((
        StatusCode::ACCEPTED,
        axum::Json(json!({"network": network.id()})),
    ))
}

pub(super) async fn stop(
    AxumState(app): AxumState<Arc<App>>,
) -> Result<(StatusCode, axum::Json<State>), ApiError> {
    app.training.stop()?;
    Ok((StatusCode::ACCEPTED, axum::Json(app.training.state())))
}

/// The events of the training, apart from the other requests because they have no end.
pub(crate) fn events_route() -> Router<Arc<App>> {
    Router::new().route("/api/training/events", get(events))
}

/// The state at once, and then whenever it changed, until the client or the server ends.
async fn events(
    AxumState(app): AxumState<Arc<App>>,
    _: Query<Nothing>,
) -> Result<Sse<impl tokio_stream::Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let mut watcher = app.training.watcher()?;
    let mut shutdown = app.shutdown.clone();
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let event = Event::default().event("state").data(&*watcher.state());
            let next = async {
                sender.send(Ok(event)).await.ok()?;
                sleep(PAUSE).await;
                watcher.changed().await
            };
            tokio::select! {
                next = next => if next.is_none() { break },
                () = sender.closed() => break,
                () = ended(&mut shutdown) => break,
            }
        }
    });
    let events = Sse::new(ReceiverStream::new(receiver));
    Ok(events.keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}
