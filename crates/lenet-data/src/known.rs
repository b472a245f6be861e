//! The known data sets: class names, files, digests, mirrors and licences. No file is touched here.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Largest file to read or download in bytes, also once decompressed; the largest published one has
/// 47 MB.
pub(crate) const MAX_BYTES: u64 = 64 << 20;

/// A data set of the MNIST family: 28×28 grey images of ten classes, 60,000 to train on and 10,000
/// to test with.
///
/// ```
/// use lenet_data::KnownDataset;
///
/// let dataset: KnownDataset = "fashion-mnist".parse()?;
/// assert_eq!(dataset.class_names()[9], "ankle boot");
/// assert_eq!(dataset.files().len(), 4);
/// # Ok::<(), lenet_data::UnknownDataset>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KnownDataset {
    /// Handwritten digits (LeCun, Cortes and Burges, 1998).
    Mnist,
    /// Articles of clothing (Xiao, Rasul and Vollgraf, 2017).
    FashionMnist,
    /// Handwritten Hiragana (Clanuwat et al., 2018).
    Kmnist,
}

/// One file of a data set, as published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KnownFile {
    /// Its name without `.gz`.
    pub name: &'static str,
    /// Dimensions in its IDX header: `[images, 28, 28]` or `[labels]`.
    pub shape: &'static [usize],
    /// Its digest, if one is known.
    pub digest: Option<PublishedDigest>,
}

/// The digest of a published file, in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublishedDigest {
    /// SHA-256 of the decompressed bytes.
    Sha256(&'static str),
    /// MD5 of the gzip-compressed file.
    GzipMd5(&'static str),
}

impl fmt::Display for PublishedDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(digest) => write!(f, "SHA-256 {digest} of the decompressed bytes"),
            Self::GzipMd5(digest) => write!(f, "MD5 {digest} of the compressed file"),
        }
    }
}

/// A name that is not the name of a known data set.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown data set '{found}': expected mnist, fashion-mnist or kmnist")]
pub struct UnknownDataset {
    /// The name.
    pub found: String,
}

impl KnownDataset {
    /// All known data sets.
    pub const ALL: [Self; 3] = [Self::Mnist, Self::FashionMnist, Self::Kmnist];

    /// The name that is parsed and printed, also the name of its folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mnist => "mnist",
            Self::FashionMnist => "fashion-mnist",
            Self::Kmnist => "kmnist",
        }
    }

    /// The names of the ten classes in the order of the labels.
    pub fn class_names(self) -> [&'static str; 10] {
        match self {
            Self::Mnist => ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
            Self::FashionMnist => [
                "t-shirt",
                "trouser",
                "pullover",
                "dress",
                "coat",
                "sandal",
                "shirt",
                "sneaker",
                "bag",
                "ankle boot",
            ],
            Self::Kmnist => ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"],
        }
    }

    /// The web page of the data set.
    pub fn homepage(self) -> &'static str {
        match self {
            Self::Mnist => "http://yann.lecun.com/exdb/mnist/",
            Self::FashionMnist => "https://github.com/zalandoresearch/fashion-mnist",
            Self::Kmnist => "http://codh.rois.ac.jp/kmnist/",
        }
    }

    /// The licence, and the people or organisation behind the data set.
    pub fn licence(self) -> &'static str {
        match self {
            Self::Mnist => "no explicit licence; Yann LeCun, Corinna Cortes, Christopher Burges",
            Self::FashionMnist => "MIT, Zalando SE",
            Self::Kmnist => "CC BY-SA 4.0, ROIS-DS Center for Open Data in the Humanities",
        }
    }

    /// URLs, each ending in `/`, under which the gzip-compressed files are published; tried in turn.
    pub fn mirrors(self) -> &'static [&'static str] {
        match self {
            Self::Mnist => &[
                "https://ossci-datasets.s3.amazonaws.com/mnist/",
                "https://storage.googleapis.com/cvdf-datasets/mnist/",
            ],
            Self::FashionMnist => &[
                "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
                "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            ],
            Self::Kmnist => &["http://codh.rois.ac.jp/kmnist/dataset/kmnist/"],
        }
    }

    /// The four files: images and labels to train on, then images and labels to test with.
    ///
    /// MNIST and Fashion-MNIST are verified by the SHA-256 of the decompressed files, KMNIST by the
    /// MD5 of the compressed ones. Decompressed files of KMNIST are verified by type and shape alone.
    ///
    /// ```
    /// use lenet_data::KnownDataset;
    ///
    /// let [images, ..] = KnownDataset::Mnist.files();
    /// assert_eq!((images.name, images.shape), ("train-images-idx3-ubyte", &[60_000, 28, 28][..]));
    /// ```
    pub fn files(self) -> [KnownFile; 4] {
        let [train_images, train_labels, test_images, test_labels] = match self {
            Self::Mnist => [
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ]
            .map(PublishedDigest::Sha256),
            Self::FashionMnist => [
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ]
            .map(PublishedDigest::Sha256),
            Self::Kmnist => [
                "bdb82020997e1d708af4cf47b453dcf7",
                "e144d726b3acfaa3e44228e80efcd344",
                "5c965bf0a639b31b8f53240b1b52f4d7",
                "7320c461ea6c1c855c0b718fb2a4b134",
            ]
            .map(PublishedDigest::GzipMd5),
        };
        let file = |name, shape, digest| KnownFile {
            name,
            shape,
            digest: Some(digest),
        };
        [
            file("train-images-idx3-ubyte", &[60_000, 28, 28], train_images),
            file("train-labels-idx1-ubyte", &[60_000], train_labels),
            file("t10k-images-idx3-ubyte", &[10_000, 28, 28], test_images),
            file("t10k-labels-idx1-ubyte", &[10_000], test_labels),
        ]
    }

    /// The published file with one of these digests, and its data set.
    pub(crate) fn publisher(
        sha256: &str,
        gzip_md5: Option<&str>,
    ) -> Option<(KnownDataset, &'static str)> {
        Self::ALL.into_iter().find_map(|dataset| {
            let files = dataset.files().into_iter();
            let mut same = files.filter(|file| match file.digest {
                Some(PublishedDigest::Sha256(digest)) => digest == sha256,
                Some(PublishedDigest::GzipMd5(digest)) => Some(digest) == gzip_md5,
                None => false,
            });
            same.next().map(|file| (dataset, file.name))
        })
    }

    /// Folders of a data directory to search; the second is torchvision's.
    pub(crate) fn folders(self) -> [&'static str; 2] {
        match self {
            Self::Mnist => ["mnist", "MNIST/raw"],
            Self::FashionMnist => ["fashion-mnist", "FashionMNIST/raw"],
            Self::Kmnist => ["kmnist", "KMNIST/raw"],
        }
    }
}

impl fmt::Display for KnownDataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for KnownDataset {
    type Err = UnknownDataset;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|dataset| dataset.name() == name)
            .ok_or_else(|| UnknownDataset {
                found: name.to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_file_is_recognised_by_either_digest() {
        for dataset in KnownDataset::ALL {
            for file in dataset.files() {
                let found = match file.digest.unwrap() {
                    PublishedDigest::Sha256(digest) => KnownDataset::publisher(digest, None),
                    PublishedDigest::GzipMd5(digest) => KnownDataset::publisher("", Some(digest)),
                };
                assert_eq!(found, Some((dataset, file.name)));
            }
        }
        assert_eq!(KnownDataset::publisher("", None), None);
        assert_eq!(KnownDataset::publisher("0", Some("0")), None);
    }
}
