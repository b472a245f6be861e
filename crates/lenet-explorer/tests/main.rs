//! The program `lenet`, run as its users run it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod command_line;
mod explore;
mod hostile;
mod load;
mod server;
mod start;
mod stop;
