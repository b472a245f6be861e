//! The command line as the user typed it, for reports and for the hints after an interruption.

use std::path::PathBuf;

use lenet_core::DeviceChoice;

/// The command line, quoted for a shell. An example is shown as the cargo command that runs it.
pub(crate) fn command_line() -> String {
    let mut arguments = std::env::args_os();
    let program = PathBuf::from(arguments.next().unwrap_or_default());
    let name = program.file_stem().unwrap_or_default().to_string_lossy();
    let is_example = program
        .parent()
        .is_some_and(|folder| folder.ends_with("examples"));
    let arguments: Vec<String> = arguments
        .map(|argument| quoted(&argument.to_string_lossy()))
        .collect();
    let separator = match (arguments.is_empty(), is_example) {
        (true, _) => "",
        (false, true) => " -- ",
        (false, false) => " ",
    };
    format!(
        "{}{name}{separator}{}",
        cargo(is_example),
        arguments.join(" ")
    )
}

/// The command line with this flag added, unless it has it already.
pub(crate) fn command_line_with(flag: &str) -> String {
    let command = command_line();
    let is_cargo = command.starts_with("cargo");
    if command.contains(flag) {
        command
    } else if is_cargo && !command.contains(" -- ") {
        format!("{command} -- {flag}")
    } else {
        format!("{command} {flag}")
    }
}

/// The cargo command that runs an example with the backends of this build.
fn cargo(is_example: bool) -> &'static str {
    let has_gpu = DeviceChoice::available().contains(&DeviceChoice::Wgpu);
    match (is_example, has_gpu) {
        (false, _) => "",
        (true, true) => "cargo run --release --example ",
        (true, false) => "cargo cpu ",
    }
}

fn quoted(argument: &str) -> String {
    let is_special = |c: char| c.is_whitespace() || "'\"$&|;<>()*?".contains(c);
    if argument.contains(is_special) || argument.is_empty() {
        format!("'{}'", argument.replace('\'', "'\\''"))
    } else {
        argument.to_owned()
    }
}
