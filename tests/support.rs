//! Runs the examples and the program `lenet` as users do.

use std::path::{Path, PathBuf};
use std::process::{self, Stdio};

use assert_cmd::Command;

/// The path of an example. Cargo puts examples beside the directory of the test binaries.
pub(crate) fn example_path(name: &str) -> PathBuf {
    built(&Path::new("examples").join(name))
}

/// The path of the program `lenet`.
pub(crate) fn program_path() -> PathBuf {
    built(Path::new("lenet"))
}

fn built(name: &Path) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let target = test.parent().unwrap().parent().unwrap();
    let path = target.join(name);
    assert!(
        path.is_file(),
        "{} is missing: build the examples and the program with the same flags as the tests",
        path.display()
    );
    path
}

/// An example in an empty directory, without network access, data or cache.
pub(crate) fn example(name: &str, folder: &Path) -> Command {
    isolated(&example_path(name), folder)
}

/// The program `lenet` in the same environment.
pub(crate) fn lenet(folder: &Path) -> Command {
    isolated(&program_path(), folder)
}

fn isolated(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .env_remove("LENET_DATA_DIR")
        .env("LENET_OFFLINE", "1")
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .env("HOME", folder);
    command
}

/// A short run of an example on the CPU and on synthetic images.
pub(crate) fn quick(name: &str, folder: &Path) -> Command {
    let mut command = example(name, folder);
    let images = match name {
        "q3_mnist" => "synthetic-digits",
        _ => "synthetic",
    };
    command.args(["--quick", "--device", "flex", "--dataset", images]);
    command
}

/// An example as a process to observe, with its output piped.
pub(crate) fn process(name: &str, folder: &Path, arguments: &[&str]) -> process::Command {
    piped(&example_path(name), folder, arguments)
}

/// The program `lenet`, likewise.
pub(crate) fn lenet_process(folder: &Path, arguments: &[&str]) -> process::Command {
    piped(&program_path(), folder, arguments)
}

fn piped(program: &Path, folder: &Path, arguments: &[&str]) -> process::Command {
    let mut command = process::Command::new(program);
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

/// The names of the files in a directory.
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
