#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
//!
//! # The crates
//!
//! - [`core`]: the network.
//! - [`data`]: the images.
//! - [`train`]: the loop and the evaluation.
//! - [`plot`]: the pictures.

pub use lenet_core as core;
pub use lenet_data as data;
pub use lenet_plot as plot;
pub use lenet_train as train;
