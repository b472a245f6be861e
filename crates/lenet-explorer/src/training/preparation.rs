//! The place of the one training, from before its images are loaded until it has ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use crate::api::App;
use crate::error::ApiError;

/// Stops a training, or one that is being prepared.
#[derive(Debug, Default)]
pub(super) struct Stop {
    is_set: AtomicBool,
    set: Notify,
}

impl Stop {
    pub(super) fn set(&self) {
        self.is_set.store(true, Ordering::Relaxed);
        self.set.notify_one();
    }

    pub(super) fn flag(&self) -> &AtomicBool {
        &self.is_set
    }

    pub(super) fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Relaxed)
    }
}

/// A training that is being prepared. If it does not begin, because it fails or the client goes away, another one can.
pub(crate) struct Preparation {
    app: Arc<App>,
    stop: Arc<Stop>,
    has_begun: bool,
}

impl Preparation {
    /// Begins to prepare a training, unless one runs or is being prepared.
    pub(crate) fn new(app: &Arc<App>) -> Result<Self, ApiError> {
        let mut running = app.training.running();
        if running.is_some() {
            return Err(ApiError::conflict(
                "a training is running already, or about to begin: stop it first, or wait until it is finished",
            ));
        }
        let stop = Arc::clone(running.insert(Arc::default()));
        Ok(Self {
            app: Arc::clone(app),
            stop,
            has_begun: false,
        })
    }

    /// What the work results in, or an error as soon as the user stops the training.
    pub(crate) async fn unless_stopped<T>(
        &self,
        work: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        tokio::select! {
            result = work => result,
            () = self.stop.set.notified() => Err(stopped()),
        }
    }

    pub(super) fn check(&self) -> Result<(), ApiError> {
        if self.stop.is_set() {
            return Err(stopped());
        }
        Ok(())
    }

    pub(super) fn app(&self) -> &Arc<App> {
        &self.app
    }

    pub(super) fn stop(&self) -> &Arc<Stop> {
        &self.stop
    }

    /// Keeps the place, which the training gives back at its end.
    pub(super) fn begin(mut self) {
        self.has_begun = true;
    }
}

impl Drop for Preparation {
    fn drop(&mut self) {
        if !self.has_begun {
            *self.app.training.running() = None;
        }
    }
}

fn stopped() -> ApiError {
    ApiError::conflict("the training was stopped before it began")
}
