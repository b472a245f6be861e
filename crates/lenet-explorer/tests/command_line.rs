//! The command line of `lenet`. What its commands compute is tested in the workspace's `tests/`.

use std::path::Path;

use assert_cmd::Command;
use lenet_cli::exercises;

fn lenet(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lenet"));
    command.current_dir(folder).env("LENET_OFFLINE", "1");
    command
}

fn stdout(command: &mut Command) -> String {
    let output = command.assert().success().get_output().stdout.clone();
    String::from_utf8(output).unwrap()
}

#[test]
fn an_exercise_runs_by_either_name() {
    let folder = tempfile::tempdir().unwrap();
    for (name, out) in [("q1-modern", "a"), ("q1_modern", "b")] {
        let mut command = lenet(folder.path());
        command.args([
            "exercise", name, "--quick", "--device", "flex", "--epochs", "1",
        ]);
        command.args(["--dataset", "synthetic", "--out", out]);
        assert!(stdout(&mut command).contains("test accuracy"));
    }
    let weights = |out: &str| std::fs::read(folder.path().join(out).join("weights.safetensors"));
    assert_eq!(weights("a").unwrap(), weights("b").unwrap());
}

#[test]
fn help_and_completions_name_every_exercise() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["exercise", "--help"][..], &["completions", "bash"]] {
        let shown = stdout(lenet(folder.path()).args(arguments));
        for exercise in exercises::ALL {
            let name = exercise.name().replace('_', "-");
            assert!(
                shown.contains(&name),
                "{arguments:?}: {name} is not in:\n{shown}"
            );
        }
    }
}

#[test]
fn a_wrong_command_line_exits_with_2() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &[][..],
        &["exercise"],
        &["exercise", "q9"],
        &["predict"],
        &["train", "--kernel-size", "0"],
    ] {
        lenet(folder.path()).args(arguments).assert().code(2);
    }
}
