//! Data sets in memory, their batches, and the drawings.

use std::collections::HashSet;
use std::path::Path;

use burn::tensor::Device;
use lenet_data::idx::Values;
use lenet_data::{DataError, ImageDataset, Order, synthetic};
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
        "label 2 of image 0 is beyond the 2 classes (0 to 1)"
    );
    assert_eq!(new(0, vec![0], [0, 3]), "images of 0×3 pixels hold nothing");
}

#[test]
fn idx_files_of_another_kind_are_refused_with_their_name() {
    let images = || Values::U8(vec![0; 12]).to_idx(&[2, 2, 3]).unwrap();
    let load = |images: Vec<u8>, labels: Vec<u8>| {
        let (images, labels) = ((Path::new("i"), images), (Path::new("l"), labels));
        ImageDataset::from_idx("x", images, labels, ["a", "b"])
    };
    let labels = |values: Values, shape: &[usize]| values.to_idx(shape).unwrap();

    assert_eq!(
        load(images(), labels(Values::U8(vec![0, 1]), &[2]))
            .unwrap()
            .len(),
        2
    );
    let error = |images, labels| load(images, labels).unwrap_err().to_string();
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
fn no_batches_of_nothing() {
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

/// Image `i` is the same however many are drawn; another seed draws others.
#[test]
fn drawings_depend_on_seed_and_index_alone() {
    for draw in [synthetic::garments, synthetic::digits] {
        let (few, many) = (draw(15, 0), draw(60, 0));
        assert!(few.is_synthetic() && few.name().starts_with("synthetic"));
        assert_eq!(few.images(), &many.images()[..few.images().len()]);
        assert_ne!(draw(15, 1).images(), few.images());
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
            "{ink} of {} pixels are drawn on",
            60 * 784
        );
    }
    assert!(synthetic::garments(0, 0).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// One pass gives every image once, with its own label, in batches of the size asked for.
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
