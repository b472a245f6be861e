//! Tests of `lenet-plot` through its public interface, linked once.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod loss_curve;
mod sweep;
