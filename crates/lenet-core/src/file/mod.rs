//! Files that survive a crash: written completely or not at all, or one line at a time, and read within
//! bounds. Formats are the callers' business.
//!
//! # Guarantees
//!
//! | | if the program is killed | if the computer loses power |
//! |---|---|---|
//! | [`write_file`] | the old or the new file, complete | after it returns, the new file; before, either |
//! | [`AppendFile`] | every appended line, and possibly part of the next | the same |
//! | [`create_folder`] | the folder | after it returns, the folder |
//!
//! The last column requires a file system that can sync a *folder*. Unix file systems usually can. Shared
//! folders of virtual machines and some network mounts cannot, Windows has no such call, and a folder
//! without read permission cannot be opened for it. Everything else works there too, but after a power
//! failure a new file may be missing, or the old version of a replaced file may be back. Contents are synced
//! before the file gets its name, so a file is complete in any case, provided that the file system renames
//! atomically. All of this was tested on Linux; for Windows it follows from the documentation of the
//! functions that the standard library and `tempfile` call.

mod append;
#[cfg(any(test, feature = "faults"))]
#[doc(hidden)]
pub mod faults;
mod leftovers;
mod operation;
mod operations;

use std::fs::{File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use thiserror::Error;

pub use append::AppendFile;
pub use leftovers::remove_leftovers;

/// A file or folder, and what went wrong with it.
///
/// The message is the path; the cause is the [source](std::error::Error::source).
///
/// ```
/// use lenet_core::file::{FileError, read_file};
///
/// let path = "no/such/file";
/// let error = read_file(path, 100).map_err(FileError::at(path)).unwrap_err();
/// assert_eq!(error.to_string(), path);
/// assert_eq!(error.source.kind(), std::io::ErrorKind::NotFound);
/// ```
#[derive(Debug, Error)]
#[error("{}", path.display())]
pub struct FileError {
    /// The file or folder.
    pub path: PathBuf,
    /// The operating system's error.
    pub source: io::Error,
}

impl FileError {
    /// Adds a path to an I/O error; made for `map_err`.
    pub fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        |source| Self {
            path: path.into(),
            source,
        }
    }
}

/// Writes a complete file or none at all; an existing file stays in place until the new one is on disk. See
/// the [module](self) for what survives a power failure.
///
/// A killed process leaves its unfinished file behind as `.lenet-XXXXXXXX.tmp`, with random letters and
/// digits. Later writes to the same folder remove it once it is a day old.
///
/// ```
/// use lenet_core::file::write_file;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("numbers.txt");
/// write_file(&path, b"1 2 3")?;
/// assert_eq!(std::fs::read(&path)?, b"1 2 3");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// Any I/O error, with the existing file untouched. There is one exception, and its message says so: if the
/// folder cannot be synced, the new file is already in place, but a power failure may bring the old one back.
pub fn write_file(path: impl AsRef<Path>, bytes: &[u8]) -> io::Result<()> {
    let path = path.as_ref();
    let folder = folder_of(path);
    leftovers::remove_leftovers(folder, leftovers::A_DAY);
    let file = operations::create_temporary(folder)?;
    operations::write(file.as_file(), file.path(), bytes)?;
    operations::sync(file.as_file(), file.path())?;
    operations::rename(file, path)?;
    operations::sync_folder(folder)
        .map_err(|source| io::Error::new(source.kind(), UnsyncedFolder { source }))
}

#[derive(Debug, Error)]
#[error("the file is in place, but a power failure may undo that: its folder could not be synced")]
struct UnsyncedFolder {
    source: io::Error,
}

/// Reads a file of at most `limit` bytes. A longer file is an error, and so is an endless one; neither takes
/// more memory than the limit.
///
/// ```
/// use lenet_core::file::{read_file, write_file};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("numbers.txt");
/// write_file(&path, b"1 2 3")?;
/// assert_eq!(read_file(&path, 5)?, b"1 2 3");
/// assert!(read_file(&path, 4).is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// [`io::ErrorKind::FileTooLarge`] above the limit, and any I/O error.
pub fn read_file(path: impl AsRef<Path>, limit: u64) -> io::Result<Vec<u8>> {
    read_within(File::open(path)?, limit)
}

fn read_within(file: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("larger than {limit} bytes, the limit for this kind of file"),
        ));
    }
    Ok(bytes)
}

/// Creates a folder and any missing parents; an existing folder is not an error.
///
/// # Errors
///
/// Any I/O error.
pub fn create_folder(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    let is_missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.is_dir();
    let missing: Vec<&Path> = path.ancestors().take_while(is_missing).collect();
    for folder in missing.into_iter().rev() {
        operations::create_folder(folder)?;
        operations::sync_folder(folder_of(folder))?;
    }
    Ok(())
}

/// Opens a file, or creates an empty one, and locks it against other processes until it is closed. It waits
/// up to 0.2 s for another process to release its lock. On a file system without locks, the file is opened without one.
///
/// ```
/// use std::io::ErrorKind;
///
/// use lenet_core::file::lock_file;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("lock");
/// let lock = lock_file(&path)?;
/// let error = lock_file(&path).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::WouldBlock);
/// drop(lock);
/// lock_file(&path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// [`io::ErrorKind::WouldBlock`] if another process keeps the lock, and any I/O error.
pub fn lock_file(path: impl AsRef<Path>) -> io::Result<File> {
    let file = operations::open(path.as_ref())?;
    // Between fork and exec a child process holds a copy of a lock that its parent has released.
    let mut result = file.try_lock();
    for _ in 0..20 {
        let Err(TryLockError::WouldBlock) = result else {
            break;
        };
        thread::sleep(Duration::from_millis(10));
        result = file.try_lock();
    }
    match result {
        Err(TryLockError::Error(error)) if operations::has_no_locks(&error) => Ok(file),
        result => result.map(|()| file).map_err(io::Error::from),
    }
}

/// Removes a file; a missing file is not an error.
///
/// # Errors
///
/// Any I/O error.
pub fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    none_if_missing(operations::remove_file(path.as_ref()))
}

/// Removes a folder and its contents; a missing folder is not an error.
///
/// ```
/// use lenet_core::file::{create_folder, remove_folder};
///
/// let folder = tempfile::tempdir()?;
/// let runs = folder.path().join("out/runs");
/// create_folder(runs.join("first"))?;
/// remove_folder(&runs)?;
/// remove_folder(&runs)?;
/// assert!(!runs.exists());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// Any I/O error; part of the folder may already be gone.
pub fn remove_folder(path: impl AsRef<Path>) -> io::Result<()> {
    none_if_missing(operations::remove_folder(path.as_ref()))
}

fn none_if_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// The folder whose entry this file or folder is.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::fs;

    use super::faults::{self, Fault};
    use super::*;

    fn fault(text: &str) -> Fault {
        text.parse().unwrap()
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn a_lock_that_is_about_to_be_released_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let lock = lock_file(&path).unwrap();
        thread::scope(|scope| {
            scope.spawn(move || {
                thread::sleep(Duration::from_millis(20));
                drop(lock);
            });
            lock_file(&path).unwrap();
        });
    }

    #[test]
    fn whatever_fails_a_file_is_the_old_one_or_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write_file(&path, b"old").unwrap();
        for operation in ["create", "write", "sync", "rename"] {
            let injection = faults::inject(folder.path(), fault(&format!("{operation}:1")));
            let error = write_file(&path, b"new").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{operation}");
            assert_eq!(injection.failed().len(), 1, "{operation}");
            assert_eq!(fs::read(&path).unwrap(), b"old", "{operation}");
            assert_eq!(names(folder.path()), ["file"], "{operation}");
        }
        // The last step comes after the rename: the old file is already replaced.
        let _injection = faults::inject(folder.path(), fault("sync-folder:1"));
        let error = write_file(&path, b"new").unwrap_err();
        assert!(error.to_string().contains("is in place"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"new");
        // A fault happens once.
        write_file(&path, b"newer").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"newer");
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_cannot_be_synced_costs_no_file() {
        use rustix::io::Errno;

        for unsupported in [Errno::INVAL, Errno::BADF, Errno::NOTSUP, Errno::OPNOTSUPP] {
            let folder = tempfile::tempdir().unwrap();
            let fault = fault("sync-folder:1+").with_os_error(unsupported.raw_os_error());
            let injection = faults::inject(folder.path(), fault);
            write_file(folder.path().join("file"), b"1 2 3").unwrap();
            create_folder(folder.path().join("folder")).unwrap();
            AppendFile::open(folder.path().join("lines")).unwrap();
            assert_eq!(injection.failed().len(), 3, "{unsupported}");
        }
        for failure in [Errno::IO, Errno::NOSPC, Errno::DQUOT, Errno::ROFS] {
            let folder = tempfile::tempdir().unwrap();
            let fault = fault("sync-folder:1").with_os_error(failure.raw_os_error());
            let _injection = faults::inject(folder.path(), fault);
            let error = write_file(folder.path().join("file"), b"1 2 3").unwrap_err();
            let source = error.source().expect("the error of the file system");
            assert_eq!(source.to_string(), io::Error::from(failure).to_string());
        }
    }

    #[test]
    fn the_folder_of_every_new_folder_is_synced() {
        let folder = tempfile::tempdir().unwrap();
        let injection = faults::inject(folder.path(), fault("sync-folder:2"));
        create_folder(folder.path().join("a/b/c")).unwrap_err();
        let (_, synced) = injection.failed().remove(0);
        assert_eq!(synced, folder.path().join("a"));
        assert!(folder.path().join("a/b").is_dir());
        assert!(!folder.path().join("a/b/c").exists());
        create_folder(folder.path().join("a/b/c")).unwrap();
        assert!(folder.path().join("a/b/c").is_dir());
        // A file in the way is an error.
        write_file(folder.path().join("a/file"), b"").unwrap();
        create_folder(folder.path().join("a/file/b")).unwrap_err();

        remove_file(folder.path().join("a/file")).unwrap();
        remove_file(folder.path().join("a/file")).unwrap();
        create_folder(folder.path().join("a")).unwrap();
        assert_eq!(names(&folder.path().join("a")), ["b"]);
    }
}
