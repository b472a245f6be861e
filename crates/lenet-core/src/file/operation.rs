//! The kinds of operation that change the file system, by name.

/// An operation that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(any(test, feature = "faults")),
    allow(unreachable_pub, dead_code, reason = "only tests name it")
)]
pub enum Operation {
    /// Opening a file that may have to be created, or creating a folder.
    Create,
    /// Writing bytes to a file.
    Write,
    /// Truncating a file.
    Truncate,
    /// Syncing a file to disk.
    Sync,
    /// Giving a file its name.
    Rename,
    /// Syncing a folder, and with it the names of its files, to disk.
    SyncFolder,
    /// Removing a file or a folder.
    Remove,
}
