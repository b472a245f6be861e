//! Creates a project outside the workspace, adds the crates by path, and runs the program that the README shows.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

const README: &str = include_str!("../README.md");

/// The program of the README's section on using the crates.
fn program() -> &'static str {
    let (_, section) = README.split_once("## In your own project").unwrap();
    let (_, code) = section.split_once("```rust\n").unwrap();
    code.split_once("```").unwrap().0
}

fn cargo(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO"));
    // Another project does not have the environment that cargo sets for this one.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CARGO_")) {
        if name != "CARGO_HOME" {
            command.env_remove(name);
        }
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stranger");
    let output = command
        .args(arguments)
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO_NET_OFFLINE", "true")
        .env_remove("RUSTFLAGS")
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo {arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "compiles burn again; .ci/run includes it"]
fn a_project_of_somebody_else_runs_what_the_readme_shows() {
    let folder = tempfile::tempdir().unwrap();
    let workspace = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    cargo(
        folder.path(),
        &["init", "--name", "stranger", "--vcs", "none"],
    );
    for name in ["lenet-core", "lenet-data", "lenet-train"] {
        let path = workspace.join("crates").join(name);
        cargo(folder.path(), &["add", "--path", path.to_str().unwrap()]);
    }
    // The versions of this workspace, so that nothing is downloaded.
    std::fs::copy(
        workspace.join("Cargo.lock"),
        folder.path().join("Cargo.lock"),
    )
    .unwrap();
    let burn = [
        "add",
        "burn@0.22",
        "--no-default-features",
        "--features",
        "flex",
    ];
    cargo(folder.path(), &burn);
    std::fs::write(folder.path().join("src/main.rs"), program()).unwrap();

    let start = Instant::now();
    cargo(folder.path(), &["build", "--release"]);
    println!("compiled in {:.0} s", start.elapsed().as_secs_f64());
    let tree = cargo(
        folder.path(),
        &["tree", "-e", "normal", "--prefix", "none", "--no-dedupe"],
    );
    let mut crates: Vec<&str> = tree
        .lines()
        .skip(1)
        .filter(|l| !l.ends_with("(*)"))
        .collect();
    crates.sort_unstable();
    crates.dedup();
    println!("{} crates", crates.len());
    let shown = cargo(folder.path(), &["run", "--release"]);
    println!("{shown}");
    assert!(
        shown.contains("test accuracy 0.") && shown.contains("is classified as"),
        "{shown}"
    );
}
