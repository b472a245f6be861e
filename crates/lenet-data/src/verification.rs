//! Whether a file is the published one, and how we know.

use std::fmt;
use std::path::Path;

use md5::Md5;
use sha2::{Digest, Sha256};

use crate::gzip;
use crate::idx::Idx;
use crate::known::MAX_BYTES;
use crate::{DataError, IdxFile, KnownDataset, KnownFile, PublishedDigest};

/// How the images of a published data set were verified, the weaker way first.
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
    /// By element type and shape alone, and by not having the digest of any other published file.
    ///
    /// No digest is published for files in this form, such as those of KMNIST once decompressed.
    Shape,
    /// By the digests of the published files.
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

/// Decompresses a file and compares it with the published one, as far as digests are known.
pub(crate) fn verify(
    dataset: KnownDataset,
    file: &KnownFile,
    path: &Path,
    raw: Vec<u8>,
) -> Result<(IdxFile, Verification), DataError> {
    let (idx, compressed) = if gzip::is_gzip(&raw) {
        (gzip::inflate_idx(&raw, MAX_BYTES as usize), Some(raw))
    } else {
        (Idx::parse(raw), None)
    };
    let path = path.to_owned();
    let idx = match idx {
        Ok(idx) => idx,
        Err(source) => return Err(DataError::Idx { path, source }),
    };

    let sha256 = hexadecimal(&Sha256::digest(idx.bytes()));
    // The second digest is needed only if the first does not settle it.
    let settled = matches!(file.digest, Some(PublishedDigest::Sha256(digest)) if digest == sha256);
    let compressed = compressed.filter(|_| !settled);
    let gzip_md5 = compressed.map(|bytes| hexadecimal(&Md5::digest(bytes)));
    // Before the shape, because a file under the wrong name has another shape.
    if let Some((found_dataset, found)) = KnownDataset::publisher(&sha256, gzip_md5.as_deref())
        && (found_dataset, found) != (dataset, file.name)
    {
        return Err(DataError::Foreign {
            path,
            dataset,
            expected: file.name,
            found_dataset,
            found,
        });
    }
    if idx.shape() != file.shape {
        return Err(DataError::Shape {
            path,
            dataset,
            expected: file.shape.to_vec(),
            found: idx.shape().to_vec(),
        });
    }
    let found = match file.digest {
        Some(PublishedDigest::Sha256(_)) => Some(sha256),
        Some(PublishedDigest::GzipMd5(_)) => gzip_md5,
        None => None,
    };
    let by = match (file.digest, found) {
        (Some(PublishedDigest::Sha256(digest) | PublishedDigest::GzipMd5(digest)), Some(found))
            if found == digest =>
        {
            Verification::Digest
        }
        (Some(expected), Some(found)) => {
            return Err(DataError::Digest {
                path,
                dataset,
                expected,
                found,
            });
        }
        (None, _) | (_, None) => Verification::Shape,
    };
    Ok((IdxFile { path, idx }, by))
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
