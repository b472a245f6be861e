//! Finding the files of a known data set, on disk or else by downloading them.
//!
//! Whether a file is the published one is decided in `verification`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::known::MAX_BYTES;
use crate::verification::{Verification, verify};
use crate::{
    DataError, DownloadProgress, ImageDataset, KnownDataset, KnownFile, PublishedDigest,
    SearchedPlace, Splits, file,
};

/// Finds, verifies and loads a [`KnownDataset`].
///
/// It searches these directories in order: the one given by
/// [`with_directory`](Self::with_directory), the one in the environment variable `LENET_DATA_DIR`,
/// `datasets/` in the working directory, and `lenet/` in the user's cache directory. In each, the
/// files may be plain or gzip-compressed, in the data set's own folder (`fashion-mnist/`) or in
/// torchvision's (`FashionMNIST/raw/`); in the first two also in the directory itself. The first
/// folder with all four files is used. A damaged or foreign file in it is an error; the search
/// never silently moves on to another folder.
///
/// With the feature `download`, a data set that is not on disk is downloaded to the cache
/// directory, unless [`with_download(false)`](Self::with_download) is set or the environment
/// variable `LENET_OFFLINE` is set and not empty. Downloads are tested on Linux. On Windows they
/// are untested, but use only file operations that Windows documents as permitted.
///
/// Every file must have the digest of the published one. KMNIST publishes digests of the
/// compressed files only: decompressed copies are verified by type and shape, which
/// [`Splits::verification`] reports and a `tracing` warning points out.
///
/// ```
/// use lenet_data::{DataError, KnownDataset, Loader};
///
/// let empty = tempfile::tempdir()?;
/// let loader = Loader::new(KnownDataset::Kmnist)
///     .with_directory(empty.path())
///     .with_download(false);
/// match loader.load() {
///     Ok(splits) => println!("{} images", splits.train.len()),
///     Err(DataError::Missing { searched, .. }) => {
///         assert_eq!(searched[0].folder, empty.path().join("kmnist"));
///         assert_eq!(searched[0].missing.len(), 4);
///     }
///     Err(other) => return Err(other.into()),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Loader<'a> {
    dataset: KnownDataset,
    files: [KnownFile; 4],
    directory: Option<PathBuf>,
    cache: Option<PathBuf>,
    download: DownloadOptions<'a>,
}

#[cfg_attr(
    not(feature = "download"),
    allow(dead_code, reason = "only downloads read it")
)]
struct DownloadOptions<'a> {
    enabled: bool,
    mirrors: Vec<String>,
    timeout: Duration,
    progress: Option<&'a dyn DownloadProgress>,
}

impl<'a> Loader<'a> {
    /// A loader that searches the usual directories, and downloads what is missing if the feature
    /// `download` is enabled.
    pub fn new(dataset: KnownDataset) -> Self {
        let mirrors = dataset.mirrors().iter().map(|&url| url.to_owned());
        Self {
            dataset,
            files: dataset.files(),
            directory: None,
            cache: dirs::cache_dir().map(|cache| cache.join("lenet")),
            download: DownloadOptions {
                enabled: true,
                mirrors: mirrors.collect(),
                timeout: Duration::from_secs(60),
                progress: None,
            },
        }
    }

    /// Searches `directory` before all others.
    #[must_use]
    pub fn with_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Sets the directory for downloads, by default `lenet/` in the user's cache directory.
    #[must_use]
    pub fn with_cache_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.cache = Some(directory.into());
        self
    }

    /// Sets the files to expect, by default [`KnownDataset::files`].
    ///
    /// Useful for mirrors that compressed the files again, and for digests that you have
    /// established yourself.
    ///
    /// ```
    /// use lenet_data::{KnownDataset, Loader};
    ///
    /// let mut files = KnownDataset::Kmnist.files();
    /// for file in &mut files {
    ///     file.digest = None; // compressed again
    /// }
    /// let loader = Loader::new(KnownDataset::Kmnist).with_files(files);
    /// ```
    #[must_use]
    pub fn with_files(mut self, files: [KnownFile; 4]) -> Self {
        self.files = files;
        self
    }

    /// Sets whether a missing data set is downloaded, by default `true`.
    ///
    /// Without the feature `download`, nothing is ever downloaded.
    #[must_use]
    pub fn with_download(mut self, enabled: bool) -> Self {
        self.download.enabled = enabled;
        self
    }

    /// Reports the progress of downloads to `progress`.
    #[must_use]
    pub fn with_progress(mut self, progress: &'a dyn DownloadProgress) -> Self {
        self.download.progress = Some(progress);
        self
    }

    /// Sets the mirrors to download from, tried in turn, by default [`KnownDataset::mirrors`].
    ///
    /// Each is a URL ending in `/` under which the gzip-compressed files are found.
    #[must_use]
    pub fn with_mirrors<S: Into<String>>(mut self, mirrors: impl IntoIterator<Item = S>) -> Self {
        self.download.mirrors = mirrors.into_iter().map(Into::into).collect();
        self
    }

    /// Sets how long a mirror may take to respond, and then to send a substantial piece of a
    /// file, by default one minute.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.download.timeout = timeout;
        self
    }

    /// Loads the data set.
    ///
    /// # Errors
    ///
    /// [`DataError::Missing`] if it is not on disk and was not downloaded, with every folder
    /// searched; another [`DataError`] if a file is damaged or is not the published one.
    pub fn load(&self) -> Result<Splits, DataError> {
        let mut searched = Vec::new();
        for (folder, reason) in self.folders() {
            let place = self.search(folder, reason);
            if place.missing.is_empty() {
                let folder = place.folder;
                tracing::debug!(dataset = %self.dataset, folder = %folder.display(), "found");
                return self.read_splits(&folder);
            }
            searched.push(place);
        }
        match self.download() {
            Ok(folder) => self.read_splits(&folder),
            Err(download) => Err(DataError::Missing {
                dataset: self.dataset,
                searched,
                download,
            }),
        }
    }

    /// Whether all files are in one of the directories searched, so that [`load`](Self::load) would not download
    /// anything. Nothing is read or verified.
    ///
    /// ```
    /// use lenet_data::{KnownDataset, Loader};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let loader = Loader::new(KnownDataset::Mnist).with_directory(folder.path());
    /// if !loader.is_on_disk() {
    ///     println!("MNIST would be downloaded");
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn is_on_disk(&self) -> bool {
        let mut folders = self.folders().into_iter();
        folders.any(|(folder, reason)| self.search(folder, reason).missing.is_empty())
    }

    /// Downloads the files and returns their folder, or the reason why not.
    #[cfg(feature = "download")]
    fn download(&self) -> Result<PathBuf, String> {
        if !self.download.enabled {
            return Err("downloads are switched off".to_owned());
        }
        if std::env::var_os("LENET_OFFLINE").is_some_and(|value| !value.is_empty()) {
            return Err("LENET_OFFLINE is set".to_owned());
        }
        let Some(cache) = &self.cache else {
            return Err("this user has no cache directory".to_owned());
        };
        let folder = cache.join(self.dataset.name());
        let request = crate::download::Request {
            dataset: self.dataset,
            files: &self.files,
            mirrors: &self.download.mirrors,
            timeout: self.download.timeout,
            progress: self.download.progress,
        };
        crate::download::fetch(&request, &folder)?;
        Ok(folder)
    }

    #[cfg(not(feature = "download"))]
    fn download(&self) -> Result<PathBuf, String> {
        Err("the feature `download` is disabled".to_owned())
    }

    /// The folders to search, and why.
    fn folders(&self) -> Vec<(PathBuf, &'static str)> {
        let mut folders = Vec::new();
        let mut add = |root: PathBuf, reason, direct: bool| {
            let within = self.dataset.folders();
            folders.extend(within.map(|folder| (root.join(folder), reason)));
            if direct {
                folders.push((root, reason));
            }
        };
        if let Some(directory) = &self.directory {
            add(directory.clone(), "the directory given", true);
        }
        if let Some(directory) = std::env::var_os("LENET_DATA_DIR").filter(|d| !d.is_empty()) {
            add(directory.into(), "LENET_DATA_DIR", true);
        }
        add(PathBuf::from("datasets"), "the working directory", false);
        if let Some(cache) = &self.cache {
            add(cache.clone(), "the user's cache", false);
        }
        folders
    }

    fn search(&self, folder: PathBuf, reason: &'static str) -> SearchedPlace {
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for file in &self.files {
            match find(&folder, file) {
                Some(name) => found.push(name),
                None => missing.push(file.name),
            }
        }
        SearchedPlace {
            folder,
            reason,
            found,
            missing,
        }
    }

    fn read_splits(&self, folder: &Path) -> Result<Splits, DataError> {
        let read = |file: &KnownFile| {
            // A file removed since the search is reported under its plain name.
            let name = find(folder, file).unwrap_or_else(|| file.name.to_owned());
            let path = folder.join(name);
            let raw = file::read(&path, MAX_BYTES)?;
            let (idx, by) = verify(self.dataset, file, &path, raw)?;
            if by == Verification::Shape {
                tracing::warn!(dataset = %self.dataset, path = %path.display(), "verified by {by}");
            }
            Ok::<_, DataError>((idx, by))
        };
        let part = |images: &KnownFile, labels: &KnownFile| {
            let (images, images_by) = read(images)?;
            let (labels, labels_by) = read(labels)?;
            let (name, class_names) = (self.dataset.name(), self.dataset.class_names());
            let part = ImageDataset::from_idx(name, images, labels, class_names)?;
            Ok::<_, DataError>(part.verified_by(images_by.min(labels_by)))
        };
        let [train_images, train_labels, test_images, test_labels] = &self.files;
        Ok(Splits {
            train: part(train_images, train_labels)?,
            test: part(test_images, test_labels)?,
        })
    }
}

/// The name of the file in this folder, plain or compressed; if both exist, the form that has a
/// digest.
fn find(folder: &Path, file: &KnownFile) -> Option<String> {
    let mut names = [file.name.to_owned(), format!("{}.gz", file.name)];
    if let Some(PublishedDigest::GzipMd5(_)) = file.digest {
        names.reverse();
    }
    names.into_iter().find(|name| folder.join(name).is_file())
}
