//! Any bytes as a results file of a sweep: it is refused and unchanged, or its complete lines are kept.

#![no_main]

use std::fs;
use std::sync::LazyLock;

use lenet_core::LeNetConfig;
use lenet_data::{ImageDataset, synthetic};
use lenet_train::TrainingConfig;
use lenet_train::fuzzing::finished_trials;
use lenet_train::sweep::Sweep;
use libfuzzer_sys::fuzz_target;

static IMAGES: LazyLock<ImageDataset> = LazyLock::new(|| synthetic::garments(8, 0));
static SWEEP: LazyLock<Sweep> = LazyLock::new(|| {
    let network = LeNetConfig::modern(10).with_out_channels([1, 1]).with_hidden_dims([2]);
    let mut sweep = Sweep::new("s", "p");
    sweep.push_setting("a", network, TrainingConfig::default());
    sweep
});

fuzz_target!(|bytes: &[u8]| {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    // Start with the header that this sweep writes, then anything.
    finished_trials(file.path(), &SWEEP, &IMAGES).expect("a new file");
    let mut content = fs::read(file.path()).expect("the first line");
    let (header, rest) = match bytes.split_first() {
        Some((0, rest)) => (content.len(), rest),
        _ => (0, bytes),
    };
    content.truncate(header);
    content.extend_from_slice(rest);
    fs::write(file.path(), &content).expect("room for it");
    let trials = finished_trials(file.path(), &SWEEP, &IMAGES);
    let after = fs::read(file.path()).expect("the file");
    match trials {
        None => assert_eq!(after, content),
        Some(trials) => {
            assert!(after.ends_with(b"\n") && content.starts_with(&after) || header == 0);
            assert_eq!(finished_trials(file.path(), &SWEEP, &IMAGES), Some(trials));
        }
    }
});
