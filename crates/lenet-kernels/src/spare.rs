//! Buffers that outlive a pass.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

/// Buffers that no pass uses at the moment: one for each thread that has computed one.
pub(crate) struct Spare<T>(Mutex<Vec<T>>);

impl<T> Spare<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::default())
    }

    /// A spare buffer, or a new one.
    pub(crate) fn take(&self, new: impl FnOnce() -> T) -> Borrowed<'_, T> {
        let spare = self.lock(Vec::pop);
        Borrowed {
            buffer: Some(spare.unwrap_or_else(new)),
            spare: self,
        }
    }

    fn lock<R>(&self, access: impl FnOnce(&mut Vec<T>) -> R) -> R {
        // A panic between two complete accesses leaves the list as it was.
        access(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A buffer in use, spare again when dropped.
pub(crate) struct Borrowed<'a, T> {
    /// `None` only while it is dropped.
    buffer: Option<T>,
    spare: &'a Spare<T>,
}

impl<T> Drop for Borrowed<'_, T> {
    fn drop(&mut self) {
        // What a panic left behind may break the rules of the buffer.
        if !std::thread::panicking() {
            self.spare.lock(|spare| spare.extend(self.buffer.take()));
        }
    }
}

impl<T> Deref for Borrowed<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.buffer {
            Some(buffer) => buffer,
            None => unreachable!("a buffer is there until it is dropped"),
        }
    }
}

impl<T> DerefMut for Borrowed<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.buffer {
            Some(buffer) => buffer,
            None => unreachable!("a buffer is there until it is dropped"),
        }
    }
}
