//! A value that is made on first use, once, however many requests ask for it.

use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use crate::error::ApiError;

type Slot<T> = watch::Receiver<Option<Result<T, ApiError>>>;

/// A value that takes long to make, and is kept. A failure is reported to everyone who waits, and is not kept.
///
/// Once begun, the work continues even if nobody waits any more, so that the next request finds its result.
pub(crate) struct Shared<T> {
    slot: Mutex<Option<Slot<T>>>,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self {
            slot: Mutex::default(),
        }
    }
}

impl<T: Clone + Send + Sync + 'static> Shared<T> {
    /// The value, made by `make` on a blocking thread if there is none and nobody is making one.
    pub(crate) async fn get(
        &self,
        make: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let mut receiver = self.receiver(make);
        let made = receiver.wait_for(Option::is_some).await;
        match made.as_deref() {
            Ok(Some(result)) => result.clone(),
            Ok(None) => unreachable!("waited for a result"),
            // The sender is dropped without a result if the work panics.
            Err(error) => Err(ApiError::internal(error)),
        }
    }

    fn receiver(&self, make: impl FnOnce() -> Result<T, ApiError> + Send + 'static) -> Slot<T> {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(receiver) = slot.as_ref().filter(|receiver| is_usable(receiver)) {
            return receiver.clone();
        }
        let (sender, receiver) = watch::channel(None);
        tokio::task::spawn_blocking(move || sender.send_replace(Some(make())));
        slot.insert(receiver).clone()
    }
}

/// Whether there is a value, or somebody is making one.
fn is_usable<T>(receiver: &Slot<T>) -> bool {
    match &*receiver.borrow() {
        Some(result) => result.is_ok(),
        None => receiver.has_changed().is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_value_is_made_once_and_a_failure_again() {
        let shared = Arc::new(Shared::default());
        let calls = Arc::new(AtomicUsize::new(0));
        let get = |fails: bool| {
            let (shared, calls) = (Arc::clone(&shared), Arc::clone(&calls));
            tokio::spawn(async move {
                let make = move || {
                    calls.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(std::time::Duration::from_millis(50));
                    if fails {
                        Err(ApiError::not_found("nothing"))
                    } else {
                        Ok(7)
                    }
                };
                shared.get(make).await
            })
        };
        assert!(get(true).await.unwrap().is_err());
        let (a, b) = (get(false), get(false));
        assert_eq!((a.await.unwrap(), b.await.unwrap()), (Ok(7), Ok(7)));
        assert_eq!(get(true).await.unwrap(), Ok(7));
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_not_a_wait() {
        let shared = Shared::<u8>::default();
        let panicked = shared.get(|| panic!("on purpose")).await;
        assert_eq!(panicked.unwrap_err().status, 500);
        assert_eq!(shared.get(|| Ok(1)).await, Ok(1));
    }
}
