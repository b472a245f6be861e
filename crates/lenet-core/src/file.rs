//! Files that are read within bounds, and written whole or not at all.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

/// Writes a file that is there whole or not at all, whatever happens meanwhile; an older one of the
/// name stays until the new one is on disk.
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
/// What the file system says; what was there before is then untouched.
pub fn write_file(path: impl AsRef<Path>, bytes: &[u8]) -> io::Result<()> {
    let path = path.as_ref();
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut file = temporary_file().tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync_folder(folder)
}

/// A name is on disk once its folder is.
fn sync_folder(folder: &Path) -> io::Result<()> {
    // Elsewhere than on Unix, and where it must not be read, a folder cannot be opened.
    match File::open(folder) {
        Ok(folder) if cfg!(unix) => folder.sync_all(),
        _ => Ok(()),
    }
}

/// A file that anybody may read once it has its name, as any other new file.
fn temporary_file() -> tempfile::Builder<'static, 'static> {
    #[allow(unused_mut, reason = "permissions are a matter of Unix")]
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder
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
    let file = File::open(path)?;
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
