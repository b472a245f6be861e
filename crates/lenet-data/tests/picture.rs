//! Picture files as images of the MNIST family.

#![cfg(feature = "pictures")]
use std::path::PathBuf;

use burn::tensor::Device;
use image::codecs::png::PngEncoder;
use image::metadata::Orientation;
use image::{
    DynamicImage, ExtendedColorType, GrayImage, ImageEncoder, Luma, Rgb, RgbImage, Rgba, RgbaImage,
};
use lenet_data::{Picture, PictureError, Polarity};
use tempfile::TempDir;

use crate::common::{chain, exif};

fn path(folder: &TempDir, name: &str) -> PathBuf {
    folder.path().join(name)
}

fn at(picture: &Picture, row: usize, column: usize) -> u8 {
    picture.pixels()[row * 28 + column]
}

#[test]
fn a_picture_of_the_right_size_keeps_its_pixels() {
    let folder = TempDir::new().unwrap();
    let path = path(&folder, "a.png");
    let image = GrayImage::from_fn(28, 28, |x, y| Luma([(x * 5 + y * 3) as u8]));
    image.save(&path).unwrap();
    let picture = Picture::open(&path, [28, 28], Polarity::LightOnDark).unwrap();
    assert_eq!(picture.pixels(), image.as_raw());
    assert!(!picture.is_inverted());
    let inverted = Picture::open(&path, [28, 28], Polarity::DarkOnLight).unwrap();
    assert!(
        inverted
            .pixels()
            .iter()
            .zip(image.as_raw())
            .all(|(a, b)| *a == 255 - b)
    );
}

#[test]
fn dark_on_light_is_detected_by_the_border() {
    let folder = TempDir::new().unwrap();
    let path = path(&folder, "a.png");
    for (inside, border, inverted) in [(0, 255, true), (255, 0, false), (200, 140, true)] {
        GrayImage::from_fn(28, 28, |x, y| {
            let middle = (8..20).contains(&x) && (8..20).contains(&y);
            Luma([if middle { inside } else { border }])
        })
        .save(&path)
        .unwrap();
        let picture = Picture::open(&path, [28, 28], Polarity::Auto).unwrap();
        assert_eq!(picture.is_inverted(), inverted);
    }
}

#[test]
fn a_wide_picture_is_centred_on_black() {
    let folder = TempDir::new().unwrap();
    let path = path(&folder, "a.png");
    GrayImage::from_pixel(280, 140, Luma([200]))
        .save(&path)
        .unwrap();
    let picture = Picture::open(&path, [28, 28], Polarity::LightOnDark).unwrap();
    for (row, expected) in [(0, 0), (6, 0), (7, 200), (20, 200), (21, 0), (27, 0)] {
        assert_eq!(at(&picture, row, 14), expected, "row {row}");
    }
    GrayImage::from_pixel(1, 1000, Luma([90]))
        .save(&path)
        .unwrap();
    let thin = Picture::open(&path, [28, 28], Polarity::LightOnDark).unwrap();
    assert_eq!(
        thin.pixels().iter().filter(|&&pixel| pixel == 90).count(),
        28
    );
}

#[test]
fn shrinking_takes_the_mean_of_the_area() {
    let folder = TempDir::new().unwrap();
    let path = path(&folder, "a.png");
    GrayImage::from_fn(560, 560, |x, y| {
        Luma([if (x + y) % 2 == 0 { 0 } else { 200 }])
    })
    .save(&path)
    .unwrap();
    let picture = Picture::open(&path, [28, 28], Polarity::LightOnDark).unwrap();
    assert!(
        picture
            .pixels()
            .iter()
            .all(|pixel| (98..=102).contains(pixel))
    );
}

#[test]
fn colours_are_weighted_and_transparency_lies_on_white() {
    let folder = TempDir::new().unwrap();
    let path = path(&folder, "a.png");
    for (colour, expected) in [([255, 0, 0], 54), ([0, 255, 0], 182), ([0, 0, 255], 18)] {
        RgbImage::from_pixel(28, 28, Rgb(colour))
            .save(&path)
            .unwrap();
        let picture = Picture::open(&path, [28, 28], Polarity::LightOnDark).unwrap();
        assert!(at(&picture, 3, 3).abs_diff(expected) <= 1, "{colour:?}");
    }
    for (alpha, expected) in [(0, 255), (255, 0), (51, 204)] {
        RgbaImage::from_pixel(28, 28, Rgba([0, 0, 0, alpha]))
            .save(&path)
            .unwrap();
        let picture = Picture::open(&path, [28, 28], Polarity::LightOnDark).unwrap();
        assert_eq!(at(&picture, 3, 3), expected);
    }
}

#[test]
fn every_format_is_recognised_by_content() {
    let folder = TempDir::new().unwrap();
    let image = RgbImage::from_pixel(28, 28, Rgb([120, 120, 120]));
    for ending in ["png", "jpg", "gif", "bmp", "webp", "ppm"] {
        let named = path(&folder, &format!("picture.{ending}"));
        image.save(&named).unwrap();
        let nameless = path(&folder, "picture");
        std::fs::rename(&named, &nameless).unwrap();
        let picture = Picture::open(&nameless, [28, 28], Polarity::LightOnDark).unwrap();
        assert!(at(&picture, 14, 14).abs_diff(120) <= 2, "{ending}");
    }
}

#[test]
fn a_file_that_is_not_a_picture_is_an_error() {
    let folder = TempDir::new().unwrap();
    let good = path(&folder, "good.png");
    GrayImage::new(64, 64).save(&good).unwrap();
    let whole = std::fs::read(&good).unwrap();
    let bad = path(&folder, "bad.png");
    for content in [&b""[..], b"text", &whole[..20], &whole[..whole.len() / 2]] {
        std::fs::write(&bad, content).unwrap();
        let error = Picture::open(&bad, [28, 28], Polarity::Auto).unwrap_err();
        assert!(matches!(error, PictureError::Decode { .. }), "{error}");
        assert!(error.to_string().contains("bad.png"));
    }
    for place in [path(&folder, "none.png"), folder.path().to_owned()] {
        let error = Picture::open(place, [28, 28], Polarity::Auto).unwrap_err();
        assert!(matches!(error, PictureError::File(_)), "{error}");
    }
}

#[test]
fn a_huge_file_and_a_huge_picture_are_refused() {
    let folder = TempDir::new().unwrap();
    let huge = path(&folder, "huge.png");
    std::fs::File::create(&huge)
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    let error = Picture::open(&huge, [28, 28], Polarity::Auto).unwrap_err();
    let text = chain(&error);
    assert!(matches!(error, PictureError::File(_)), "{text}");
    assert!(
        text.ends_with("huge.png: larger than 67108864 bytes"),
        "{text}"
    );

    // A header of 20 bytes that promises 10 gigapixels.
    std::fs::write(&huge, "P5\n100000 100000\n255\n").unwrap();
    let error = Picture::open(&huge, [28, 28], Polarity::Auto).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("has 100000×100000 pixels"), "{text}");
}

/// A header that promises a picture, without the picture.
fn pam(width: u32, height: u32, depth: u8, max: u16, kind: &str) -> Vec<u8> {
    let size = format!("WIDTH {width}\nHEIGHT {height}\nDEPTH {depth}\nMAXVAL {max}");
    format!("P7\n{size}\nTUPLTYPE {kind}\nENDHDR\n").into_bytes()
}

/// A JPEG whose header claims a larger size.
fn jpeg(width: u16, height: u16) -> Vec<u8> {
    let folder = TempDir::new().unwrap();
    let path = path(&folder, "small.jpg");
    RgbImage::new(8, 8).save(&path).unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    let start_of_frame = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]);
    let size = &mut bytes[start_of_frame.unwrap() + 5..][..4];
    size[..2].copy_from_slice(&height.to_be_bytes());
    size[2..].copy_from_slice(&width.to_be_bytes());
    bytes
}

#[test]
fn a_picture_that_needs_too_much_memory_is_refused_before_it_is_decoded() {
    for (bytes, expected) in [
        // 8 bytes per pixel, and 2 for grey and alpha.
        (
            pam(10_000, 10_000, 4, 65_535, "RGB_ALPHA"),
            1_000_000_000_u64,
        ),
        // 3 bytes per pixel, and three times that for the decoder's buffers.
        (jpeg(10_000, 9_000), 1_080_000_000),
    ] {
        let error = Picture::from_bytes(&bytes, [28, 28], Polarity::Auto).unwrap_err();
        let text = error.to_string();
        let PictureError::Memory { found, allowed, .. } = error else {
            panic!("{text}")
        };
        assert_eq!((found, allowed), (expected, 640_000_000));
        assert!(text.contains(&found.to_string()) && text.contains(&allowed.to_string()));
    }
    // Within the limit, but truncated.
    for bytes in [
        pam(10_000, 10_000, 4, 255, "RGB_ALPHA"),
        pam(8_000, 8_000, 4, 65_535, "RGB_ALPHA"),
    ] {
        let error = Picture::from_bytes(&bytes, [28, 28], Polarity::Auto).unwrap_err();
        assert!(matches!(error, PictureError::Decode { .. }), "{error}");
    }
}

#[test]
fn a_picture_is_turned_as_its_camera_was_held() {
    let upright = RgbaImage::from_fn(28, 28, |x, y| {
        Rgba([(x * 9) as u8, (y * 9) as u8, 100, 255 - (x + y) as u8])
    });
    for note in 1..=8 {
        let mut bytes = Vec::new();
        let mut encoder = PngEncoder::new(&mut bytes);
        encoder.set_exif_metadata(exif(note)).unwrap();
        let (width, height) = upright.dimensions();
        encoder
            .write_image(&upright, width, height, ExtendedColorType::Rgba8)
            .unwrap();
        let turned = Picture::from_bytes(&bytes, [28, 28], Polarity::LightOnDark).unwrap();

        let mut expected = DynamicImage::ImageRgba8(upright.clone());
        expected.apply_orientation(Orientation::from_exif(note).unwrap());
        let folder = TempDir::new().unwrap();
        let path = path(&folder, "expected.png");
        expected.save(&path).unwrap();
        let expected = Picture::open(&path, [28, 28], Polarity::LightOnDark).unwrap();
        assert_eq!(turned, expected, "EXIF orientation {note}");
    }
}

#[test]
fn pictures_become_tensors_from_0_to_1() {
    let picture = |size, grey| {
        let mut file = std::io::Cursor::new(Vec::new());
        let image = GrayImage::from_pixel(8, 8, Luma([grey]));
        image.write_to(&mut file, image::ImageFormat::Png).unwrap();
        Picture::from_bytes(file.get_ref(), size, Polarity::LightOnDark).unwrap()
    };
    let device = Device::flex();
    let (black, grey) = (picture([2, 3], 0), picture([2, 3], 51));
    assert_eq!(grey.image_size(), [2, 3]);
    let stacked = Picture::stack([&black, &grey], &device).unwrap();
    assert_eq!(stacked.dims(), [2, 1, 2, 3]);
    let values = stacked.into_data().try_to_vec::<f32>().unwrap();
    let one = grey.to_tensor(&device);
    assert_eq!(one.dims(), [1, 1, 2, 3]);
    assert_eq!(values[6..], one.into_data().try_to_vec::<f32>().unwrap());
    assert_eq!((values[1], values[7]), (0.0, 0.2));

    let error = Picture::stack([&grey, &picture([4, 4], 0)], &device).unwrap_err();
    assert!(
        matches!(error, PictureError::SizeMismatch { found: [4, 4], .. }),
        "{error}"
    );
    let error = Picture::stack([], &device).unwrap_err();
    assert!(matches!(error, PictureError::Empty), "{error}");
}

#[test]
fn an_unknown_polarity_is_refused_by_name() {
    let error = "grey".parse::<Polarity>().unwrap_err().to_string();
    assert_eq!(
        error,
        "unknown polarity 'grey': expected auto, light-on-dark or dark-on-light"
    );
}
