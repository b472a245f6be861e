//! Finding, verifying and fetching the known data sets.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::io::Write;
use std::path::Path;
use std::sync::LazyLock;

use flate2::{Compression, write::GzEncoder};
use lenet_data::idx::Values;
use lenet_data::{DataError, KnownDataset, Loader, Splits};
use tempfile::TempDir;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Four files of the published shapes that hold nothing but zeros, compressed.
static BLANK: LazyLock<[(&str, Vec<u8>); 4]> = LazyLock::new(|| {
    KnownDataset::Kmnist.files().map(|file| {
        let zeros = Values::U8(vec![0; file.shape.iter().product()]);
        (file.name, gzip(&zeros.to_idx(file.shape).unwrap()))
    })
});

fn put_blank_files(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    for (name, bytes) in &*BLANK {
        std::fs::write(folder.join(format!("{name}.gz")), bytes).unwrap();
    }
}

/// Looks in this directory and an empty cache. KMNIST, unlike the others, is verified by shape.
fn load(dataset: KnownDataset, directory: &Path) -> Result<Splits, DataError> {
    let cache = TempDir::new().unwrap();
    Loader::new(dataset)
        .with_directory(directory)
        .with_cache_directory(cache.path())
        .load()
}

#[test]
fn a_missing_data_set_names_every_place_and_the_ways_to_get_it() {
    let directory = TempDir::new().unwrap();
    let folder = directory.path().join("kmnist");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("t10k-labels-idx1-ubyte"), b"").unwrap();
    let error = load(KnownDataset::Kmnist, directory.path()).unwrap_err();
    let text = error.to_string();
    let DataError::Missing { searched, .. } = error else {
        panic!("{text}")
    };
    assert_eq!(searched[0].folder, folder);
    assert_eq!(searched[0].missing.len(), 3);
    for expected in [
        "kmnist was not found",
        "lacks train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte",
        "datasets/kmnist (the working directory)",
        "(the user's cache)",
        "It was not downloaded",
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
        let error = load(dataset, directory.path()).unwrap_err().to_string();
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
    assert!(spoil(name, &small, kmnist).contains("has shape [60000, 28, 28] here"));
    assert!(spoil(name, &labels(vec![0; 60_000]), kmnist).contains("the file has [60000]"));
    assert!(spoil(name, images, KnownDataset::Mnist).contains("not the published mnist file"));

    let directory = TempDir::new().unwrap();
    put_blank_files(directory.path());
    let path = directory.path().join("t10k-labels-idx1-ubyte.gz");
    std::fs::write(path, labels(vec![10; 10_000])).unwrap();
    let error = load(kmnist, directory.path()).unwrap_err().to_string();
    assert_eq!(
        error,
        "label 10 of image 0 is beyond the 10 classes (0 to 9)"
    );
}

/// With the real files at hand: they are the published ones, and swapping two data sets is noticed.
#[test]
fn the_published_files_are_recognised() {
    let Some(directory) = std::env::var_os("LENET_DATA_DIR") else {
        println!("not tested: LENET_DATA_DIR is not set");
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
    }
    let wrong = Path::new(&directory).join("mnist");
    let error = load(KnownDataset::FashionMnist, &wrong).unwrap_err();
    assert!(matches!(error, DataError::Digest { .. }), "{error}");
}

#[cfg(feature = "download")]
mod download {
    use std::cell::Cell;
    use std::sync::Arc;
    use std::thread::JoinHandle;

    use lenet_data::DownloadProgress;
    use tiny_http::{Response, Server};

    use super::*;

    /// Serves the blank files under `/good/`, their first half under `/half/`, a page under
    /// `/html/`, and nothing elsewhere.
    struct Mirror {
        server: Arc<Server>,
        thread: Option<JoinHandle<()>>,
    }

    impl Mirror {
        fn start() -> Self {
            let server = Arc::new(Server::http("127.0.0.1:0").unwrap());
            let serving = Arc::clone(&server);
            let thread = std::thread::spawn(move || {
                for request in serving.incoming_requests() {
                    let url = request.url().to_owned();
                    let file = BLANK
                        .iter()
                        .find(|(name, _)| url.ends_with(&format!("{name}.gz")));
                    let Some((_, bytes)) = file else { continue };
                    let _ = match url.split('/').nth(1) {
                        Some("good") => request.respond(Response::from_data(bytes.clone())),
                        Some("half") => {
                            request.respond(Response::from_data(&bytes[..bytes.len() / 2]))
                        }
                        Some("html") => request.respond(Response::from_string("<html></html>")),
                        _ => request.respond(Response::empty(404)),
                    };
                }
            });
            Self {
                server,
                thread: Some(thread),
            }
        }

        fn url(&self, kind: &str) -> String {
            format!("http://{}/{kind}/", self.server.server_addr())
        }
    }

    impl Drop for Mirror {
        fn drop(&mut self) {
            self.server.unblock();
            self.thread.take().map(JoinHandle::join);
        }
    }

    #[derive(Default)]
    struct Received(Cell<u64>);

    impl DownloadProgress for Received {
        fn received(&self, _file: &str, received: u64, total: Option<u64>) {
            assert!(total.is_none_or(|total| received <= total));
            self.0.set(self.0.get().max(received));
        }
    }

    fn fetch(
        dataset: KnownDataset,
        cache: &Path,
        mirrors: Vec<String>,
    ) -> (Result<Splits, DataError>, u64) {
        let (progress, empty) = (Received::default(), TempDir::new().unwrap());
        let loader = Loader::new(dataset)
            .with_directory(empty.path())
            .with_cache_directory(cache)
            .with_mirrors(mirrors)
            .with_download(&progress);
        (loader.load(), progress.0.get())
    }

    fn files(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// A port on which nobody listens.
    fn refusing() -> String {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/", listener.local_addr().unwrap())
    }

    #[test]
    fn mirrors_are_tried_in_turn_until_one_gives_the_files() {
        let (mirror, cache) = (Mirror::start(), TempDir::new().unwrap());
        let mirrors = vec![
            refusing(),
            mirror.url("missing"),
            mirror.url("half"),
            mirror.url("html"),
            mirror.url("good"),
        ];
        let (splits, received) = fetch(KnownDataset::Kmnist, cache.path(), mirrors);
        assert_eq!(splits.unwrap().train.len(), 60_000);
        assert_eq!(received, BLANK[0].1.len() as u64);
        assert_eq!(
            files(&cache.path().join("kmnist")),
            [
                ".lock",
                "t10k-images-idx3-ubyte.gz",
                "t10k-labels-idx1-ubyte.gz",
                "train-images-idx3-ubyte.gz",
                "train-labels-idx1-ubyte.gz",
            ]
        );
        // Now they are there: no mirror is needed.
        let (again, received) = fetch(KnownDataset::Kmnist, cache.path(), vec![]);
        assert_eq!((again.unwrap().test.len(), received), (10_000, 0));
    }

    #[test]
    fn what_no_mirror_gives_whole_is_told_and_never_kept() {
        let (mirror, cache) = (Mirror::start(), TempDir::new().unwrap());
        let mirrors = vec![
            refusing(),
            mirror.url("missing"),
            mirror.url("half"),
            mirror.url("html"),
        ];
        let (result, _) = fetch(KnownDataset::Kmnist, cache.path(), mirrors.clone());
        let text = result.unwrap_err().to_string();
        for (mirror, reason) in
            mirrors
                .iter()
                .zip(["refused", "404", "damaged gzip", "not an IDX file"])
        {
            let line = text.lines().find(|line| line.contains(mirror.as_str()));
            assert!(
                line.is_some_and(|line| line.contains(reason)),
                "{reason} of {mirror}:\n{text}"
            );
        }
        assert_eq!(files(&cache.path().join("kmnist")), [".lock"]);
    }

    /// The right shape is not enough where the digest is known.
    #[test]
    fn a_foreign_file_is_not_kept() {
        // Where the real set is at hand nothing would be fetched: test in a process that has none.
        if std::env::var_os("LENET_DATA_DIR").is_some() {
            let status = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "download::a_foreign_file_is_not_kept"])
                .env_remove("LENET_DATA_DIR")
                .status();
            assert!(status.unwrap().success());
            return;
        }
        let (mirror, cache) = (Mirror::start(), TempDir::new().unwrap());
        let (result, _) = fetch(KnownDataset::Mnist, cache.path(), vec![mirror.url("good")]);
        let text = result.unwrap_err().to_string();
        assert!(text.contains("not the published mnist file"), "{text}");
        assert_eq!(files(&cache.path().join("mnist")), [".lock"]);
    }

    #[test]
    fn an_unwritable_cache_is_told() {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("a file");
        std::fs::write(&file, b"").unwrap();
        let (result, _) = fetch(KnownDataset::Kmnist, &file, vec![]);
        let text = result.unwrap_err().to_string();
        assert!(
            text.contains("It was not downloaded") && text.contains("a file"),
            "{text}"
        );
    }
}
