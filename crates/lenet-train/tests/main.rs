//! Tests of `lenet-train` through its public interface, linked once.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod checkpoints;
mod faults;
mod pool;
mod sweep;
mod training;
