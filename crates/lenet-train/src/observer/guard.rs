//! Keeps an observer's panic away from the training.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Event, Observer};

/// An observer that is dropped after its first panic; `None` observes nothing.
pub(crate) struct Guard<'a>(pub(crate) Option<&'a mut dyn Observer>);

impl Guard<'_> {
    pub(crate) fn observe(&mut self, event: &Event<'_>) {
        if let Some(observer) = &mut self.0
            && catch_unwind(AssertUnwindSafe(|| observer.observe(event))).is_err()
        {
            self.0 = None;
        }
    }
}
