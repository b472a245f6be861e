use std::io::Read;

use flate2::bufread::MultiGzDecoder;

use crate::idx::{Header, IdxError};

/// Deflate cannot expand a byte further than this.
const MAX_RATIO: usize = 1032;

/// Whether the bytes begin as a gzip stream does.
pub(crate) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// Inflates a gzip stream that holds one IDX file, bounded by the header inside and by `limit`.
pub(crate) fn inflate_idx(bytes: &[u8], limit: usize) -> Result<Vec<u8>, IdxError> {
    let mut decoder = MultiGzDecoder::new(bytes);
    let mut out = Vec::new();

    read_to(&mut decoder, &mut out, 4)?;
    let rank = out.get(3).copied().unwrap_or_default();
    read_to(&mut decoder, &mut out, 4 + 4 * usize::from(rank))?;
    let header = Header::parse(&out)?;
    if header.total > limit {
        return Err(IdxError::Limit {
            expected: header.total,
            limit,
        });
    }
    // A promise beyond what so short a stream can hold is not worth a reservation.
    let possible = bytes.len().saturating_mul(MAX_RATIO);
    // One byte more than promised tells an oversized file; reaching the end checks the CRC.
    let wanted = header.total.saturating_add(1);
    out.reserve(wanted.min(possible).saturating_sub(out.len()));
    read_to(&mut decoder, &mut out, wanted)?;
    header.check_len(out.len())?;
    Ok(out)
}

/// Reads on until `out` has `len` bytes or the stream ends.
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
