//! The data set in burn's own loaders.

#![cfg(feature = "dataset")]

use std::sync::Arc;

use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::Dataset;
use lenet_data::{Batch, ImageBatcher};

use crate::images::numbered;

#[test]
fn burns_loader_gives_every_image() {
    let loader: Arc<dyn DataLoader<Batch>> = DataLoaderBuilder::new(ImageBatcher)
        .batch_size(8)
        .build(numbered(20));
    let sizes: Vec<usize> = loader.iter().map(|batch| batch.unwrap().len()).collect();
    assert_eq!(sizes, [8, 8, 4]);
    let error = numbered(20).get(20).unwrap_err().to_string();
    assert_eq!(error, "index 20 is beyond the 20 images of the data set");
}
