//! Any bytes as a picture file.

#![no_main]

use std::io::Write;

use lenet_data::{Picture, Polarity};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("room for it");
    let _ = Picture::open(file.path(), [28, 28], Polarity::default());
});
