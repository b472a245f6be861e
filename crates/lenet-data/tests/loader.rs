//! Finding and verifying the known data sets on disk.

use std::path::Path;

use crate::common::{BLANK, FASHION_MNIST_LABELS, chain, compressed_again, published_blank};
use lenet_data::idx::{Idx, MAX_DECOMPRESSED, Values};
use lenet_data::{
    DataError, KnownDataset, KnownFile, Loader, PublishedDigest, Splits, Verification, synthetic,
};
use tempfile::TempDir;

fn put_blank_files(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    for (name, bytes) in &*BLANK {
        std::fs::write(folder.join(format!("{name}.gz")), bytes).unwrap();
    }
}

/// Searches this directory and an empty cache; KMNIST's blank files pass by their shape.
fn load(dataset: KnownDataset, directory: &Path) -> Result<Splits, DataError> {
    load_files(dataset, compressed_again(dataset), directory)
}

fn load_files(
    dataset: KnownDataset,
    files: [KnownFile; 4],
    directory: &Path,
) -> Result<Splits, DataError> {
    let cache = TempDir::new().unwrap();
    Loader::new(dataset)
        .with_files(files)
        .with_directory(directory)
        .with_cache_directory(cache.path())
        .with_download(false)
        .load()
}

#[test]
fn a_missing_data_set_names_every_folder_and_the_ways_to_get_it() {
    let directory = TempDir::new().unwrap();
    let folders = ["kmnist", "KMNIST/raw", ""].map(|folder| directory.path().join(folder));
    std::fs::create_dir_all(&folders[0]).unwrap();
    std::fs::create_dir_all(&folders[1]).unwrap();
    std::fs::write(folders[0].join("t10k-labels-idx1-ubyte"), b"").unwrap();
    std::fs::write(folders[1].join("train-labels-idx1-ubyte.gz"), b"").unwrap();
    let error = load(KnownDataset::Kmnist, directory.path()).unwrap_err();
    let text = error.to_string();
    let DataError::Missing { searched, .. } = error else {
        panic!("{text}")
    };
    for ((place, folder), found) in searched.iter().zip(&folders).zip([1, 1, 0]) {
        assert_eq!(&place.folder, folder);
        assert_eq!((place.found.len(), place.missing.len()), (found, 4 - found));
    }
    for expected in [
        "kmnist was not found",
        "kmnist (the directory given): has t10k-labels-idx1-ubyte; missing train-images-idx3-ubyte, \
         train-labels-idx1-ubyte, t10k-images-idx3-ubyte\n",
        "KMNIST/raw (the directory given): has train-labels-idx1-ubyte.gz; missing \
         train-images-idx3-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte\n",
        "(the directory given): none of its files",
        "datasets/kmnist (the working directory): none",
        "datasets/KMNIST/raw (the working directory): none",
        "(the user's cache)",
        "It was not downloaded: ",
        "--data-dir or LENET_DATA_DIR",
        "http://codh.rois.ac.jp/kmnist/",
    ] {
        assert!(text.contains(expected), "'{expected}' is not in:\n{text}");
    }
}

#[test]
fn files_are_found_in_each_layout() {
    for folder in ["", "kmnist", "KMNIST/raw"] {
        let directory = TempDir::new().unwrap();
        put_blank_files(&directory.path().join(folder));
        let splits = load(KnownDataset::Kmnist, directory.path()).unwrap();
        assert_eq!((splits.train.len(), splits.test.len()), (60_000, 10_000));
        assert_eq!(splits.train.class_names()[9], "wo");
        assert!(!splits.train.is_synthetic());
    }
}

#[test]
fn a_folder_that_lacks_files_hides_no_later_one() {
    let directory = TempDir::new().unwrap();
    for (folder, lacking) in [("kmnist", 3), ("KMNIST/raw", 1)] {
        let folder = directory.path().join(folder);
        put_blank_files(&folder);
        for (name, _) in &BLANK[..lacking] {
            std::fs::remove_file(folder.join(format!("{name}.gz"))).unwrap();
        }
    }
    load(KnownDataset::Kmnist, directory.path()).unwrap_err();
    put_blank_files(directory.path());
    let splits = load(KnownDataset::Kmnist, directory.path()).unwrap();
    assert_eq!(splits.train.len(), 60_000);
}

#[test]
fn a_folder_with_all_files_is_used_even_if_one_is_damaged() {
    let directory = TempDir::new().unwrap();
    put_blank_files(&directory.path().join("kmnist"));
    put_blank_files(&directory.path().join("KMNIST/raw"));
    let path = directory.path().join("kmnist/t10k-labels-idx1-ubyte.gz");
    std::fs::write(&path, b"damaged").unwrap();
    let error = load(KnownDataset::Kmnist, directory.path()).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with(path.to_str().unwrap()), "{text}");
}

#[test]
fn a_plain_file_serves_as_well_as_a_compressed_one() {
    let directory = TempDir::new().unwrap();
    put_blank_files(directory.path());
    let name = "t10k-labels-idx1-ubyte";
    std::fs::remove_file(directory.path().join(format!("{name}.gz"))).unwrap();
    let labels = Values::U8((0..10_000).map(|i| (i % 10) as u8).collect());
    std::fs::write(
        directory.path().join(name),
        labels.to_idx(&[10_000]).unwrap(),
    )
    .unwrap();
    let splits = load(KnownDataset::Kmnist, directory.path()).unwrap();
    assert_eq!(splits.test.labels()[9_999], 9);
}

#[test]
fn a_file_that_cannot_be_trusted_is_an_error_and_stays_where_it_is() {
    let spoil = |name: &str, bytes: &[u8], dataset| {
        let directory = TempDir::new().unwrap();
        put_blank_files(directory.path());
        let path = directory.path().join(format!("{name}.gz"));
        std::fs::write(&path, bytes).unwrap();
        let error = chain(&load(dataset, directory.path()).unwrap_err());
        assert!(
            error.starts_with(path.to_str().unwrap()) || name.is_empty(),
            "{error}"
        );
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        error
    };
    let images = &BLANK[0].1;
    let kmnist = KnownDataset::Kmnist;
    let labels = |values: Vec<u8>| {
        let len = values.len();
        Values::U8(values).to_idx(&[len]).unwrap()
    };

    let name = "train-images-idx3-ubyte";
    assert!(spoil(name, &images[..images.len() / 2], kmnist).contains("damaged gzip"));
    assert!(spoil(name, b"<html>not found</html>", kmnist).contains("not an IDX file"));
    let small = Values::U8(vec![0; 784]).to_idx(&[1, 28, 28]).unwrap();
    assert!(spoil(name, &small, kmnist).contains("expected shape [60000, 28, 28] for kmnist"));
    assert!(spoil(name, &labels(vec![0; 60_000]), kmnist).contains("found [60000]"));
    assert!(spoil(name, images, KnownDataset::Mnist).contains("not the published mnist file"));

    let directory = TempDir::new().unwrap();
    put_blank_files(directory.path());
    let path = directory.path().join("t10k-labels-idx1-ubyte.gz");
    std::fs::write(path, labels(vec![10; 10_000])).unwrap();
    let error = load(kmnist, directory.path()).unwrap_err().to_string();
    assert_eq!(
        error,
        "image 0 has label 10, but labels must be less than 10, the number of classes"
    );
}

#[test]
fn a_compressed_file_must_have_its_published_digest() {
    let directory = TempDir::new().unwrap();
    put_blank_files(directory.path());
    let published = published_blank();
    let Some(PublishedDigest::GzipMd5(digest)) = published[0].digest else {
        panic!("{published:?}")
    };
    let splits = load_files(KnownDataset::Kmnist, published, directory.path()).unwrap();
    assert_eq!(splits.verification(), Some(Verification::Digest));

    let kmnist = KnownDataset::Kmnist;
    let error = load_files(kmnist, kmnist.files(), directory.path()).unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(
            error,
            DataError::Digest {
                expected: PublishedDigest::GzipMd5(_),
                ..
            }
        ),
        "{text}"
    );
    for expected in [
        "train-images-idx3-ubyte.gz: not the published kmnist file",
        "bdb82020997e1d708af4cf47b453dcf7",
        digest,
    ] {
        assert!(text.contains(expected), "'{expected}' is not in:\n{text}");
    }

    // The same pixels, compressed differently.
    let path = directory.path().join("t10k-labels-idx1-ubyte.gz");
    let mut trailing = std::fs::read(&path).unwrap();
    trailing.extend(crate::common::gzip(b""));
    std::fs::write(&path, trailing).unwrap();
    let error = load_files(kmnist, published, directory.path()).unwrap_err();
    assert!(
        matches!(
            error,
            DataError::Digest {
                expected: PublishedDigest::GzipMd5(_),
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn what_only_the_shape_vouches_for_is_reported() {
    let directory = TempDir::new().unwrap();
    put_blank_files(directory.path());
    let kmnist = KnownDataset::Kmnist;
    let (name, bytes) = &BLANK[3];
    let plain = Idx::decode(bytes, MAX_DECOMPRESSED).unwrap();
    std::fs::write(directory.path().join(name), plain.bytes()).unwrap();
    // Both forms exist: the one with a digest is read.
    let splits = load_files(kmnist, published_blank(), directory.path()).unwrap();
    assert_eq!(splits.verification(), Some(Verification::Digest));

    std::fs::remove_file(directory.path().join(format!("{name}.gz"))).unwrap();
    let splits = load_files(kmnist, published_blank(), directory.path()).unwrap();
    assert_eq!(splits.train.verification(), Some(Verification::Digest));
    assert_eq!(splits.test.verification(), Some(Verification::Shape));
    assert_eq!(splits.verification(), Some(Verification::Shape));
    assert_eq!(
        splits.test.select(&[0]).verification(),
        Some(Verification::Shape)
    );
    assert_eq!(synthetic::digit_splits(1, 1).verification(), None);
}

/// In either form, because its digest is of the decompressed bytes.
#[test]
fn a_file_known_to_be_another_data_sets_is_refused_and_named() {
    let name = "t10k-labels-idx1-ubyte";
    let plain = Idx::decode(FASHION_MNIST_LABELS, MAX_DECOMPRESSED).unwrap();
    for (file, bytes) in [
        (format!("{name}.gz"), FASHION_MNIST_LABELS),
        (name.to_owned(), plain.bytes()),
    ] {
        let directory = TempDir::new().unwrap();
        put_blank_files(directory.path());
        std::fs::remove_file(directory.path().join(format!("{name}.gz"))).unwrap();
        let path = directory.path().join(file);
        std::fs::write(&path, bytes).unwrap();
        let error = load(KnownDataset::Kmnist, directory.path()).unwrap_err();
        let text = error.to_string();
        let DataError::Foreign { found_dataset, .. } = error else {
            panic!("{text}")
        };
        assert_eq!(found_dataset, KnownDataset::FashionMnist);
        for expected in [
            path.to_str().unwrap(),
            "expected kmnist's t10k-labels-idx1-ubyte, found fashion-mnist's t10k-labels-idx1-ubyte",
            "--dataset fashion-mnist or KnownDataset::FashionMnist",
            "--data-dir or LENET_DATA_DIR",
        ] {
            assert!(text.contains(expected), "'{expected}' is not in:\n{text}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
}

#[test]
fn a_file_under_another_ones_name_is_recognised() {
    let directory = TempDir::new().unwrap();
    put_blank_files(directory.path());
    let path = directory.path().join("train-images-idx3-ubyte.gz");
    std::fs::write(path, FASHION_MNIST_LABELS).unwrap();
    let error = load(KnownDataset::FashionMnist, directory.path()).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("found fashion-mnist's t10k-labels-idx1-ubyte\nRename the file"),
        "{text}"
    );
}

/// If the real files are available: they pass, and swapping two data sets is detected.
#[test]
fn the_published_files_are_recognised() {
    let Some(directory) = std::env::var_os("LENET_DATA_DIR") else {
        println!("skipped: LENET_DATA_DIR is not set");
        return;
    };
    for dataset in [KnownDataset::Mnist, KnownDataset::FashionMnist] {
        let splits = load(dataset, Path::new(&directory)).unwrap();
        assert_eq!((splits.train.len(), splits.test.len()), (60_000, 10_000));
        assert_eq!(splits.train.name(), dataset.name());
        let per_class = splits
            .test
            .labels()
            .iter()
            .filter(|&&label| label == 3)
            .count();
        assert!((900..1_100).contains(&per_class));
        assert_eq!(splits.verification(), Some(Verification::Digest));
    }
    let wrong = Path::new(&directory).join("mnist");
    for dataset in [KnownDataset::FashionMnist, KnownDataset::Kmnist] {
        let error = load_files(dataset, dataset.files(), &wrong).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, DataError::Foreign { .. }), "{text}");
        assert!(text.contains("--dataset mnist"), "{text}");
    }
}
