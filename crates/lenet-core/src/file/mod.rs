//! Files that outlive a crash: written whole or not at all, or a line at a time, and read within bounds.
//!
//! # What is guaranteed where
//!
//! | | the program is killed | the computer loses power |
//! |---|---|---|
//! | [`write_file`] | the new file or the old one, whole | once it has returned, the new one; before, either |
//! | [`AppendFile`] | every line that was appended, and perhaps a part of the next | the same |
//! | [`create_folder`] | the folder | once it has returned, the folder |
//!
//! The last column needs a file system that writes a *folder* to disk when asked to. File systems on Unix
//! usually do. Shared folders of virtual machines and some network mounts do not, Windows has no such
//! request, and a folder without read permission cannot be opened for it; there everything works as well,
//! but after a power failure a file that was new may be missing, and one that was replaced may be the old
//! one. Its contents are on disk before it gets its name, so that it is whole in any case, provided that
//! the file system renames in one step. All of this was tried on Linux; for Windows it follows from the
//! documentation of the functions that the standard library and `tempfile` call.

mod append;
#[cfg(any(test, feature = "faults"))]
#[doc(hidden)]
pub mod faults;
mod leftovers;
mod operations;

use std::fs::{File, TryLockError};
use std::io::{self, Read};
use std::path::Path;
use std::thread;
use std::time::Duration;

pub use append::AppendFile;
pub use leftovers::remove_leftovers;

/// Writes a file that is there whole or not at all, whatever happens meanwhile; an older one of the
/// name stays until the new one is on disk. See the [module](self) for what a power failure leaves.
///
/// A killed process leaves its unfinished file behind under another name, `.lenet-` with a random part and
/// `.tmp`; the next write into the folder removes it once it is a day old.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("numbers.txt");
/// lenet_core::write_file(&path, b"1 2 3")?;
/// assert_eq!(std::fs::read(&path)?, b"1 2 3");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// What the file system says; what was there before is then untouched. Only if the folder could not be
/// written to disk, as the error says, is the new file in place already, whole, though a power failure may
/// bring the old one back.
pub fn write_file(path: impl AsRef<Path>, bytes: &[u8]) -> io::Result<()> {
    let path = path.as_ref();
    let folder = folder_of(path);
    leftovers::remove_leftovers(folder, leftovers::A_DAY);
    let file = operations::create_temporary(folder)?;
    operations::write(file.as_file(), file.path(), bytes)?;
    operations::sync(file.as_file(), file.path())?;
    operations::rename(file, path)?;
    operations::sync_folder(folder).map_err(|error| {
        let message = format!(
            "the file is in place, but a power failure may undo that, as its folder could not be written to \
             disk: {error}"
        );
        io::Error::new(error.kind(), message)
    })
}

/// Reads a file of at most `limit` bytes; a longer one, or one without an end, is an error and takes no
/// more memory than that.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("numbers.txt");
/// lenet_core::write_file(&path, b"1 2 3")?;
/// assert_eq!(lenet_core::read_file(&path, 5)?, b"1 2 3");
/// assert!(lenet_core::read_file(&path, 4).is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// What the file system says, and [`io::ErrorKind::FileTooLarge`].
pub fn read_file(path: impl AsRef<Path>, limit: u64) -> io::Result<Vec<u8>> {
    read_within(File::open(path)?, limit)
}

fn read_within(file: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("more than {limit} bytes, the most that such a file can have"),
        ));
    }
    Ok(bytes)
}

/// Creates a folder and those above it that are missing; one that exists is left as it is.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// let runs = folder.path().join("out/runs");
/// lenet_core::file::create_folder(&runs)?;
/// lenet_core::file::create_folder(&runs)?;
/// assert!(runs.is_dir());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// What the file system says.
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

/// Opens a file, or creates an empty one, and locks it against other processes until it is closed. It waits up
/// to 0.2 s for a lock that is about to be released.
///
/// ```
/// use std::io::ErrorKind;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("lock");
/// let lock = lenet_core::file::lock_file(&path)?;
/// let error = lenet_core::file::lock_file(&path).map(drop);
/// assert_eq!(error.map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
/// drop(lock);
/// lenet_core::file::lock_file(&path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// [`io::ErrorKind::WouldBlock`] if it is locked already, and what the file system says.
pub fn lock_file(path: impl AsRef<Path>) -> io::Result<File> {
    let file = operations::open(path.as_ref())?;
    // A child process that is just being started holds a copy of a lock that was released, until it begins.
    for _ in 0..20 {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(10)),
            result => return result.map(|()| file).map_err(io::Error::from),
        }
    }
    file.try_lock()?;
    Ok(file)
}

/// Removes a file; one that is missing is not an error.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("numbers.txt");
/// lenet_core::write_file(&path, b"1 2 3")?;
/// lenet_core::file::remove_file(&path)?;
/// lenet_core::file::remove_file(&path)?;
/// assert!(!path.exists());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// What the file system says.
pub fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    none_if_missing(operations::remove_file(path.as_ref()))
}

/// Removes a folder with all that is in it; one that is missing is not an error.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// let runs = folder.path().join("runs");
/// lenet_core::file::create_folder(runs.join("first"))?;
/// lenet_core::file::remove_folder(&runs)?;
/// lenet_core::file::remove_folder(&runs)?;
/// assert!(!runs.exists());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// What the file system says; a part of the folder may be gone then.
pub fn remove_folder(path: impl AsRef<Path>) -> io::Result<()> {
    none_if_missing(operations::remove_folder(path.as_ref()))
}

fn none_if_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// The folder that a file or folder has its name in.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
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
        // Too late for the old one.
        let _injection = faults::inject(folder.path(), fault("sync-folder:1"));
        let error = write_file(&path, b"new").unwrap_err();
        assert!(error.to_string().contains("is in place"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"new");
        // A fault that has happened happens no more.
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
            assert!(error.to_string().contains(&failure.to_string()), "{error}");
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
        // A file in the way is the error that it is.
        write_file(folder.path().join("a/file"), b"").unwrap();
        create_folder(folder.path().join("a/file/b")).unwrap_err();
    }
}
