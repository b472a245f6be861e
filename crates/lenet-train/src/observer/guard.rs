//! Keeps an observer's panic away from the training.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{CurrentNetwork, Event, Observer};

/// An observer that is dropped after its first panic; `None` observes nothing.
pub(crate) struct Guard<'a>(pub(crate) Option<&'a mut dyn Observer>);

impl Guard<'_> {
    pub(crate) fn observe(&mut self, event: &Event<'_>) {
        self.call(|observer| observer.observe(event));
    }

    pub(crate) fn observe_network(&mut self, network: &CurrentNetwork<'_>) {
        self.call(|observer| observer.observe_network(network));
    }

    fn call(&mut self, call: impl FnOnce(&mut dyn Observer)) {
        if let Some(observer) = &mut self.0
            && catch_unwind(AssertUnwindSafe(|| call(*observer))).is_err()
        {
            self.0 = None;
        }
    }
}
