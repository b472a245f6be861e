//! Tests of `lenet-train` through its public interface, linked once.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod checkpoints;
mod faults;
#[cfg(feature = "gpu")]
mod gpu;
mod parts;
mod pool;
mod sweep;
mod training;

/// An error and its causes, as applications print them.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
