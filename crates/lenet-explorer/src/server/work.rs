//! Computation on blocking threads, so that no request waits for the computation of another one to be polled.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::error::ApiError;

/// Pictures decoded at once: each may take hundreds of megabytes.
const DECODED_AT_ONCE: usize = 1;

/// How much is computed at once.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    inference: Arc<Semaphore>,
    decoding: Arc<Semaphore>,
    evaluation: Arc<Mutex<()>>,
}

impl Work {
    /// As many inferences at once as the machine has cores.
    pub(crate) fn new() -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        Self {
            inference: Arc::new(Semaphore::new(cores)),
            decoding: Arc::new(Semaphore::new(DECODED_AT_ONCE)),
            evaluation: Arc::default(),
        }
    }

    /// Computes with a network. If the client goes away while this waits for its turn, nothing is computed.
    pub(crate) async fn infer<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<R, ApiError> + Send + 'static,
    ) -> Result<R, ApiError> {
        bounded(&self.inference, work).await
    }

    /// Evaluates a network on many images, one network after another. Called on a blocking thread.
    pub(crate) fn evaluate<R>(&self, work: impl FnOnce() -> R) -> R {
        let _turn = self
            .evaluation
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        work()
    }

    /// Decodes a picture.
    pub(crate) async fn decode<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<R, ApiError> + Send + 'static,
    ) -> Result<R, ApiError> {
        bounded(&self.decoding, work).await
    }
}

async fn bounded<R: Send + 'static>(
    places: &Arc<Semaphore>,
    work: impl FnOnce() -> Result<R, ApiError> + Send + 'static,
) -> Result<R, ApiError> {
    let place = Arc::clone(places).acquire_owned().await;
    // The place is kept until the work is done, even if nobody waits for it any more.
    let work = move || {
        let _place = place;
        work()
    };
    match spawn_blocking(work).await {
        Ok(result) => result,
        Err(panic) => Err(ApiError::internal(&panic)),
    }
}
