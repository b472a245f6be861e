//! Tests of `lenet-data` through its public interface, linked once.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod burn_dataset;
mod common;
mod download;
mod drawing;
mod idx;
mod images;
mod loader;
mod picture;
mod server;
