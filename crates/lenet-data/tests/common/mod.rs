//! Files of the published shapes, and rendering errors.

#![allow(clippy::unwrap_used, dead_code, reason = "each test uses a part of it")]

use std::io::Write;
use std::sync::LazyLock;

use flate2::{Compression, write::GzEncoder};
use lenet_data::idx::Values;
use lenet_data::{KnownDataset, KnownFile, PublishedDigest};
use md5::{Digest, Md5};

/// An error and its sources, as `{error:#}` of anyhow renders them.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |&source| source.source());
    sources.fold(error.to_string(), |text, source| {
        format!("{text}: {source}")
    })
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Four compressed files of the published shapes, all zeros.
pub(crate) static BLANK: LazyLock<[(&str, Vec<u8>); 4]> = LazyLock::new(|| {
    KnownDataset::Kmnist.files().map(|file| {
        let zeros = Values::U8(vec![0; file.shape.iter().product()]);
        (file.name, gzip(&zeros.to_idx(file.shape).unwrap()))
    })
});

/// A published file of Fashion-MNIST (MIT, Zalando SE), small enough for the repository: the test labels.
pub(crate) const FASHION_MNIST_LABELS: &[u8] =
    include_bytes!("../fixtures/fashion-mnist-t10k-labels-idx1-ubyte.gz");

/// The files to expect so that KMNIST's blank files pass as compressed again.
pub(crate) fn compressed_again(dataset: KnownDataset) -> [KnownFile; 4] {
    dataset.files().map(|mut file| {
        file.digest
            .take_if(|digest| matches!(digest, PublishedDigest::GzipMd5(_)));
        file
    })
}

/// The files to expect so that KMNIST's blank files pass as the published ones.
pub(crate) fn published_blank() -> [KnownFile; 4] {
    let mut files = KnownDataset::Kmnist.files();
    for (file, (_, bytes)) in files.iter_mut().zip(&*BLANK) {
        let digest = Md5::digest(bytes);
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        file.digest = Some(PublishedDigest::GzipMd5(digest.leak()));
    }
    files
}

/// An EXIF block with an orientation and nothing else.
pub(crate) fn exif(orientation: u8) -> Vec<u8> {
    // Byte order and offset of the list; its one entry (tag, type short, count 1, value); no further list.
    let mut bytes = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    bytes.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    bytes
}
