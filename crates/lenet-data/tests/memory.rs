//! Files that promise more than they hold take no memory for it.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::gzip;
use lenet_data::idx::{self, Idx};

/// Largest resident memory of this process so far, in KiB.
fn peak() -> usize {
    status("VmHWM:")
}

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

/// One test, as the peak is the whole process's.
#[test]
fn memory_is_taken_for_what_is_there() {
    promises_take_no_memory();
    #[cfg(feature = "pictures")]
    a_picture_is_held_once();
}

fn promises_take_no_memory() {
    let before = peak();
    let mut file = header(&[u32::MAX, 28, 28]);
    file.resize(1024, 0);
    assert!(Idx::parse(&file).is_err());
    assert!(idx::decode(&gzip(&file), idx::MAX_DECOMPRESSED).is_err());
    assert!(idx::decode(&gzip(&header(&[u32::MAX; 255])), usize::MAX).is_err());
    let promised = peak() - before;

    // A mebibyte that inflates to a gibibyte, as far as deflate can go, under a header of a tebibyte and
    // under one that is within the limit.
    let zeros = gzip(&vec![0; 1 << 24]);
    let before = peak();
    for (dimensions, limit) in [
        (&[1 << 20, 1 << 20], idx::MAX_DECOMPRESSED),
        (&[1 << 20, 16], idx::MAX_DECOMPRESSED),
    ] {
        let mut bomb = gzip(&header(dimensions));
        bomb.extend(zeros.repeat(64));
        assert!(idx::decode(&bomb, limit).is_err());
    }
    let inflated = peak() - before;
    println!("4 billion images in 1 KiB: {promised} KiB; inflating bombs: {inflated} KiB");
    assert!(promised < 8 << 10, "{promised} KiB");
    assert!(inflated < 64 << 10, "{inflated} KiB");
}

/// To be turned by a quarter, which would hold it twice if it was not grey by then.
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

    let before = status("VmRSS:");
    Picture::from_bytes(&file, [28, 28], Polarity::Auto).unwrap();
    let taken = (peak() - before) << 10;
    println!("a picture of {decoded} bytes: {taken} bytes");
    // The picture, and half of it again as grey with transparency.
    assert!(taken < decoded / 4 * 7, "{taken} bytes");
}
