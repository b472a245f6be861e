//! Any bytes as a picture file: decoded or refused, without a panic.

#![no_main]

use std::io::Write;

use lenet_data::{Picture, Polarity};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("a write to it");
    let _ = Picture::open(file.path(), [28, 28], Polarity::default());
});
