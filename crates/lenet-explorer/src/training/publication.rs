//! What those who watch a training receive: each state is made into JSON once, for all of them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::State;
use crate::api::App;
use crate::server::ended;

/// Time between two publications.
const PAUSE: Duration = Duration::from_millis(100);

/// A state, and the same as JSON.
#[derive(Clone)]
pub(super) struct Published {
    state: Arc<State>,
    pub(super) json: Arc<str>,
}

impl Published {
    pub(super) fn new(state: Arc<State>) -> Self {
        let json = match serde_json::to_string(&*state) {
            Ok(json) => json.into(),
            Err(error) => unreachable!("expected the state of a training to be JSON: {error}"),
        };
        Self { state, json }
    }
}

/// Publishes the state of the moment, unless it is published. Under the lock, so that no older state follows it.
pub(super) fn publish(states: &watch::Sender<Arc<State>>, published: &watch::Sender<Published>) {
    published.send_if_modified(|published| {
        let state = Arc::clone(&states.borrow());
        // A state that is kept here is never changed: its successor is a copy.
        let is_new = !Arc::ptr_eq(&state, &published.state);
        if is_new {
            *published = Published::new(state);
        }
        is_new
    });
}

/// Publishes every change, at most ten a second, until the server ends.
pub(crate) async fn publish_changes(app: Arc<App>) {
    let mut shutdown = app.shutdown.clone();
    let training = &app.training;
    let mut states = training.state.subscribe();
    let changes = async {
        while states.changed().await.is_ok() {
            publish(&training.state, &training.published);
            sleep(PAUSE).await;
        }
    };
    tokio::select! {
        () = changes => {}
        () = ended(&mut shutdown) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_made_into_json_once_and_changes_are_published() {
        let states = watch::Sender::new(Arc::new(State::default()));
        let published = watch::Sender::new(Published::new(Arc::clone(&states.borrow())));
        let mut receivers = [published.subscribe(), published.subscribe()];
        publish(&states, &published);
        assert!(receivers.iter().all(|r| !r.has_changed().unwrap()));

        states.send_modify(|state| Arc::make_mut(state).set_step(1, 2, 3));
        publish(&states, &published);
        publish(&states, &published);
        let [a, b] = receivers
            .each_mut()
            .map(|receiver| Arc::clone(&receiver.borrow_and_update().json));
        assert!(Arc::ptr_eq(&a, &b));
        let state: serde_json::Value = serde_json::from_str(&a).unwrap();
        assert_eq!(state["total_step"], 3);
    }
}
