//! Files of the published shapes.

#![allow(clippy::unwrap_used, dead_code, reason = "each test uses a part of it")]

use std::io::Write;
use std::sync::LazyLock;

use flate2::{Compression, write::GzEncoder};
use lenet_data::KnownDataset;
use lenet_data::idx::Values;

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Four files of the published shapes that hold nothing but zeros, compressed.
pub(crate) static BLANK: LazyLock<[(&str, Vec<u8>); 4]> = LazyLock::new(|| {
    KnownDataset::Kmnist.files().map(|file| {
        let zeros = Values::U8(vec![0; file.shape.iter().product()]);
        (file.name, gzip(&zeros.to_idx(file.shape).unwrap()))
    })
});

/// An EXIF block that says no more than how the camera was held.
pub(crate) fn exif(orientation: u8) -> Vec<u8> {
    // Byte order and the list's offset; one entry: the tag, a short, one of it, its value; no other list.
    let mut bytes = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    bytes.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    bytes
}
