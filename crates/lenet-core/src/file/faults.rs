//! Fault injection: the n-th write, sync or rename fails, for tests of what survives.
//!
//! Only with the feature `faults`, which no released program should enable. A test [`inject`]s faults below a
//! folder of its own, for every thread; a program under test takes one from the environment, such as
//! `LENET_FAULT=rename:3`, and reports it on standard error.
//!
//! ```
//! use lenet_core::file::{faults, write_file};
//!
//! let folder = tempfile::tempdir()?;
//! let fault = faults::inject(folder.path(), "rename:2".parse()?);
//! write_file(folder.path().join("first"), b"1")?;
//! assert!(write_file(folder.path().join("second"), b"2").is_err());
//! assert_eq!(fault.failed().len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use thiserror::Error;

pub use super::operation::Operation;

const VARIABLE: &str = "LENET_FAULT";

const OPERATIONS: [Operation; 7] = [
    Operation::Create,
    Operation::Write,
    Operation::Truncate,
    Operation::Sync,
    Operation::Rename,
    Operation::SyncFolder,
    Operation::Remove,
];

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Write => "write",
            Self::Truncate => "truncate",
            Self::Sync => "sync",
            Self::Rename => "rename",
            Self::SyncFolder => "sync-folder",
            Self::Remove => "remove",
        })
    }
}

/// Which operation fails, and how.
///
/// As text it is an operation and a number: `rename:3` is the third rename, `any:7` the seventh operation of
/// any kind, `write:2+` the second write and every later one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `None` for operations of any kind.
    operation: Option<Operation>,
    number: u64,
    is_lasting: bool,
    os_error: Option<i32>,
}

impl Fault {
    /// Sets the error code to fail with, instead of a full disk's.
    #[must_use]
    pub fn with_os_error(mut self, code: i32) -> Self {
        self.os_error = Some(code);
        self
    }

    fn error(&self) -> io::Error {
        match self.os_error {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::ErrorKind::StorageFull.into(),
        }
    }
}

/// This text is not a [`Fault`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "invalid fault '{found}': expected create, write, truncate, sync, rename, sync-folder, remove or any, \
     then a colon, a number of at least 1 and optionally '+', such as 'rename:3'"
)]
pub struct FaultError {
    /// The text.
    pub found: String,
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let parse = || {
            let (name, number) = text.split_once(':')?;
            let operation = match name {
                "any" => None,
                _ => Some(*OPERATIONS.iter().find(|kind| kind.to_string() == name)?),
            };
            let lasting = number.strip_suffix('+');
            let number = lasting.unwrap_or(number).parse().ok()?;
            (number > 0).then_some(Self {
                operation,
                number,
                is_lasting: lasting.is_some(),
                os_error: None,
            })
        };
        parse().ok_or_else(|| FaultError {
            found: text.to_owned(),
        })
    }
}

/// An injected fault; dropping it withdraws the fault.
#[derive(Debug)]
pub struct Injection(Arc<Pending>);

impl Injection {
    /// The operations that have failed so far, and their paths.
    pub fn failed(&self) -> Vec<(Operation, PathBuf)> {
        lock(&self.0.progress).failed.clone()
    }
}

impl Drop for Injection {
    fn drop(&mut self) {
        lock(&INJECTED).retain(|pending| !Arc::ptr_eq(pending, &self.0));
    }
}

/// Makes an operation below this folder fail, counting from now.
///
/// The folder is compared with the paths as the code under test spells them: a relative path never matches an
/// absolute one.
pub fn inject(folder: &Path, fault: Fault) -> Injection {
    let pending = Arc::new(Pending::new(Some(folder.to_owned()), fault));
    lock(&INJECTED).push(Arc::clone(&pending));
    Injection(pending)
}

static INJECTED: Mutex<Vec<Arc<Pending>>> = Mutex::new(Vec::new());

#[derive(Debug)]
struct Pending {
    /// `None` for the whole file system.
    folder: Option<PathBuf>,
    fault: Fault,
    progress: Mutex<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    /// Operations so far.
    seen: u64,
    failed: Vec<(Operation, PathBuf)>,
}

impl Pending {
    fn new(folder: Option<PathBuf>, fault: Fault) -> Self {
        Self {
            folder,
            fault,
            progress: Mutex::default(),
        }
    }

    fn check(&self, operation: Operation, path: &Path) -> io::Result<()> {
        let Fault { number, .. } = self.fault;
        let folder = self.folder.as_ref();
        if folder.is_some_and(|folder| !path.starts_with(folder))
            || self.fault.operation.is_some_and(|kind| kind != operation)
        {
            return Ok(());
        }
        let mut progress = lock(&self.progress);
        progress.seen += 1;
        if progress.seen == number || self.fault.is_lasting && progress.seen > number {
            progress.failed.push((operation, path.to_owned()));
            return Err(self.fault.error());
        }
        Ok(())
    }
}

/// Fails if a test has asked for it.
pub(super) fn check(operation: Operation, path: &Path) -> io::Result<()> {
    if let Some(pending) = from_environment()? {
        pending.check(operation, path).inspect_err(|_| {
            let path = path.display();
            let _ = writeln!(io::stderr(), "{VARIABLE}: {operation} of {path} fails");
        })?;
    }
    let injected = lock(&INJECTED).clone();
    injected
        .iter()
        .try_for_each(|pending| pending.check(operation, path))
}

/// The fault in the environment. An invalid one fails every operation: the test would prove nothing.
fn from_environment() -> io::Result<Option<&'static Pending>> {
    static PENDING: OnceLock<Result<Option<Pending>, FaultError>> = OnceLock::new();
    let pending = PENDING.get_or_init(|| match std::env::var_os(VARIABLE) {
        Some(text) => {
            let fault: Fault = text.to_string_lossy().parse()?;
            Ok(Some(Pending::new(None, fault)))
        }
        None => Ok(None),
    });
    match pending {
        Ok(pending) => Ok(pending.as_ref()),
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidInput, error.clone())),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Output};

    use super::super::write_file;
    use super::*;

    #[test]
    fn a_fault_is_an_operation_and_a_number() {
        for operation in OPERATIONS {
            let fault: Fault = format!("{operation}:12").parse().unwrap();
            assert_eq!((fault.operation, fault.number), (Some(operation), 12));
            assert!(!fault.is_lasting);
        }
        let fault: Fault = "any:3+".parse().unwrap();
        assert_eq!((fault.operation, fault.number), (None, 3));
        assert!(fault.is_lasting);
        for text in [
            "",
            "write",
            "write:",
            "write:0",
            "write:-1",
            "write:1++",
            "read:1",
            ":1",
        ] {
            let error = text.parse::<Fault>().unwrap_err();
            assert!(error.to_string().contains("such as 'rename:3'"), "{error}");
        }
    }

    #[test]
    fn each_operation_is_counted_by_kind_and_with_all_others() {
        let folder = tempfile::tempdir().unwrap();
        let failing = |text: &str| -> Vec<String> {
            let injection = inject(folder.path(), text.parse().unwrap());
            for number in 1..=3 {
                let _ = write_file(folder.path().join(number.to_string()), b"1 2 3");
            }
            let failed = injection.failed();
            let failed = failed.iter().map(|(operation, _)| operation.to_string());
            failed.collect()
        };
        assert_eq!(failing("rename:3"), ["rename"]);
        assert_eq!(failing("rename:4"), [""; 0]);
        assert_eq!(failing("write:2+"), ["write", "write"]);
        assert_eq!(failing("any:3"), ["sync"]);
        assert_eq!(failing("any:6"), ["create"]);
        assert_eq!(failing("any:15"), ["sync-folder"]);
        assert_eq!(failing("any:16"), [""; 0]);
        assert_eq!(failing("any:15+").len(), 1);
    }

    #[test]
    fn only_what_is_below_the_folder_fails_and_only_while_the_fault_is_injected() {
        let (here, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let injection = inject(here.path(), "any:1+".parse().unwrap());
        write_file(elsewhere.path().join("file"), b"1 2 3").unwrap();
        let path = here.path().join("file");
        let written =
            std::thread::scope(|scope| scope.spawn(|| write_file(&path, b"1 2 3")).join().unwrap());
        written.unwrap_err();
        drop(injection);
        write_file(&path, b"1 2 3").unwrap();
    }

    #[test]
    #[ignore = "run by the next test in a process of its own"]
    fn writes_three_files() {
        let folder = tempfile::tempdir().unwrap();
        for number in 1..=3 {
            let written = write_file(folder.path().join(number.to_string()), b"1 2 3");
            println!(
                "file {number}: {:?}",
                written.map_err(|error| error.to_string())
            );
        }
    }

    #[test]
    fn a_process_takes_a_fault_from_its_environment() {
        let run = |fault: &str| -> Output {
            let mut command = Command::new(std::env::current_exe().unwrap());
            let test = "file::faults::tests::writes_three_files";
            command.args(["--exact", test, "--ignored", "--nocapture"]);
            command.env(VARIABLE, fault).output().unwrap()
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let output = run("rename:2");
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert!(stdout.contains("file 1: Ok"), "{stdout}");
        assert!(
            stdout.contains("file 2: Err(\"no storage space\")"),
            "{stdout}"
        );
        assert!(stdout.contains("file 3: Ok"), "{stdout}");
        assert_eq!(
            stderr.matches("LENET_FAULT: rename of ").count(),
            1,
            "{stderr}"
        );

        let stdout = text(&run("rename").stdout);
        assert_eq!(
            stdout.matches("invalid fault 'rename'").count(),
            3,
            "{stdout}"
        );
    }
}
