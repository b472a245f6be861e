//! Inflating a gzip stream that holds one IDX file, with bounded memory.

use std::io::Read;

use flate2::bufread::MultiGzDecoder;

use crate::idx::{Header, Idx, IdxError};

/// Deflate cannot expand a byte to more than this.
const MAX_RATIO: usize = 1032;

/// Whether the bytes start with the magic number of gzip.
pub(crate) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// Inflates no further than the IDX header inside promises, and never beyond `limit` bytes.
pub(crate) fn inflate_idx(bytes: &[u8], limit: usize) -> Result<Idx<'static>, IdxError> {
    let mut decoder = MultiGzDecoder::new(bytes);
    let mut out = Vec::new();

    read_to(&mut decoder, &mut out, 4)?;
    if let Some(&rank) = out.get(3) {
        read_to(&mut decoder, &mut out, 4 + 4 * usize::from(rank))?;
    }
    let header = Header::parse(&out)?;
    if header.total > limit {
        return Err(IdxError::Limit {
            expected: header.total,
            limit,
        });
    }
    // Reserve only what a stream of this length can hold.
    let possible = bytes.len().saturating_mul(MAX_RATIO);
    // The extra byte detects an oversized file; reaching the end verifies the checksum.
    let wanted = header.total.saturating_add(1);
    out.reserve(wanted.min(possible).saturating_sub(out.len()));
    read_to(&mut decoder, &mut out, wanted)?;
    Idx::new(header, out.into())
}

/// Appends to `out` until it has `len` bytes or the stream ends.
fn read_to(decoder: &mut impl Read, out: &mut Vec<u8>, len: usize) -> Result<(), IdxError> {
    let missing = len.saturating_sub(out.len()) as u64;
    match decoder.by_ref().take(missing).read_to_end(out) {
        Ok(_) => Ok(()),
        Err(error) => Err(IdxError::Gzip {
            position: out.len(),
            message: error.to_string(),
        }),
    }
}
