//! Data sets in memory, their batches, and synthetic images.

use std::collections::HashSet;

use burn::tensor::Device;
use lenet_data::idx::Values;
use lenet_data::{DataError, IdxFile, ImageDataset, Order, synthetic};

use crate::common::{chain, gzip};
use proptest::prelude::*;

/// `count` images of 2×3 pixels, each filled with its own index.
pub(crate) fn numbered(count: usize) -> ImageDataset {
    let pixels = (0..count).flat_map(|i| [i as u8; 6]).collect();
    let labels = (0..count).map(|i| (i % 3) as u8).collect();
    ImageDataset::new("numbered", pixels, labels, [2, 3], ["a", "b", "c"]).unwrap()
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let new = |pixels: usize, labels: Vec<u8>, size| {
        ImageDataset::new("x", vec![0; pixels], labels, size, ["a", "b"])
            .unwrap_err()
            .to_string()
    };
    assert_eq!(new(12, vec![0], [2, 3]), "2 images but 1 labels");
    assert_eq!(new(7, vec![0], [2, 3]), "1 images but 1 labels");
    assert_eq!(
        new(6, vec![2], [2, 3]),
        "image 0 has label 2, but labels must be less than 2, the number of classes"
    );
    assert_eq!(
        new(0, vec![0], [0, 3]),
        "images must have at least one pixel, got 0×3"
    );
}

#[test]
fn idx_files_of_another_kind_are_refused_with_their_name() {
    let images = || Values::U8(vec![0; 12]).to_idx(&[2, 2, 3]).unwrap();
    let load = |images: Vec<u8>, labels: Vec<u8>| {
        let images = IdxFile::from_bytes("i", images)?;
        let labels = IdxFile::from_bytes("l", labels)?;
        ImageDataset::from_idx("x", images, labels, ["a", "b"])
    };
    let labels = |values: Values, shape: &[usize]| values.to_idx(shape).unwrap();

    assert_eq!(
        load(images(), labels(Values::U8(vec![0, 1]), &[2]))
            .unwrap()
            .len(),
        2
    );
    let error = |images, labels| chain(&load(images, labels).unwrap_err());
    assert_eq!(
        error(images(), images()),
        "l: expected rank 1 of u8 (labels), found rank 3 of u8"
    );
    assert_eq!(
        error(images(), labels(Values::I32(vec![0, 1]), &[2])),
        "l: expected rank 1 of u8 (labels), found rank 1 of i32"
    );
    assert_eq!(
        error(
            labels(Values::U8(vec![0; 12]), &[2, 6]),
            labels(Values::U8(vec![0, 1]), &[2])
        ),
        "i: expected rank 3 of u8 (images), found rank 2 of u8"
    );
    assert_eq!(
        error(images(), labels(Values::U8(vec![0]), &[1])),
        "2 images but 1 labels"
    );
    assert!(error(images()[..20].to_vec(), images()).starts_with("i: truncated"));

    let compressed = load(gzip(&images()), labels(Values::U8(vec![0, 1]), &[2]));
    assert_eq!(compressed.unwrap().images(), [0; 12]);
    let missing = IdxFile::open("no such file").unwrap_err();
    assert!(matches!(missing, DataError::File(_)), "{missing:?}");
    assert_eq!(missing.to_string(), "no such file");
    assert!(chain(&missing).starts_with("no such file: "));
}

#[test]
fn clones_and_prefixes_share_the_pixels() {
    let dataset = numbered(10);
    let (clone, prefix) = (dataset.clone(), dataset.take(4));
    assert_eq!(clone, dataset);
    assert_eq!(clone.images().as_ptr(), dataset.images().as_ptr());
    assert_eq!(prefix, numbered(4));
    assert_eq!(prefix.images().as_ptr(), dataset.images().as_ptr());
    assert_eq!(prefix.take(99), prefix);
    assert_ne!(prefix.digest(), dataset.digest());
    assert_eq!(prefix.digest(), numbered(4).digest());
}

#[test]
fn a_class_is_selected_by_name() {
    let dataset = numbered(8);
    let b = dataset.of_class("b").unwrap();
    assert_eq!(b, dataset.select(&[1, 4, 7]));
    assert_eq!(b.class_names(), dataset.class_names());
    assert_eq!(dataset.of_class("d"), None);
    assert!(numbered(1).of_class("c").unwrap().is_empty());
}

/// A batch that is silently smaller than requested would be worse.
#[test]
fn an_index_out_of_bounds_panics() {
    let dataset = numbered(3);
    assert_eq!(dataset.image(3), None);
    let select = std::panic::catch_unwind(|| dataset.select(&[0, 3])).unwrap_err();
    let batch = std::panic::catch_unwind(|| dataset.batch(&[3], &Device::flex())).unwrap_err();
    for panic in [select, batch] {
        let message = panic.downcast_ref::<String>().unwrap();
        assert_eq!(
            message,
            "index 3 is out of bounds: the data set has 3 images"
        );
    }
}

#[test]
fn pixels_become_numbers_from_0_to_1() {
    let pixels = vec![0, 51, 255];
    let dataset = ImageDataset::new("x", pixels, vec![1], [1, 3], ["a", "b"]).unwrap();
    let batch = dataset.batch(&[0], &Device::flex());
    assert_eq!(batch.images.dims(), [1, 1, 1, 3]);
    assert_eq!(
        batch.images.into_data().try_to_vec::<f32>().unwrap(),
        [0.0, 0.2, 1.0]
    );
    assert_eq!(
        batch
            .labels
            .into_data_as::<i32>()
            .try_to_vec::<i32>()
            .unwrap(),
        [1]
    );
}

#[test]
fn a_validation_split_takes_each_image_once() {
    let (train, validation) = numbered(30).split_validation(10, 0);
    assert_eq!((train.len(), validation.len()), (20, 10));
    let seen: HashSet<u8> = [train.images(), validation.images()]
        .concat()
        .into_iter()
        .collect();
    assert_eq!(seen.len(), 30);
    let (_, other) = numbered(30).split_validation(10, 1);
    assert_ne!(validation, other);
    let (none, all) = numbered(3).split_validation(99, 0);
    assert_eq!((none.len(), all.len()), (0, 3));
}

#[test]
fn a_batch_size_of_zero_is_refused_and_an_empty_set_has_no_batches() {
    let device = Device::flex();
    assert!(matches!(
        numbered(3)
            .batches(0, Order::Sequential, &device)
            .map(|batches| batches.len()),
        Err(DataError::BatchSize)
    ));
    assert_eq!(
        numbered(0)
            .batches(4, Order::Sequential, &device)
            .unwrap()
            .count(),
        0
    );
}

/// Image `i` does not depend on the number of images; another seed gives other images.
#[test]
fn synthetic_images_depend_on_seed_and_index_alone() {
    for generate in [synthetic::garments, synthetic::digits] {
        let (few, many) = (generate(15, 0), generate(60, 0));
        assert!(few.is_synthetic() && few.name().starts_with("synthetic"));
        assert_eq!(few.images(), &many.images()[..few.images().len()]);
        assert_ne!(generate(15, 1).images(), few.images());
        let distinct: HashSet<&[u8]> = many.images().chunks(784).collect();
        assert_eq!(distinct.len(), 60);
        for class in 0..10 {
            assert_eq!(
                many.labels()
                    .iter()
                    .filter(|&&label| label == class)
                    .count(),
                6
            );
        }
        let ink = many.images().iter().filter(|&&pixel| pixel > 30).count();
        assert!(
            (3_000..30_000).contains(&ink),
            "{ink} of {} pixels are not black",
            60 * 784
        );
    }
    assert!(synthetic::garments(0, 0).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A pass contains every image once, with its own label, in batches of the requested size.
    #[test]
    fn a_pass_is_complete(count in 0_usize..200, batch_size in 1_usize..70, epoch in 0_u64..5) {
        let dataset = numbered(count);
        let order = Order::Shuffled { seed: 1, epoch };
        let batches = dataset.batches(batch_size, order, &Device::flex()).unwrap();
        prop_assert_eq!(batches.len(), count.div_ceil(batch_size));
        let mut seen = Vec::new();
        for (i, batch) in batches.enumerate() {
            let last = count - i * batch_size;
            prop_assert_eq!(batch.len(), last.min(batch_size));
            let pixels = batch.images.into_data().try_to_vec::<f32>().unwrap();
            let labels = batch.labels.into_data_as::<i32>().try_to_vec::<i32>().unwrap();
            for (image, label) in pixels.chunks(6).zip(labels) {
                let index = (image[0] * 255.0).round() as usize;
                prop_assert_eq!(label as usize, index % 3);
                seen.push(index);
            }
        }
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..count).collect::<Vec<_>>());
    }
}
