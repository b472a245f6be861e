//! Files of the published shapes.

#![allow(clippy::unwrap_used, dead_code, reason = "each test uses a part of it")]

use std::io::Write;
use std::sync::LazyLock;

use flate2::{Compression, write::GzEncoder};
use lenet_data::idx::Values;
use lenet_data::{KnownDataset, KnownFile};
use md5::{Digest, Md5};

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

/// A file of Fashion-MNIST as published (MIT, Zalando SE), small enough to lie here: labels to test with.
pub(crate) const FASHION_MNIST_LABELS: &[u8] =
    include_bytes!("../fixtures/fashion-mnist-t10k-labels-idx1-ubyte.gz");

/// What a loader is to expect if KMNIST's blank files are to pass for compressed again.
pub(crate) fn compressed_again(dataset: KnownDataset) -> [KnownFile; 4] {
    dataset.files().map(|mut file| {
        file.gzip_md5 = None;
        file
    })
}

/// What a loader is to expect if KMNIST's blank files are to pass for the published ones.
pub(crate) fn published_blank() -> [KnownFile; 4] {
    let mut files = KnownDataset::Kmnist.files();
    for (file, (_, bytes)) in files.iter_mut().zip(&*BLANK) {
        let digest = Md5::digest(bytes);
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        file.gzip_md5 = Some(digest.leak());
    }
    files
}

/// An EXIF block that says no more than how the camera was held.
pub(crate) fn exif(orientation: u8) -> Vec<u8> {
    // Byte order and the list's offset; one entry: the tag, a short, one of it, its value; no other list.
    let mut bytes = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    bytes.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    bytes
}
