//! Every call that changes the file system, one function each. All writing goes through here, so that a test
//! can make any step fail.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

#[cfg(any(test, feature = "faults"))]
use super::faults::check;
use super::operation::Operation;

/// Name of an unfinished file: prefix, random letters and digits, suffix.
pub(super) const PREFIX: &str = ".lenet-";
pub(super) const RANDOM_CHARACTERS: usize = 8;
pub(super) const SUFFIX: &str = ".tmp";

#[cfg(not(any(test, feature = "faults")))]
fn check(_: Operation, _: &Path) -> io::Result<()> {
    Ok(())
}

/// A file that is removed on drop unless it has been renamed.
pub(super) fn create_temporary(folder: &Path) -> io::Result<NamedTempFile> {
    check(Operation::Create, folder)?;
    let mut builder = tempfile::Builder::new();
    builder
        .prefix(PREFIX)
        .suffix(SUFFIX)
        .rand_bytes(RANDOM_CHARACTERS);
    // The permissions of any other new file: `tempfile` alone would make it private.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// Opens a file for reading and writing, or creates an empty one.
pub(super) fn open(path: &Path) -> io::Result<File> {
    check(Operation::Create, path)?;
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

pub(super) fn create_folder(path: &Path) -> io::Result<()> {
    check(Operation::Create, path)?;
    match fs::create_dir(path) {
        // Another process created it first.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        result => result,
    }
}

pub(super) fn write(mut file: &File, path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Err(error) = check(Operation::Write, path) {
        // Like a full disk, on which the first part still fits.
        let (first, _) = bytes.split_at(bytes.len() / 2);
        file.write_all(first)?;
        return Err(error);
    }
    file.write_all(bytes)
}

pub(super) fn truncate(file: &File, path: &Path, length: u64) -> io::Result<()> {
    check(Operation::Truncate, path)?;
    file.set_len(length)
}

pub(super) fn sync(file: &File, path: &Path) -> io::Result<()> {
    check(Operation::Sync, path)?;
    file.sync_all()
}

pub(super) fn rename(file: NamedTempFile, path: &Path) -> io::Result<()> {
    check(Operation::Rename, path)?;
    file.persist(path)?;
    Ok(())
}

/// Puts the names in a folder on disk, where the file system supports that; see the parent module.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    let result = check(Operation::SyncFolder, folder).and_then(|()| sync_folder_itself(folder));
    match result {
        Err(error) if is_unsupported(&error) => Ok(()),
        result => result,
    }
}

#[cfg(unix)]
fn sync_folder_itself(folder: &Path) -> io::Result<()> {
    match File::open(folder) {
        Ok(folder) => folder.sync_all(),
        // A folder can be writable without being readable.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(error),
    }
}

/// Other systems cannot open a folder as a file.
#[cfg(not(unix))]
fn sync_folder_itself(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Whether the file system does not support syncing folders, as opposed to failing to do so.
#[cfg(unix)]
fn is_unsupported(error: &io::Error) -> bool {
    use rustix::io::Errno;

    let found = Errno::from_io_error(error);
    let unsupported = [Errno::INVAL, Errno::BADF, Errno::NOTSUP, Errno::OPNOTSUPP];
    found.is_some_and(|found| unsupported.contains(&found))
}

#[cfg(not(unix))]
fn is_unsupported(_: &io::Error) -> bool {
    false
}

/// Whether the file system does not support locks, as opposed to refusing one.
#[cfg(unix)]
pub(super) fn has_no_locks(error: &io::Error) -> bool {
    use rustix::io::Errno;

    let found = Errno::from_io_error(error);
    let unsupported = [Errno::NOSYS, Errno::NOLCK, Errno::NOTSUP, Errno::OPNOTSUPP];
    error.kind() == io::ErrorKind::Unsupported
        || found.is_some_and(|found| unsupported.contains(&found))
}

#[cfg(not(unix))]
pub(super) fn has_no_locks(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
}

pub(super) fn remove_file(path: &Path) -> io::Result<()> {
    check(Operation::Remove, path)?;
    fs::remove_file(path)
}

pub(super) fn remove_folder(path: &Path) -> io::Result<()> {
    check(Operation::Remove, path)?;
    fs::remove_dir_all(path)
}
