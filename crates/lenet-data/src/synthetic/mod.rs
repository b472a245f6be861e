//! Drawings of garments and digits that need no file and no network.
//!
//! They have the form of Fashion-MNIST and MNIST (28×28 grey pixels, the same ten classes in the
//! same order) and serve tests and a first run on an isolated machine. They are **not** those data
//! sets: an accuracy reached on them says nothing about the real ones. Every data set made here
//! answers [`is_synthetic`](crate::ImageDataset::is_synthetic) with `true`.
//!
//! Image `i` of a seed is the same however many are drawn and on however many threads.

mod canvas;
mod digits;
mod garments;
mod unfamiliar;

use std::thread;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::{ImageDataset, KnownDataset, Splits};
pub(crate) use canvas::SIZE;
use canvas::{Canvas, Pen};

/// Streams below belong to initial weights and to shuffling.
const IMAGE_STREAMS: u64 = 2 << 32;

/// `count` drawings of the ten garment classes of Fashion-MNIST, in equal parts.
///
/// ```
/// let garments = lenet_data::synthetic::garments(20, 0);
/// assert!(garments.is_synthetic());
/// assert_eq!(garments.image_size(), [28, 28]);
/// assert_eq!(garments.labels()[..12], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
/// ```
pub fn garments(count: usize, seed: u64) -> ImageDataset {
    let classes = KnownDataset::FashionMnist.class_names();
    draw("synthetic garments", &classes, garments::draw, count, seed)
}

/// `count` drawings of the ten digits, in equal parts.
///
/// ```
/// let digits = lenet_data::synthetic::digits(20, 0);
/// assert_eq!(digits.class_names()[3], "3");
/// ```
pub fn digits(count: usize, seed: u64) -> ImageDataset {
    let classes = KnownDataset::Mnist.class_names();
    draw("synthetic digits", &classes, digits::draw, count, seed)
}

/// `count` images of what a network trained on garments never saw, in equal parts: cats, cars,
/// digits, uniform noise (every grey as likely) and normal noise (mean 0.5, standard deviation
/// 0.25, cut at black and white).
///
/// ```
/// let unfamiliar = lenet_data::synthetic::unfamiliar(10, 0);
/// assert_eq!(unfamiliar.class_names()[..2], ["cat", "car"]);
/// assert!(unfamiliar.is_synthetic());
/// ```
pub fn unfamiliar(count: usize, seed: u64) -> ImageDataset {
    draw(
        "unfamiliar",
        &unfamiliar::CLASSES,
        unfamiliar::draw,
        count,
        seed,
    )
}

/// Garments to train on and others to test with.
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

/// Digits to train on and others to test with.
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

const TRAIN_SEED: u64 = 1;
const TEST_SEED: u64 = 2;

fn draw(
    name: &str,
    classes: &[&str],
    draw_one: fn(u8, &mut Pen) -> Canvas,
    count: usize,
    seed: u64,
) -> ImageDataset {
    let labels: Vec<u8> = (0_u8..=u8::MAX)
        .take(classes.len())
        .cycle()
        .take(count)
        .collect();
    let mut images = vec![0; count * SIZE * SIZE];

    let threads = thread::available_parallelism().map_or(1, usize::from);
    let share = count.div_ceil(threads).max(1);
    thread::scope(|scope| {
        let parts = images
            .chunks_mut(share * SIZE * SIZE)
            .zip(labels.chunks(share))
            .enumerate();
        for (part, (images, labels)) in parts {
            scope.spawn(move || {
                let images = images.chunks_exact_mut(SIZE * SIZE).zip(labels).enumerate();
                for (i, (image, &label)) in images {
                    let mut rng = ChaCha8Rng::seed_from_u64(seed);
                    rng.set_stream(IMAGE_STREAMS.wrapping_add((part * share + i) as u64));
                    draw_one(label, &mut Pen::new(rng)).to_bytes(image);
                }
            });
        }
    });

    ImageDataset::drawings(name, images, labels, classes)
}
