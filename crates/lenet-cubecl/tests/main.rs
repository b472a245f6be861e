//! Everything the crate computes, beside `lenet-kernels` on the CPU.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod gpu_ensemble;
mod gpu_gradients;
mod gpu_predictions;
mod tools;
