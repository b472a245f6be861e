//! Downloads from servers that misbehave.

#![cfg(feature = "download")]
use std::cell::Cell;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{BLANK, compressed_again, published_blank};
use crate::server::{Fault, Server};
use lenet_data::{
    DataError, DownloadProgress, KnownDataset, KnownFile, Loader, Splits, Verification,
};
use tempfile::TempDir;

#[derive(Default)]
struct Received(Cell<u64>);

impl DownloadProgress for Received {
    fn received(&self, _file: &str, received: u64, _total: Option<u64>) {
        self.0.set(self.0.get().max(received));
    }
}

/// Downloads KMNIST from mirrors that compressed it again, so that the blank files pass by shape.
fn fetch(cache: &Path, mirrors: &[String]) -> Result<Splits, DataError> {
    let dataset = KnownDataset::Kmnist;
    fetch_files(dataset, compressed_again(dataset), cache, mirrors)
}

fn fetch_files(
    dataset: KnownDataset,
    files: [KnownFile; 4],
    cache: &Path,
    mirrors: &[String],
) -> Result<Splits, DataError> {
    let (progress, empty) = (Received::default(), TempDir::new().unwrap());
    let loader = Loader::new(dataset)
        .with_files(files)
        .with_directory(empty.path())
        .with_cache_directory(cache)
        .with_mirrors(mirrors)
        .with_timeout(Duration::from_secs(2))
        .with_progress(&progress);
    loader.load()
}

fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name != ".lock").collect();
    names.sort();
    names
}

fn all_files() -> Vec<String> {
    let mut names: Vec<String> = BLANK.iter().map(|(name, _)| format!("{name}.gz")).collect();
    names.sort();
    names
}

/// The URL of a port that refuses connections.
fn refusing() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/", listener.local_addr().unwrap())
}

fn part(cache: &Path) -> PathBuf {
    cache.join("kmnist").join(format!("{}.gz.part", BLANK[0].0))
}

#[test]
fn server_faults_are_reported_and_their_files_never_kept() {
    let server = Server::start();
    let cases = [
        (refusing(), "refused"),
        (server.mirror(Fault::NotFound), "404"),
        (server.mirror(Fault::ServerError), "500"),
        (server.mirror(Fault::RedirectLoop), "redirect"),
        (server.mirror(Fault::Html), "not an IDX file"),
        (server.mirror(Fault::Half), "damaged gzip"),
        (server.mirror(Fault::ShortLength), "damaged gzip"),
        (server.mirror(Fault::Trickle), "timeout"),
        (server.mirror(Fault::Endless), "more than 67108864 bytes"),
        (server.mirror(Fault::Bomb), "oversized"),
    ];
    for (mirror, reason) in &cases {
        let cache = TempDir::new().unwrap();
        // A good file that already exists stays as it is.
        let folder = cache.path().join("kmnist");
        fs::create_dir_all(&folder).unwrap();
        let (name, bytes) = &BLANK[3];
        let good = folder.join(format!("{name}.gz"));
        fs::write(&good, bytes).unwrap();

        let begun = Instant::now();
        let error = fetch(cache.path(), std::slice::from_ref(mirror)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(reason), "{reason} of {mirror}:\n{text}");
        assert!(begun.elapsed() < Duration::from_secs(30), "{mirror}");
        assert!(fs::read(&good).unwrap() == *bytes);
        let mut left = files(&folder);
        left.retain(|name| !name.ends_with(".part"));
        assert_eq!(left, [format!("{name}.gz")], "{mirror}");
    }

    let mut mirrors: Vec<String> = cases.into_iter().map(|(mirror, _)| mirror).collect();
    mirrors.push(server.mirror(Fault::None));
    let cache = TempDir::new().unwrap();
    let splits = fetch(cache.path(), &mirrors).unwrap();
    assert_eq!(splits.train.len(), 60_000);
    assert_eq!(files(&cache.path().join("kmnist")), all_files());
    // The files exist now, so no mirror is needed.
    assert_eq!(fetch(cache.path(), &[]).unwrap().test.len(), 10_000);
}

#[test]
fn valid_responses_of_any_kind_are_accepted() {
    let server = Server::start();
    for fault in [
        Fault::None,
        Fault::NoLength,
        Fault::Redirect,
        Fault::Truncated,
    ] {
        let cache = TempDir::new().unwrap();
        let mut mirrors = vec![server.mirror(fault)];
        // Everything arrived, but more was announced: the next mirror confirms that it is complete.
        if fault == Fault::Truncated {
            mirrors.push(server.mirror(Fault::None));
        }
        fetch(cache.path(), &mirrors).unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        assert_eq!(
            files(&cache.path().join("kmnist")),
            all_files(),
            "{fault:?}"
        );
    }
}

#[test]
fn a_broken_transfer_is_resumed() {
    let (name, bytes) = &BLANK[0];
    let half = bytes.len() / 2;
    assert!(half > 100_000, "{name} has {} bytes", bytes.len());

    // The first mirror sends halves until they are not worth resuming; the next one sends the rest.
    for first in [Fault::Cut, Fault::Reset] {
        let (server, cache) = (Server::start(), TempDir::new().unwrap());
        fetch(
            cache.path(),
            &[server.mirror(first), server.mirror(Fault::None)],
        )
        .unwrap();
        assert_eq!(files(&cache.path().join("kmnist")), all_files());
        let ranges = server.ranges.lock().unwrap();
        assert!(!ranges.is_empty(), "{first:?} was not resumed");
        assert!(
            first != Fault::Cut || ranges.contains(&format!("bytes={half}-")),
            "{ranges:?}"
        );
    }

    // A later call resumes, too.
    let (server, cache) = (Server::start(), TempDir::new().unwrap());
    fetch(cache.path(), &[server.mirror(Fault::Cut)]).unwrap_err();
    let left = fs::metadata(part(cache.path())).unwrap().len();
    assert!(left > half as u64);
    server.ranges.lock().unwrap().clear();
    fetch(cache.path(), &[server.mirror(Fault::None)]).unwrap();
    assert_eq!(server.ranges.lock().unwrap()[0], format!("bytes={left}-"));
    assert_eq!(files(&cache.path().join("kmnist")), all_files());
}

#[test]
fn a_part_of_something_else_only_costs_a_second_transfer() {
    let (name, bytes) = &BLANK[0];
    let (server, cache) = (Server::start(), TempDir::new().unwrap());
    let folder = cache.path().join("kmnist");
    let parts = [
        vec![7; 1000],
        vec![7; bytes.len()],
        vec![7; 2 * bytes.len()],
        bytes.clone(),
    ];
    for left in parts {
        fs::create_dir_all(&folder).unwrap();
        fs::write(part(cache.path()), left).unwrap();
        fetch(cache.path(), &[server.mirror(Fault::None)]).unwrap();
        assert!(fs::read(folder.join(format!("{name}.gz"))).unwrap() == *bytes);
        fs::remove_dir_all(&folder).unwrap();
    }

    fs::create_dir_all(&folder).unwrap();
    fs::write(part(cache.path()), &bytes[..1000]).unwrap();
    let mirrors = [server.mirror(Fault::WrongRest), server.mirror(Fault::None)];
    fetch(cache.path(), &mirrors).unwrap();
    assert_eq!(files(&folder), all_files());
}

#[test]
fn two_at_once_share_one_download() {
    let (server, cache) = (Server::start(), TempDir::new().unwrap());
    let mirrors = [server.mirror(Fault::None)];
    thread::scope(|scope| {
        let both = [(), ()].map(|()| scope.spawn(|| fetch(cache.path(), &mirrors).unwrap()));
        for one in both {
            assert_eq!(one.join().unwrap().train.len(), 60_000);
        }
    });
    assert_eq!(files(&cache.path().join("kmnist")), all_files());
}

/// Runs a test again in a child process, without `LENET_DATA_DIR` or under a limit.
fn in_another_process(test: &str, prefix: &str) {
    let binary = std::env::current_exe().unwrap();
    let command = format!(
        "{prefix} exec '{}' --exact download::{test}",
        binary.display()
    );
    let output = std::process::Command::new("sh")
        .args(["-c", &command])
        .env_remove("LENET_DATA_DIR")
        .env("LENET_TEST_CHILD", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

fn is_child() -> bool {
    std::env::var_os("LENET_TEST_CHILD").is_some()
}

/// The right shape is not enough if the digest is known.
#[test]
fn a_foreign_file_is_not_kept() {
    // If the real data set is on disk, nothing is downloaded: run in a process that cannot find it.
    if !is_child() {
        return in_another_process("a_foreign_file_is_not_kept", "");
    }
    let (server, cache) = (Server::start(), TempDir::new().unwrap());
    let mirrors = [server.mirror(Fault::None)];
    let dataset = KnownDataset::Mnist;
    let error = fetch_files(dataset, dataset.files(), cache.path(), &mirrors).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("not the published mnist file"), "{text}");
    assert!(files(&cache.path().join("mnist")).is_empty());
}

/// KMNIST's digests are of the compressed files.
#[test]
fn a_download_must_have_the_published_digest_of_the_compressed_file() {
    let kmnist = KnownDataset::Kmnist;
    let (server, cache) = (Server::start(), TempDir::new().unwrap());
    let folder = cache.path().join("kmnist");
    let good = [server.mirror(Fault::None)];

    let error = fetch_files(kmnist, kmnist.files(), cache.path(), &good).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("bdb82020997e1d708af4cf47b453dcf7"), "{text}");
    assert!(files(&folder).is_empty());

    // Without the compressed file there is no digest to compare.
    let decompressed = [server.mirror(Fault::Decompressed)];
    let error = fetch_files(kmnist, published_blank(), cache.path(), &decompressed).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("not compressed"), "{text}");
    assert!(files(&folder).is_empty());

    let splits = fetch_files(kmnist, published_blank(), cache.path(), &good).unwrap();
    assert_eq!(splits.verification(), Some(Verification::Digest));
    assert_eq!(files(&folder), all_files());
}

/// A process limited to files of 64 KiB stands for a full disk.
#[cfg(unix)]
#[test]
fn a_full_disk_is_reported_and_left_clean() {
    if !is_child() {
        let limit = "trap '' XFSZ; ulimit -f 128;";
        return in_another_process("a_full_disk_is_reported_and_left_clean", limit);
    }
    let (server, cache) = (Server::start(), TempDir::new().unwrap());
    let error = fetch(cache.path(), &[server.mirror(Fault::None)]).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("gz.part: File too large"), "{text}");
    assert!(files(&cache.path().join("kmnist")).is_empty());
}

#[test]
fn an_unwritable_cache_is_reported() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("a file");
    fs::write(&file, b"").unwrap();
    let text = fetch(&file, &[]).unwrap_err().to_string();
    assert!(
        text.contains("It was not downloaded") && text.contains("a file"),
        "{text}"
    );
    assert!(fs::read(&file).unwrap().is_empty());
}

#[test]
fn downloads_can_be_switched_off() {
    let (server, folder) = (Server::start(), TempDir::new().unwrap());
    let loader = Loader::new(KnownDataset::Kmnist)
        .with_directory(folder.path())
        .with_cache_directory(folder.path().join("cache"))
        .with_mirrors([server.mirror(Fault::None)])
        .with_download(false);
    let text = loader.load().unwrap_err().to_string();
    assert!(text.contains("downloads are switched off"), "{text}");
    assert!(files(folder.path()).is_empty());
}

#[test]
fn progress_is_reported_up_to_the_last_byte() {
    let (server, cache) = (Server::start(), TempDir::new().unwrap());
    let progress = Received::default();
    let loader = Loader::new(KnownDataset::Kmnist)
        .with_files(compressed_again(KnownDataset::Kmnist))
        .with_directory(cache.path())
        .with_cache_directory(cache.path())
        .with_mirrors([server.mirror(Fault::None)]);
    loader.with_progress(&progress).load().unwrap();
    let largest = BLANK.iter().map(|(_, bytes)| bytes.len()).max();
    assert_eq!(progress.0.get(), largest.unwrap() as u64);
}
