use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::known::MAX_BYTES;
use crate::verification::{Verification, verify};
use crate::{DataError, ImageDataset, KnownDataset, KnownFile, SearchedPlace, Splits};

/// How long a mirror may be silent or slow.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Told of every piece of a download.
pub trait DownloadProgress {
    /// `received` bytes of `file` have come so far; `total` as the server announced it, if it did.
    fn received(&self, file: &str, received: u64, total: Option<u64>);
}

/// Finds, verifies and loads a [`KnownDataset`].
///
/// The places, in this order: the directory given, the directory in the environment variable
/// `LENET_DATA_DIR`, `datasets/` in the working directory, `lenet/` in the user's cache directory.
/// In each, the files may be plain or gzip-compressed, in the data set's folder
/// (`fashion-mnist/`) or in torchvision's (`FashionMNIST/raw/`); in the first two also directly.
/// The first folder that has all four is used, and a damaged or foreign file there is an error,
/// never silently passed over.
///
/// A file must have the digest of the published one. KMNIST's digests are of the compressed files:
/// where only decompressed ones lie, they are verified by type and shape alone, which
/// [`Splits::verification`] reports and a warning of `tracing` names.
///
/// With the feature `download` and [`with_download`](Self::with_download), a data set found
/// nowhere is fetched into the cache directory, unless the environment variable `LENET_OFFLINE` is
/// set and not empty. Downloads are tested on Linux. Files are opened, truncated and renamed only in
/// ways that Windows documents as permitted, but no Windows machine was at hand to try it.
///
/// ```
/// use lenet_data::{DataError, KnownDataset, Loader};
///
/// let nowhere = tempfile::tempdir()?;
/// let loader = Loader::new(KnownDataset::Kmnist).with_directory(nowhere.path());
/// match loader.load() {
///     Ok(splits) => println!("{} images", splits.train.len()),
///     Err(DataError::Missing { searched, .. }) => {
///         assert_eq!(searched[0].folder, nowhere.path().join("kmnist"));
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
    #[cfg_attr(not(feature = "download"), allow(dead_code))]
    mirrors: Vec<String>,
    #[cfg_attr(not(feature = "download"), allow(dead_code))]
    timeout: Duration,
    #[cfg_attr(not(feature = "download"), allow(dead_code))]
    download: Option<&'a dyn DownloadProgress>,
}

impl<'a> Loader<'a> {
    /// A loader that searches the usual places and downloads nothing.
    pub fn new(dataset: KnownDataset) -> Self {
        Self {
            dataset,
            files: dataset.files(),
            directory: None,
            cache: dirs::cache_dir().map(|cache| cache.join("lenet")),
            mirrors: dataset
                .mirrors()
                .iter()
                .map(|&url| url.to_owned())
                .collect(),
            timeout: TIMEOUT,
            download: None,
        }
    }

    /// Looks in `directory` before all other places.
    #[must_use]
    pub fn with_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Uses `directory` in place of `lenet/` in the user's cache directory.
    #[must_use]
    pub fn with_cache_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.cache = Some(directory.into());
        self
    }

    /// Uses these folders of the web, each ending in `/`, in place of
    /// [`KnownDataset::mirrors`].
    #[must_use]
    pub fn with_mirrors<S: Into<String>>(mut self, mirrors: impl IntoIterator<Item = S>) -> Self {
        self.mirrors = mirrors.into_iter().map(Into::into).collect();
        self
    }

    /// Expects these files in place of [`KnownDataset::files`], such as those of a mirror that
    /// compressed them again, or whose digests you have established yourself.
    ///
    /// ```
    /// use lenet_data::{KnownDataset, Loader};
    ///
    /// let mut files = KnownDataset::Kmnist.files();
    /// for file in &mut files {
    ///     file.gzip_md5 = None; // compressed again
    /// }
    /// let loader = Loader::new(KnownDataset::Kmnist).with_files(files);
    /// ```
    #[must_use]
    pub fn with_files(mut self, files: [KnownFile; 4]) -> Self {
        self.files = files;
        self
    }

    /// Gives a mirror this long to answer and, each time, to send a piece of a file worth going on with, in
    /// place of a minute.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Fetches the data set if it is found nowhere, telling `progress`.
    #[cfg(feature = "download")]
    #[must_use]
    pub fn with_download(mut self, progress: &'a dyn DownloadProgress) -> Self {
        self.download = Some(progress);
        self
    }

    /// Loads the data set.
    ///
    /// # Errors
    ///
    /// [`DataError::Missing`] if it is found nowhere and was not downloaded, naming every folder;
    /// another [`DataError`] if a file that is there cannot be trusted.
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
        self.fetch(searched)
    }

    #[cfg(feature = "download")]
    fn fetch(&self, searched: Vec<SearchedPlace>) -> Result<Splits, DataError> {
        let missing = |searched, download| DataError::Missing {
            dataset: self.dataset,
            searched,
            download,
        };
        let offline = std::env::var_os("LENET_OFFLINE").is_some_and(|value| !value.is_empty());
        let (progress, cache) = match (self.download, &self.cache) {
            (None, _) => {
                return Err(missing(
                    searched,
                    "downloading was not asked for".to_owned(),
                ));
            }
            _ if offline => return Err(missing(searched, "LENET_OFFLINE is set".to_owned())),
            (_, None) => {
                return Err(missing(
                    searched,
                    "this user has no cache directory".to_owned(),
                ));
            }
            (Some(progress), Some(cache)) => (progress, cache),
        };
        let folder = cache.join(self.dataset.name());
        let request = crate::download::Request {
            dataset: self.dataset,
            files: &self.files,
            mirrors: &self.mirrors,
            timeout: self.timeout,
        };
        match crate::download::fetch(&request, &folder, progress) {
            Ok(()) => self.read_splits(&folder),
            Err(reason) => Err(missing(searched, reason)),
        }
    }

    #[cfg(not(feature = "download"))]
    fn fetch(&self, searched: Vec<SearchedPlace>) -> Result<Splits, DataError> {
        Err(DataError::Missing {
            dataset: self.dataset,
            searched,
            download: "this build has no `download` feature".to_owned(),
        })
    }

    /// The folders to look at, and why.
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
        let load = |file: &KnownFile| {
            let path = folder.join(find(folder, file).unwrap_or_else(|| file.name.to_owned()));
            let raw = read(&path).map_err(|source| DataError::Io {
                path: path.clone(),
                source,
            })?;
            let verified = verify(self.dataset, file, &path, &raw)?;
            let by = verified.by;
            if by == Verification::Shape {
                tracing::warn!(dataset = %self.dataset, path = %path.display(), "verified by {by}");
            }
            let inflated = match verified.bytes {
                Cow::Owned(inflated) => Some(inflated),
                Cow::Borrowed(_) => None,
            };
            Ok::<_, DataError>((path, inflated.unwrap_or(raw), by))
        };
        let part = |images: &KnownFile, labels: &KnownFile| {
            let (images_path, images, images_by) = load(images)?;
            let (labels_path, labels, labels_by) = load(labels)?;
            let part = ImageDataset::from_idx(
                self.dataset.name(),
                (&images_path, images),
                (&labels_path, labels),
                self.dataset.class_names(),
            )?;
            Ok::<_, DataError>(part.verified_by(images_by.min(labels_by)))
        };
        let [train_images, train_labels, test_images, test_labels] = &self.files;
        Ok(Splits {
            train: part(train_images, train_labels)?,
            test: part(test_images, test_labels)?,
        })
    }
}

/// Reads a file that is not absurdly large, whatever the file system says of its size.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut raw = Vec::new();
    let file = File::open(path)?;
    file.take(MAX_BYTES + 1).read_to_end(&mut raw)?;
    match raw.len() as u64 {
        ..=MAX_BYTES => Ok(raw),
        _ => Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("more than {MAX_BYTES} bytes: no file of the family is that large"),
        )),
    }
}

/// The name under which the file lies in this folder: plain or compressed, first the form that has a
/// digest.
fn find(folder: &Path, file: &KnownFile) -> Option<String> {
    let mut names = [file.name.to_owned(), format!("{}.gz", file.name)];
    if file.sha256.is_none() && file.gzip_md5.is_some() {
        names.reverse();
    }
    names.into_iter().find(|name| folder.join(name).is_file())
}
