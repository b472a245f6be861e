//! Peak memory: files cost what they hold, once, not what they promise.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::fs::File;
use std::io::Write;

use common::{compressed_again, gzip};
use lenet_data::idx::{Idx, MAX_DECOMPRESSED};
use lenet_data::{KnownDataset, Loader};

/// Bytes by which resident memory rises at most while this runs.
fn peak_of(run: impl FnOnce()) -> usize {
    // Lowers the recorded peak to the present value.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = status("VmRSS:");
    run();
    (status("VmHWM:") - before) << 10
}

/// A value of this process in KiB.
fn status(key: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    line.unwrap()
        .trim()
        .strip_suffix(" kB")
        .unwrap()
        .parse()
        .unwrap()
}

fn header(dimensions: &[u32]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dimensions.len() as u8];
    bytes.extend(
        dimensions
            .iter()
            .flat_map(|dimension| dimension.to_be_bytes()),
    );
    bytes
}

/// One test, because the peak is that of the whole process.
#[test]
fn memory_is_used_for_what_is_there() {
    promises_take_no_memory();
    a_data_set_is_held_once();
    #[cfg(feature = "pictures")]
    a_picture_is_held_once();
}

/// From plain files, which need no decompression: 55 MB of pixels and labels.
fn a_data_set_is_held_once() {
    let dataset = KnownDataset::Kmnist;
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = 0;
    for file in dataset.files() {
        let dimensions: Vec<u32> = file.shape.iter().map(|&size| size as u32).collect();
        let header = header(&dimensions);
        let len = header.len() + file.shape.iter().product::<usize>();
        let mut sparse = File::create(folder.path().join(file.name)).unwrap();
        sparse.write_all(&header).unwrap();
        sparse.set_len(len as u64).unwrap();
        bytes += len;
    }
    let loader = Loader::new(dataset)
        .with_files(compressed_again(dataset))
        .with_directory(folder.path())
        .with_cache_directory(folder.path())
        .with_download(false);

    let taken = peak_of(|| {
        let splits = loader.load().unwrap();
        let clone = splits.clone();
        let part = clone.train.take(50_000);
        assert_eq!((splits.train.len(), part.len()), (60_000, 50_000));
    });
    println!("data set of {bytes} bytes, with a clone and a part of it: {taken} bytes");
    assert!(taken < bytes + (1 << 20), "{taken} bytes for {bytes}");
}

fn promises_take_no_memory() {
    let mut file = header(&[u32::MAX, 28, 28]);
    file.resize(1024, 0);
    let promised = peak_of(|| {
        assert!(Idx::parse(&file).is_err());
        assert!(Idx::decode(gzip(&file), MAX_DECOMPRESSED).is_err());
        assert!(Idx::decode(gzip(&header(&[u32::MAX; 255])), usize::MAX).is_err());
    });
    println!("4 billion images in 1 KiB: {promised} bytes");
    assert!(promised < 2 << 20, "{promised} bytes");

    // 1 MiB that decompresses to 1 GiB, as far as deflate can go: under a header that promises 1 TiB,
    // and under one within the limit.
    let zeros = gzip(&vec![0; 1 << 24]);
    for dimensions in [[1 << 20, 1 << 20], [1 << 20, 16]] {
        let mut bomb = gzip(&header(&dimensions));
        bomb.extend(zeros.repeat(64));
        let decompressed = peak_of(|| assert!(Idx::decode(&bomb, MAX_DECOMPRESSED).is_err()));
        println!("a bomb under {dimensions:?}: {decompressed} bytes");
        assert!(decompressed < 20 << 20, "{decompressed} bytes");
    }
}

/// A picture to turn by 90°, which would need it twice if it was not grey by then.
#[cfg(feature = "pictures")]
fn a_picture_is_held_once() {
    use image::codecs::png::PngEncoder;
    use image::{ExtendedColorType, ImageEncoder};
    use lenet_data::{Picture, Polarity};

    let (width, height) = (6_000, 4_000);
    let decoded = 4 * 6_000 * 4_000;
    let mut file = Vec::new();
    let mut encoder = PngEncoder::new(&mut file);
    encoder.set_exif_metadata(common::exif(6)).unwrap();
    encoder
        .write_image(&vec![0; decoded], width, height, ExtendedColorType::Rgba8)
        .unwrap();

    let taken = peak_of(|| {
        Picture::from_bytes(&file, [28, 28], Polarity::Auto).unwrap();
    });
    println!("a picture of {decoded} bytes: {taken} bytes");
    // The picture, and half of that again as grey with alpha.
    assert!(taken < decoded / 4 * 7, "{taken} bytes");
}
