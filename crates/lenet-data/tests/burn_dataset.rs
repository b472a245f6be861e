//! Data sets in burn's own loaders.

#![cfg(feature = "dataset")]

use std::sync::Arc;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::Dataset;
use burn::tensor::Device;
use lenet_data::{Batch, ImageBatcher, synthetic};

use crate::images::numbered;

#[test]
fn burns_loader_gives_every_image() {
    let loader: Arc<dyn DataLoader<Batch>> = DataLoaderBuilder::new(ImageBatcher)
        .batch_size(8)
        .build(numbered(20));
    let sizes: Vec<usize> = loader.iter().map(|batch| batch.unwrap().len()).collect();
    assert_eq!(sizes, [8, 8, 4]);
    let error = numbered(20).get(20).unwrap_err().to_string();
    assert_eq!(
        error,
        "index 20 is out of bounds: the data set has 20 images"
    );
}

#[test]
#[should_panic(expected = "image sizes differ in a batch")]
fn images_of_different_sizes_are_not_batched() {
    let items = vec![
        numbered(1).get(0).unwrap(),
        synthetic::digits(1, 0).get(0).unwrap(),
    ];
    let _: Batch = ImageBatcher.batch(items, &Device::flex());
}
