#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
//!
//! # Map of the crate
//!
//! - `command`: the flags of `lenet explore`, and how it starts and ends.
//! - `server`: connections, limits, headers, and the guard against other origins.
//! - `api`: what each request asks for and gets, one file for each kind.
//! - `networks`, `gallery`, `training`: what the server keeps between requests.
//! - `engine`: what is computed, without HTTP.
//! - `page`, `assets`: the page, its script modules and its style.

mod api;
mod assets;
mod command;
mod engine;
mod error;
mod gallery;
mod networks;
mod page;
mod server;
mod shared;
mod training;

pub use command::subcommand;
