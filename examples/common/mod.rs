//! What the exercises share: the command line, the data, training, comparing, and their files.

#![allow(dead_code, unused_imports, reason = "each example uses a part of it")]

pub(crate) mod args;
mod datasets;
pub(crate) mod exercise;
pub(crate) mod machine;
pub(crate) mod network;
mod single;
mod sweep;

use std::process::ExitCode;

pub(crate) use exercise::{Exercise, Session};
pub(crate) use single::train_one;
pub(crate) use sweep::compare;

/// Runs an exercise; an error is printed and becomes exit code 1.
pub(crate) fn exit_code(exercise: impl FnOnce() -> anyhow::Result<()>) -> ExitCode {
    match exercise() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", with_causes(&error));
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes in one line; a cause that is told already is not told again.
fn with_causes(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |told, cause| {
        let cause = cause.to_string();
        match told.is_empty() {
            true => cause,
            false if told.contains(&cause) => told,
            false => format!("{told}: {cause}"),
        }
    })
}

/// Writes a file that is there whole or not at all; an older one stays until then.
pub(crate) fn write_whole(path: &std::path::Path, bytes: &[u8]) -> anyhow::Result<()> {
    use anyhow::Context;
    let write = || -> anyhow::Result<()> {
        let folder = path.parent().unwrap_or(std::path::Path::new("."));
        let mut file = tempfile::Builder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            file.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let mut file = file.tempfile_in(folder)?;
        std::io::Write::write_all(&mut file, bytes)?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("writing {}", path.display()))
}
