//! The progress of a download, apart from loading and downloading, which both use it.

/// Receives the progress of a download; see [`Loader::with_progress`](crate::Loader::with_progress).
pub trait DownloadProgress {
    /// Called for every piece of `file`: the bytes `received` so far, and the `total` if the
    /// server announced it.
    fn received(&self, file: &str, received: u64, total: Option<u64>);
}
