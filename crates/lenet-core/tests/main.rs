//! Tests of `lenet-core` through its public interface, linked once.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod config;
mod device;
mod fused;
#[cfg(feature = "gpu")]
mod gpu;
mod predict;
mod pytorch;
mod weights;

use std::error::Error;

/// An error and its sources, separated by colons.
fn chain(error: &dyn Error) -> String {
    let sources = std::iter::successors(error.source(), |&source| source.source());
    sources.fold(error.to_string(), |text, source| {
        format!("{text}: {source}")
    })
}
