//! Whether a file is the published one.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::path::Path;

use md5::Md5;
use sha2::{Digest, Sha256};

use crate::idx::{self, Header};
use crate::known::MAX_BYTES;
use crate::{DataError, KnownDataset, KnownFile};

/// What vouches for the images of a published data set, the weaker first.
///
/// ```
/// use lenet_data::Verification;
///
/// assert!(Verification::Shape < Verification::Digest);
/// assert_eq!(Verification::Shape.to_string(), "type and shape alone");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Verification {
    /// Element type and shape alone, and that no file has the digest of another one: none is known
    /// for files in this form, such as KMNIST's once they are decompressed.
    Shape,
    /// The digests of the published files.
    Digest,
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shape => "type and shape alone",
            Self::Digest => "digest",
        })
    }
}

/// The decompressed bytes of a file that passed.
pub(crate) struct Verified<'a> {
    pub(crate) bytes: Cow<'a, [u8]>,
    pub(crate) by: Verification,
}

/// Compares a file with the published one, as far as its digest is known.
pub(crate) fn verify<'a>(
    dataset: KnownDataset,
    file: &KnownFile,
    path: &Path,
    raw: &'a [u8],
) -> Result<Verified<'a>, DataError> {
    let idx_error = |source| DataError::Idx {
        path: path.to_owned(),
        source,
    };
    let bytes = idx::decode(raw, MAX_BYTES as usize).map_err(idx_error)?;
    let header = Header::parse(&bytes).map_err(idx_error)?;
    header.check_len(bytes.len()).map_err(idx_error)?;

    let sha256 = hexadecimal(&Sha256::digest(&bytes));
    // Nothing is left to ask once the first digest is that of the published file.
    let asks_for_md5 = matches!(bytes, Cow::Owned(_)) && file.sha256 != Some(&sha256);
    let gzip_md5 = asks_for_md5.then(|| hexadecimal(&Md5::digest(raw)));
    // Before the shape: it names the file even where it lies under the name of another one.
    if let Some((found_dataset, found)) = KnownDataset::publisher(&sha256, gzip_md5.as_deref())
        && (found_dataset, found) != (dataset, file.name)
    {
        return Err(DataError::Foreign {
            path: path.to_owned(),
            dataset,
            expected: file.name,
            found_dataset,
            found,
        });
    }
    if header.shape != file.shape {
        return Err(DataError::Shape {
            path: path.to_owned(),
            dataset,
            expected: file.shape.to_vec(),
            found: header.shape,
        });
    }
    let by = match (file.sha256, file.gzip_md5, gzip_md5) {
        (Some(expected), _, _) if sha256 != expected => {
            return Err(DataError::Digest {
                path: path.to_owned(),
                dataset,
                expected: expected.to_owned(),
                found: sha256,
            });
        }
        (None, Some(expected), Some(found)) if found != expected => {
            return Err(DataError::GzipDigest {
                path: path.to_owned(),
                dataset,
                expected: expected.to_owned(),
                found,
            });
        }
        (Some(_), _, _) | (None, Some(_), Some(_)) => Verification::Digest,
        (None, None, _) | (None, _, None) => Verification::Shape,
    };
    Ok(Verified { bytes, by })
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
