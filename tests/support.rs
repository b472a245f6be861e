//! Running the examples as their users do.

use std::path::{Path, PathBuf};
use std::process::{self, Stdio};

use assert_cmd::Command;

/// `cargo test` puts examples beside the folder of its test binaries.
pub(crate) fn binary(example: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples")
        .join(example);
    assert!(
        path.is_file(),
        "{} is missing: build the examples with the same flags as the tests",
        path.display()
    );
    path
}

/// The example in an empty folder, without network, data or cache.
pub(crate) fn example(example: &str, folder: &Path) -> Command {
    let mut command = Command::new(binary(example));
    command
        .current_dir(folder)
        .env_remove("LENET_DATA_DIR")
        .env("LENET_OFFLINE", "1")
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .env("HOME", folder)
        // `report` must not call cargo in the middle of a test.
        .env_remove("CARGO");
    command
}

/// The same as a process to watch, its output piped.
pub(crate) fn process(name: &str, folder: &Path, arguments: &[&str]) -> process::Command {
    let mut command = process::Command::new(binary(name));
    command
        .current_dir(folder)
        .env("LENET_OFFLINE", "1")
        .env("HOME", folder)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The names of what is in a folder.
pub(crate) fn files(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return vec![];
    };
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
