//! Drawings and pixels in memory as images of the MNIST family.

#![cfg(feature = "pictures")]
use std::path::Path;

use lenet_data::{KnownDataset, Loader, Picture, PictureError};
use proptest::prelude::*;

/// A canvas of `size` whose pixel at row `y` and column `x` is `ink(y, x)`.
fn canvas([height, width]: [usize; 2], ink: impl Fn(usize, usize) -> u8) -> Vec<u8> {
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
    pixels.map(|(y, x)| ink(y, x)).collect()
}

fn draw(grey: &[u8], size: [usize; 2], image_size: [usize; 2]) -> Vec<u8> {
    let picture = Picture::from_drawing(grey, size, image_size).unwrap();
    assert_eq!(picture.image_size(), image_size);
    assert!(!picture.is_inverted());
    picture.pixels().to_vec()
}

/// First and last row, first and last column with ink.
fn bounds(image: &[u8], width: usize) -> [usize; 4] {
    let ink = |at: &usize| image[*at] > 0;
    let rows = || (0..image.len()).filter(ink).map(|at| at / width);
    let columns = || (0..image.len()).filter(ink).map(|at| at % width);
    [
        rows().min().unwrap(),
        rows().max().unwrap(),
        columns().min().unwrap(),
        columns().max().unwrap(),
    ]
}

/// Row and column of the centre of mass, where 0.5 is the centre of the first pixel.
fn mass_centre(image: &[u8], width: usize) -> [f64; 2] {
    let pixels = || image.iter().map(|&pixel| f64::from(pixel)).enumerate();
    let mass: f64 = pixels().map(|(_, pixel)| pixel).sum();
    let mean = |of: &dyn Fn(usize) -> usize| {
        let moment: f64 = pixels()
            .map(|(at, pixel)| pixel * (of(at) as f64 + 0.5))
            .sum();
        moment / mass
    };
    [mean(&|at| at / width), mean(&|at| at % width)]
}

/// Brush strokes between points of a unit square, drawn as a pen of radius `radius` does.
fn strokes(points: &[(f64, f64)], radius: f64, side: usize) -> Vec<u8> {
    let distance = |y: f64, x: f64| {
        let segments = points.windows(2).map(|ends| {
            let [(y0, x0), (y1, x1)] = [ends[0], ends[1]];
            let (dy, dx) = (y1 - y0, x1 - x0);
            let along = ((y - y0) * dy + (x - x0) * dx) / (dy * dy + dx * dx).max(1e-12);
            let along = along.clamp(0.0, 1.0);
            (y - y0 - along * dy).hypot(x - x0 - along * dx)
        });
        segments.fold(f64::INFINITY, f64::min)
    };
    canvas([side, side], |y, x| {
        let [y, x] = [y, x].map(|at| (at as f64 + 0.5) / side as f64);
        let inside = (radius - distance(y, x)) * side as f64;
        (255.0 * (inside + 0.5).clamp(0.0, 1.0)) as u8
    })
}

/// A seven, whose mass is above the middle of its box.
const SEVEN: [(f64, f64); 3] = [(0.3, 0.35), (0.3, 0.6), (0.7, 0.45)];

#[test]
fn the_longer_side_becomes_20_pixels_and_the_mass_centre_the_middle() {
    for side in [28, 100, 280, 777] {
        let image = draw(&strokes(&SEVEN, 0.03, side), [side, side], [28, 28]);
        let [top, bottom, left, right] = bounds(&image, 28);
        assert_eq!(bottom - top + 1, 20, "{side}");
        assert!(right - left + 1 < 18, "{side}");
        for centre in mass_centre(&image, 28) {
            assert!((14.0..15.0).contains(&centre), "{side}: {centre}");
        }
        assert_eq!(image.iter().max(), Some(&255));
    }
}

#[test]
fn the_box_follows_the_size_of_the_image() {
    let seven = strokes(&SEVEN, 0.03, 280);
    for (side, fitted) in [(14, 10), (29, 21), (56, 40), (7, 5)] {
        let image = draw(&seven, [280, 280], [side, side]);
        let [top, bottom, ..] = bounds(&image, side);
        assert_eq!(bottom - top + 1, fitted, "{side}");
    }
    // Twice as wide, so the height decides.
    let image = draw(&seven, [280, 280], [28, 56]);
    let [top, bottom, left, right] = bounds(&image, 56);
    assert_eq!(bottom - top + 1, 20);
    assert!(left > 14 && right < 42);
    assert_eq!(draw(&seven, [280, 280], [1, 1]), [255]);
}

#[test]
fn a_drawing_without_ink_is_black() {
    assert_eq!(draw(&[0; 50 * 40], [50, 40], [28, 28]), [0; 784]);
}

#[test]
fn a_dot_fills_the_box() {
    let dot = canvas([280, 280], |y, x| if (y, x) == (3, 270) { 200 } else { 0 });
    let image = draw(&dot, [280, 280], [28, 28]);
    assert_eq!(bounds(&image, 28), [4, 23, 4, 23]);
    assert_eq!(image.iter().filter(|&&pixel| pixel == 200).count(), 400);
    assert_eq!(draw(&[9], [1, 1], [28, 28])[14 * 28 + 14], 9);
}

#[test]
fn ink_at_the_edges_is_not_lost() {
    let frame = canvas([100, 100], |y, x| {
        let edge = y.min(x).min(99 - y).min(99 - x);
        if edge < 5 { 255 } else { 0 }
    });
    let image = draw(&frame, [100, 100], [28, 28]);
    assert_eq!(bounds(&image, 28), [4, 23, 4, 23]);
    for (y, x) in [(4, 4), (4, 23), (23, 4), (23, 23), (14, 4), (4, 14)] {
        assert_eq!(image[y * 28 + x], 255, "{y}, {x}");
    }
    assert_eq!(image[14 * 28 + 14], 0);
}

#[test]
fn a_heavy_end_does_not_push_ink_out_of_the_image() {
    // A long faint tail: the centre of mass is near its left end.
    let comet = canvas([20, 200], |_, x| if x < 10 { 255 } else { 3 });
    let image = draw(&comet, [20, 200], [28, 28]);
    let [.., left, right] = bounds(&image, 28);
    assert_eq!((left, right), (8, 27));
}

#[test]
fn lines_of_a_single_pixel_stay_visible() {
    type Line = fn(usize, usize) -> bool;
    let lines: [(&str, Line); 3] = [
        ("vertical", |_, x| x == 100),
        ("horizontal", |y, _| y == 20),
        ("diagonal", |y, x| y == x),
    ];
    for (name, line) in lines {
        let grey = canvas([1000, 1000], |y, x| if line(y, x) { 255 } else { 0 });
        let image = draw(&grey, [1000, 1000], [28, 28]);
        let visible = image.iter().filter(|&&pixel| pixel > 200).count();
        assert_eq!(visible, 20, "{name}");
    }
}

#[test]
fn pixels_are_kept_or_scaled_to_fit() {
    let pixels = canvas([28, 28], |y, x| (y * 7 + x) as u8);
    let kept = Picture::from_pixels(&pixels, [28, 28], [28, 28]).unwrap();
    assert_eq!(kept.pixels(), pixels);
    let wide = Picture::from_pixels(&[200; 280 * 140], [140, 280], [28, 28]).unwrap();
    assert_eq!(bounds(wide.pixels(), 28), [7, 20, 0, 27]);
    assert!(!wide.is_inverted());
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    type Make = fn(&[u8], [usize; 2], [usize; 2]) -> Result<Picture, PictureError>;
    for make in [Picture::from_drawing as Make, Picture::from_pixels] {
        for (len, size, expected) in [
            (
                3,
                [2, 2],
                "an image of 2×2 (height × width) has 4 pixels, found 3",
            ),
            (
                5,
                [2, 2],
                "an image of 2×2 (height × width) has 4 pixels, found 5",
            ),
            (
                0,
                [0, 7],
                "from 1 to 16384 pixels per side, found 0×7 (height × width)",
            ),
            (20_000, [1, 20_000], "found 1×20000"),
            (1, [usize::MAX, usize::MAX], "from 1 to 16384"),
        ] {
            let error = make(&vec![0; len], size, [28, 28]).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let error = make(&[0], [1, 1], [28, 0]).unwrap_err();
        assert!(
            matches!(error, PictureError::ImageSize { found: [28, 0] }),
            "{error}"
        );
    }
}

proptest! {
    #[test]
    fn a_drawing_is_the_same_wherever_it_is_and_however_large(
        size in [1_usize..12, 1_usize..12],
        pixels in prop::collection::vec(prop_oneof![Just(0), any::<u8>()], 144),
        offset in [0_usize..30, 0_usize..30],
        factor in 1_usize..6,
        margin in 0_usize..20,
    ) {
        let [height, width] = size;
        let drawing = &pixels[..height * width];
        let expected = draw(drawing, size, [28, 28]);
        let whole = [0, 1].map(|axis| offset[axis] + size[axis] * factor + margin);
        let moved = canvas(whole, |y, x| {
            let (Some(y), Some(x)) = (y.checked_sub(offset[0]), x.checked_sub(offset[1])) else {
                return 0;
            };
            let (y, x) = (y / factor, x / factor);
            if y < height && x < width { drawing[y * width + x] } else { 0 }
        });
        for (found, expected) in draw(&moved, whole, [28, 28]).iter().zip(expected) {
            prop_assert!(found.abs_diff(expected) <= 1, "{found}, not {expected}");
        }
    }

    #[test]
    fn every_drawing_fills_the_box_and_has_its_mass_in_the_middle(
        points in prop::collection::vec((0.1..0.9, 0.1..0.9), 2..6),
        radius in 0.01..0.1,
        side in 30_usize..200,
    ) {
        let image = draw(&strokes(&points, radius, side), [side, side], [28, 28]);
        let [top, bottom, left, right] = bounds(&image, 28);
        // Faint outermost pixels may be rounded to black.
        prop_assert!((18..=20).contains(&(bottom - top + 1).max(right - left + 1)));
        for (centre, [first, last]) in mass_centre(&image, 28).into_iter().zip([[top, bottom], [left, right]]) {
            let is_centred = (13.95..15.05).contains(&centre);
            prop_assert!(is_centred || first == 0 || last == 27, "{centre}");
        }
    }
}

/// If the real files are available. The other three are 19 pixels high or wide.
#[test]
fn the_digits_of_mnist_stay_as_they_are() {
    let Some(directory) = std::env::var_os("LENET_DATA_DIR") else {
        println!("skipped: LENET_DATA_DIR is not set");
        return;
    };
    let loader = Loader::new(KnownDataset::Mnist).with_directory(Path::new(&directory));
    let test = loader.load().unwrap().test;
    let images = test.images().chunks_exact(784);
    let same = images.filter(|image| draw(image, [28, 28], [28, 28]) == *image);
    assert_eq!(same.count(), 9_997);
}
