//! Generated images of garments and digits that need no files and no network.
//!
//! They have the form of Fashion-MNIST and MNIST (28×28 grey pixels, the same ten classes in the
//! same order), for tests and for a first run on an isolated machine. They are **not** those data
//! sets: accuracy on synthetic images says nothing about accuracy on real ones. For every data set
//! made here, [`is_synthetic`](crate::ImageDataset::is_synthetic) returns `true`.
//!
//! Image `i` depends only on the seed and on `i`, not on the number of images or threads.

mod canvas;
mod digits;
mod garments;
mod unfamiliar;

use std::thread;

use crate::random::Stream;
use crate::{ImageDataset, KnownDataset, Splits};
use canvas::{Canvas, Pen, SIZE};

/// `count` synthetic garments, cycling through the ten classes of Fashion-MNIST.
///
/// ```
/// let garments = lenet_data::synthetic::garments(20, 0);
/// assert!(garments.is_synthetic());
/// assert_eq!(garments.image_size(), [28, 28]);
/// assert_eq!(garments.labels()[..12], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
/// ```
pub fn garments(count: usize, seed: u64) -> ImageDataset {
    let classes = KnownDataset::FashionMnist.class_names();
    generate("synthetic garments", &classes, garments::draw, count, seed)
}

/// `count` synthetic digits, cycling through the ten classes of MNIST.
///
/// ```
/// let digits = lenet_data::synthetic::digits(20, 0);
/// assert_eq!(digits.class_names()[3], "3");
/// ```
pub fn digits(count: usize, seed: u64) -> ImageDataset {
    let classes = KnownDataset::Mnist.class_names();
    generate("synthetic digits", &classes, digits::draw, count, seed)
}

/// `count` images unlike anything a network trained on garments has seen.
///
/// The five classes take turns: cats, cars, digits, uniform noise (all grey values equally likely)
/// and normal noise (mean 0.5, standard deviation 0.25, clamped to black and white).
///
/// ```
/// let unfamiliar = lenet_data::synthetic::unfamiliar(10, 0);
/// assert_eq!(unfamiliar.class_names()[..2], ["cat", "car"]);
/// assert!(unfamiliar.is_synthetic());
/// ```
pub fn unfamiliar(count: usize, seed: u64) -> ImageDataset {
    let classes = unfamiliar::CLASSES;
    generate("unfamiliar", &classes, unfamiliar::draw, count, seed)
}

/// Different synthetic garments to train on and to test with.
///
/// ```
/// let splits = lenet_data::synthetic::garment_splits(100, 50);
/// assert_eq!((splits.train.len(), splits.test.len()), (100, 50));
/// ```
pub fn garment_splits(train: usize, test: usize) -> Splits {
    Splits {
        train: garments(train, TRAIN_SEED),
        test: garments(test, TEST_SEED),
    }
}

/// Different synthetic digits to train on and to test with.
///
/// ```
/// let splits = lenet_data::synthetic::digit_splits(100, 50);
/// assert_eq!((splits.train.len(), splits.test.len()), (100, 50));
/// ```
pub fn digit_splits(train: usize, test: usize) -> Splits {
    Splits {
        train: digits(train, TRAIN_SEED),
        test: digits(test, TEST_SEED),
    }
}

/// The seeds of the splits, so that no test image is a training image.
const TRAIN_SEED: u64 = 1;
const TEST_SEED: u64 = 2;

/// Draws `count` images on all threads.
fn generate(
    name: &str,
    classes: &[&str],
    draw_one: fn(u8, &mut Pen) -> Canvas,
    count: usize,
    seed: u64,
) -> ImageDataset {
    let class_of = |index: usize| (index % classes.len()) as u8;
    let mut images = vec![0; count * SIZE * SIZE];
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let share = count.div_ceil(threads).max(1);
    thread::scope(|scope| {
        for (part, images) in images.chunks_mut(share * SIZE * SIZE).enumerate() {
            scope.spawn(move || {
                for (image, index) in images.chunks_exact_mut(SIZE * SIZE).zip(part * share..) {
                    let rng = Stream::Image(index as u64).rng(seed);
                    draw_one(class_of(index), &mut Pen::new(rng)).to_bytes(image);
                }
            });
        }
    });

    let labels = (0..count).map(class_of).collect();
    let classes = classes.iter().copied();
    match ImageDataset::new(name, images, labels, [SIZE, SIZE], classes) {
        Ok(dataset) => dataset.marked_synthetic(),
        Err(error) => unreachable!("generated images form a data set: {error}"),
    }
}
