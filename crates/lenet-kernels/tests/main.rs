//! Tests of `lenet-kernels` through its public interface, linked once.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod conv_block;
mod cross_entropy;
mod dense;
mod network;
