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
mod predict;
mod pytorch;
mod weights;
