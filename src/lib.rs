#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
//!
//! # The crates
//!
//! | crate | what it is for |
//! |---|---|
//! | [`core`] | the network |
//! | [`data`] | the images |
//! | [`train`] | training, evaluation and sweeps |
//! | [`plot`] | figures |
//!
//! The [`tutorial`] leads from an IDX file to a sweep of your own; [`clusters`] is about sweeps on several machines.

pub use lenet_core as core;
pub use lenet_data as data;
pub use lenet_plot as plot;
pub use lenet_train as train;

#[doc = include_str!("../docs/tutorial.md")]
pub mod tutorial {}

#[doc = include_str!("../docs/clusters.md")]
pub mod clusters {}
