//! Tests across the crates: the examples and the program as users run them, and agreement with PyTorch and between
//! devices. They are one binary, so that burn is linked once.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[cfg(unix)]
mod cluster;
mod device_parity;
mod endings;
mod exercises;
#[cfg(unix)]
mod interruption;
mod predict;
mod pretrained;
mod pytorch_parity;
#[cfg(feature = "remote")]
mod remote;
mod report;
#[cfg(target_os = "linux")]
mod slurm;
mod stranger;
mod support;
mod tutorials;
