//! The command line as the user typed it: what a report records, and what an interrupted run suggests.

use std::ffi::OsString;
use std::path::Path;

use lenet_core::DeviceChoice;

/// The command line, quoted for a shell.
pub(crate) fn command_line() -> String {
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_default();
    let arguments: Vec<OsString> = arguments.collect();
    format!("{}{}", prefix(Path::new(&program)), join(&arguments))
}

/// The command line with a flag that it may have already.
pub(crate) fn command_line_with(flag: &str) -> String {
    let command = command_line();
    if command.contains(flag) {
        command
    } else {
        format!("{command} {flag}")
    }
}

/// The command line of an exercise that the program runs itself.
pub(crate) fn exercise_command(arguments: &[OsString]) -> String {
    let program = std::env::args_os().next().unwrap_or_default();
    format!(
        "{}exercise {}",
        prefix(Path::new(&program)),
        join(arguments)
    )
}

/// What to type before the arguments of this program.
fn prefix(program: &Path) -> String {
    let has_gpu = DeviceChoice::available().contains(&DeviceChoice::Wgpu);
    let is_started_by_cargo = std::env::var_os("CARGO").is_some();
    prefix_of(program, has_gpu, is_started_by_cargo)
}

/// An example is shown as the cargo command that runs it, without the GPU backends if this build has none, so that
/// typing it compiles nothing else. The program `lenet` is shown in the same way while it runs under cargo.
fn prefix_of(program: &Path, has_gpu: bool, is_started_by_cargo: bool) -> String {
    let name = program.file_stem().unwrap_or_default().to_string_lossy();
    let is_example = program
        .parent()
        .is_some_and(|folder| folder.ends_with("examples"));
    match (is_example, is_started_by_cargo, has_gpu) {
        (true, _, true) => format!("cargo run --release --example {name} -- "),
        (true, _, false) => format!("cargo cpu {name} -- "),
        (false, true, true) => format!("cargo run --release --bin {name} -- "),
        (false, true, false) => format!("cargo {name} "),
        (false, false, _) => format!("{name} "),
    }
}

fn join(arguments: &[OsString]) -> String {
    let arguments = arguments
        .iter()
        .map(|argument| quoted(&argument.to_string_lossy()));
    arguments.collect::<Vec<_>>().join(" ")
}

fn quoted(argument: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_./:=,+-%@".contains(c);
    if !argument.is_empty() && argument.chars().all(is_plain) {
        argument.to_owned()
    } else {
        format!("'{}'", argument.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_shown_as_they_are_started() {
        let example = Path::new("target/release/examples/q2_kernel");
        let program = Path::new("target/release/lenet");
        for (path, has_gpu, by_cargo, expected) in [
            (
                example,
                true,
                true,
                "cargo run --release --example q2_kernel -- ",
            ),
            (example, false, false, "cargo cpu q2_kernel -- "),
            (program, true, true, "cargo run --release --bin lenet -- "),
            (program, false, true, "cargo lenet "),
            (Path::new("lenet"), true, false, "lenet "),
        ] {
            assert_eq!(prefix_of(path, has_gpu, by_cargo), expected);
        }
    }

    #[test]
    fn arguments_are_quoted_where_a_shell_would_change_them() {
        let arguments = ["--out", "a b", "#1", "it's", "500steps", ""].map(OsString::from);
        assert_eq!(join(&arguments), "--out 'a b' '#1' 'it'\\''s' 500steps ''");
    }
}
