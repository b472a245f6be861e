//! A file of lines that grows, such as results in JSON Lines.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::{folder_of, lock_file, operations, read_within};

/// A file that grows by complete lines and that no other process can open as an `AppendFile` meanwhile.
///
/// Where the file system has no locks, or does not apply them between machines, two processes can open it. Before each
/// line it is therefore checked that nobody else has written to it.
///
/// An appended line is on disk. A killed process may leave the beginning of another line, without a newline:
/// the reader removes it with [`truncate`](Self::truncate).
///
/// ```
/// use lenet_core::file::AppendFile;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("results.jsonl");
/// let mut results = AppendFile::open(&path)?;
/// results.append_line(b"{\"seed\":0}")?;
/// results.append_line(b"{\"seed\":1}")?;
/// assert_eq!(results.read(100)?, b"{\"seed\":0}\n{\"seed\":1}\n");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct AppendFile {
    path: PathBuf,
    file: File,
    /// Where the next line begins.
    end: u64,
    /// Whether part of a line may follow the end.
    is_dirty: bool,
}

impl AppendFile {
    /// Opens a file, or creates an empty one, and locks it against other processes until it is closed.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] if another process keeps the lock, and any I/O error.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let file = lock_file(path)?;
        // Even for an existing file: its creator may have been killed before this.
        operations::sync_folder(folder_of(path))?;
        Ok(Self {
            end: file.metadata()?.len(),
            path: path.to_owned(),
            file,
            is_dirty: false,
        })
    }

    /// The contents of the file.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::FileTooLarge`] above `limit` bytes, and any I/O error.
    pub fn read(&self, limit: u64) -> io::Result<Vec<u8>> {
        (&self.file).seek(SeekFrom::Start(0))?;
        read_within(&self.file, limit)
    }

    /// Keeps the first `length` bytes and removes the rest, such as a line without a newline.
    ///
    /// # Errors
    ///
    /// Any I/O error.
    pub fn truncate(&mut self, length: u64) -> io::Result<()> {
        operations::truncate(&self.file, &self.path, length)?;
        self.end = length;
        self.is_dirty = false;
        Ok(())
    }

    /// Appends a line and its newline, and syncs them to disk.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] if the line contains a newline, [`io::ErrorKind::ResourceBusy`] if another
    /// process has written to the file, and any I/O error. What was written of the line is then removed, and later
    /// lines can be appended.
    pub fn append_line(&mut self, line: &[u8]) -> io::Result<()> {
        if line.contains(&b'\n') {
            let message = "a line to append must not contain a newline";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        if self.is_dirty {
            self.truncate(self.end)?;
        }
        self.check_end()?;
        let line = [line, b"\n"].concat();
        self.is_dirty = true;
        let written = self.write(&line);
        if written.is_ok() {
            self.end += line.len() as u64;
            self.is_dirty = false;
        } else {
            // A later line must not follow half a line, such as one cut short by a full disk. If truncating
            // fails too, the next line or the next start tries again.
            let _ = self.truncate(self.end);
        }
        written
    }

    /// Checks that the file ends where this process left it. It is opened anew, because a network file system then asks
    /// its server instead of a cache.
    fn check_end(&self) -> io::Result<()> {
        let found = File::open(&self.path)?.metadata()?.len();
        if found == self.end {
            return Ok(());
        }
        let message = format!(
            "another process has written to it: expected {} bytes, found {found}",
            self.end
        );
        Err(io::Error::new(io::ErrorKind::ResourceBusy, message))
    }

    fn write(&self, line: &[u8]) -> io::Result<()> {
        (&self.file).seek(SeekFrom::Start(self.end))?;
        operations::write(&self.file, &self.path, line)?;
        operations::sync(&self.file, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::faults;
    use super::*;

    #[test]
    fn whatever_fails_the_file_has_the_lines_that_were_appended() {
        for fault in ["write:2", "write:2+", "sync:2", "truncate:1+", "any:5+"] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("lines");
            let mut expected = Vec::new();
            for lines in [
                [&b"a long line to begin with"[..], b"2", b"33"],
                [b"4", b"5", b"6"],
            ] {
                let mut file = AppendFile::open(&path).unwrap();
                let found = file.read(100).unwrap();
                let whole = found.iter().rposition(|&byte| byte == b'\n');
                file.truncate(whole.map_or(0, |newline| newline as u64 + 1))
                    .unwrap();
                let injection = faults::inject(folder.path(), fault.parse().unwrap());
                for line in lines {
                    if file.append_line(line).is_ok() {
                        expected.extend([line, b"\n"].concat());
                    }
                }
                drop(injection);
            }
            let mut found = fs::read(&path).unwrap();
            // What the next start does.
            found.truncate(found.iter().rposition(|&byte| byte == b'\n').unwrap() + 1);
            assert_eq!(
                String::from_utf8_lossy(&found),
                String::from_utf8_lossy(&expected),
                "{fault}"
            );
        }
    }

    /// The first line fails and cannot be removed at once; the shorter next line must not end with its rest.
    #[test]
    fn a_part_that_could_not_be_cut_off_is_cut_off_before_the_next_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        let mut file = AppendFile::open(&path).unwrap();
        let sync = faults::inject(folder.path(), "sync:1".parse().unwrap());
        let truncate = faults::inject(folder.path(), "truncate:1".parse().unwrap());
        file.append_line(b"a long line").unwrap_err();
        assert_eq!((sync.failed().len(), truncate.failed().len()), (1, 1));
        assert_eq!(fs::read(&path).unwrap(), b"a long line\n");
        file.append_line(b"short").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"short\n");
    }

    #[test]
    fn a_line_after_those_of_another_writer_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        let mut file = AppendFile::open(&path).unwrap();
        file.append_line(b"one").unwrap();
        // As another machine can, where locks do not reach it.
        fs::write(&path, b"one\nother\n").unwrap();
        let error = file.append_line(b"two").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
        assert_eq!(fs::read(&path).unwrap(), b"one\nother\n");

        fs::remove_file(&path).unwrap();
        let error = file.append_line(b"two").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_newline_in_a_line_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = AppendFile::open(folder.path().join("lines")).unwrap();
        let error = file.append_line(b"one\ntwo").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(file.read(100).unwrap(), b"");
    }

    #[test]
    fn the_folder_of_a_new_file_is_synced() {
        let folder = tempfile::tempdir().unwrap();
        let injection = faults::inject(folder.path(), "sync-folder:1".parse().unwrap());
        AppendFile::open(folder.path().join("lines")).unwrap_err();
        assert_eq!(injection.failed().len(), 1);
    }
}
