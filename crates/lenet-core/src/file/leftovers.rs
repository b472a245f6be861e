//! Unfinished files of killed processes: how they are recognised, and when they are removed.

use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;
use std::time::Duration;

use super::operations::{self, PREFIX, RANDOM_CHARACTERS, SUFFIX};

/// Much longer than it takes to write any file from memory.
pub(super) const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Removes the unfinished files that killed calls of [`write_file`](super::write_file) left in a folder and
/// that were last written at least `age` ago.
///
/// An age of zero is only safe if no other process writes to the folder, for example while holding its lock.
/// Files that cannot be removed stay; they do no harm.
///
/// ```
/// use std::time::Duration;
///
/// use lenet_core::file::remove_leftovers;
///
/// let folder = tempfile::tempdir()?;
/// let leftover = folder.path().join(".lenet-1aB2cD3e.tmp");
/// std::fs::write(&leftover, b"1 2")?;
/// remove_leftovers(folder.path(), Duration::from_secs(60));
/// assert!(leftover.exists());
/// remove_leftovers(folder.path(), Duration::ZERO);
/// assert!(!leftover.exists());
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn remove_leftovers(folder: impl AsRef<Path>, age: Duration) {
    // A folder that cannot be read has nothing to clean up.
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if is_leftover(&entry) && is_older(&entry, age).unwrap_or(false) {
            let _ = operations::remove_file(&entry.path());
        }
    }
}

fn is_leftover(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    let name = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
    name.and_then(|name| name.strip_suffix(SUFFIX))
        .is_some_and(|random| {
            random.len() == RANDOM_CHARACTERS
                && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
}

/// Whether this is a file, not a folder or a link, of at least this age.
fn is_older(entry: &DirEntry, age: Duration) -> io::Result<bool> {
    let metadata = entry.metadata()?;
    // Clocks of a server and its clients differ: a time in the future means a new file.
    let found = metadata.modified()?.elapsed().unwrap_or_default();
    Ok(metadata.is_file() && found >= age)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::SystemTime;

    use super::super::write_file;
    use super::*;

    #[test]
    fn only_old_files_with_our_names_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let yesterday = SystemTime::now() - A_DAY - Duration::from_secs(1);
        let create = |name: &str, modified| {
            let file = File::create(folder.path().join(name)).unwrap();
            file.set_modified(modified).unwrap();
        };
        let kept = [
            (".lenet-0123456.tmp", yesterday),
            (".lenet-0123456_.tmp", yesterday),
            (".lenet-01234567.tmp.gz", yesterday),
            (".tmp1a2B3c", yesterday),
            ("lenet-01234567.tmp", yesterday),
            (".lenet-abcdefgh.tmp", SystemTime::now()),
            (".lenet-ijklmnop.tmp", SystemTime::now() + A_DAY),
        ];
        for (name, modified) in kept {
            create(name, modified);
        }
        let a_folder = folder.path().join(".lenet-12345678.tmp");
        fs::create_dir(&a_folder).unwrap();
        create(".lenet-01234567.tmp", yesterday);
        create(".lenet-aBcDeFgH.tmp", yesterday);

        write_file(folder.path().join("file"), b"1 2 3").unwrap();
        assert!(!folder.path().join(".lenet-01234567.tmp").exists());
        assert!(!folder.path().join(".lenet-aBcDeFgH.tmp").exists());
        for (name, _) in kept {
            assert!(folder.path().join(name).exists(), "{name}");
        }

        remove_leftovers(folder.path(), Duration::ZERO);
        assert!(a_folder.exists());
        assert!(!folder.path().join(".lenet-abcdefgh.tmp").exists());
        assert!(!folder.path().join(".lenet-ijklmnop.tmp").exists());
    }

    /// The next process recognises what a killed one was writing.
    #[test]
    fn a_temporary_file_has_the_name_of_a_leftover() {
        let folder = tempfile::tempdir().unwrap();
        let file = operations::create_temporary(folder.path()).unwrap();
        let (_, path) = file.keep().unwrap();
        remove_leftovers(folder.path(), Duration::ZERO);
        assert!(!path.exists());
    }
}
