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
