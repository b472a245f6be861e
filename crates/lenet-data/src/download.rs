//! Downloading the files of a known data set into a folder. Only verified files get their name.

use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::iter;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::Agent;
use ureq::http::header::{CONTENT_RANGE, RANGE};
use ureq::http::{Response, StatusCode};

use crate::known::MAX_BYTES;
use crate::verification::{Verification, verify};
use crate::{DataError, DownloadProgress, KnownDataset, KnownFile, file};

/// A broken transfer that got this much further is worth resuming, in bytes.
const WORTH_RESUMING: u64 = 64 << 10;

/// What to download, and from where.
pub(crate) struct Request<'a> {
    pub(crate) dataset: KnownDataset,
    pub(crate) files: &'a [KnownFile],
    pub(crate) mirrors: &'a [String],
    pub(crate) timeout: Duration,
    pub(crate) progress: Option<&'a dyn DownloadProgress>,
}

/// Downloads the files into `folder`, each from the first mirror that serves the published one.
///
/// A file is renamed to its final name only once it is verified. After a broken connection, the
/// bytes received stay in a `.part` file beside it, and only the rest is requested. A lock makes a
/// second process wait; it then finds the files in place.
pub(crate) fn fetch(request: &Request<'_>, folder: &Path) -> Result<(), String> {
    let at_folder = |error: io::Error| format!("{}: {error}", folder.display());
    fs::create_dir_all(folder).map_err(at_folder)?;
    let lock = File::create(folder.join(".lock")).map_err(at_folder)?;
    lock.lock().map_err(at_folder)?;

    let agent: Agent = Agent::config_builder()
        .timeout_connect(Some(request.timeout.min(Duration::from_secs(10))))
        .timeout_recv_response(Some(request.timeout))
        .timeout_recv_body(Some(request.timeout))
        .user_agent(concat!("lenet-data/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();

    for file in request.files {
        let path = folder.join(format!("{}.gz", file.name));
        if path.exists() {
            continue;
        }
        let download = Download {
            agent: &agent,
            request,
            file,
            part: folder.join(format!("{}.gz.part", file.name)),
            path: &path,
        };
        let mut failures = Vec::new();
        let fetched = request.mirrors.iter().any(|mirror| {
            let url = format!("{mirror}{}.gz", file.name);
            match download.run(&url) {
                Ok(()) => true,
                Err(reason) => {
                    tracing::warn!(url, reason, "download failed");
                    failures.push(format!("\n  {url}: {reason}"));
                    false
                }
            }
        });
        if !fetched {
            let failures = failures.concat();
            return Err(format!("no mirror served {}:{failures}", file.name));
        }
    }
    Ok(())
}

/// The download of one file.
struct Download<'a> {
    agent: &'a Agent,
    request: &'a Request<'a>,
    file: &'a KnownFile,
    /// Its final name.
    path: &'a Path,
    /// Its name until it is verified.
    part: PathBuf,
}

/// How one transfer ended.
enum Transfer {
    /// The server sent everything; `resumed` says whether this continued a partial download.
    Complete { resumed: bool },
    /// The connection broke.
    Cut {
        /// Length of the part now, in bytes.
        len: u64,
        reason: String,
    },
}

impl Download<'_> {
    /// Downloads and verifies the file, resuming as long as there is progress.
    fn run(&self, url: &str) -> Result<(), String> {
        let mut furthest = fs::metadata(&self.part).map_or(0, |part| part.len());
        loop {
            let transfer = self.transfer(url);
            if !matches!(transfer, Ok(Transfer::Complete { .. })) {
                self.remove_if_empty();
            }
            match transfer? {
                Transfer::Cut { len, .. } if len >= furthest + WORTH_RESUMING => furthest = len,
                Transfer::Cut { reason, .. } => return Err(reason),
                Transfer::Complete { resumed } => {
                    let Err(reason) = self.keep() else {
                        return Ok(());
                    };
                    fs::remove_file(&self.part).map_err(|error| self.at_part(&error))?;
                    // The part may have come from another mirror, or be damaged.
                    if !resumed {
                        return Err(reason);
                    }
                }
            }
        }
    }

    /// Requests what is missing and appends it to the part.
    fn transfer(&self, url: &str) -> Result<Transfer, String> {
        let at_part = |error: io::Error| self.at_part(&error);
        let (mut part, mut len) = open_part(&self.part).map_err(at_part)?;
        let mut request = self.agent.get(url);
        if len > 0 {
            request = request.header(RANGE, format!("bytes={len}-"));
        }
        let mut response = match request.call() {
            // Nothing follows the part, so it may be complete.
            Err(ureq::Error::StatusCode(416)) if len > 0 => {
                return Ok(Transfer::Complete { resumed: true });
            }
            Err(error) => return Err(error.to_string()),
            Ok(response) => response,
        };
        let resumed = len > 0 && continues(&response, len);
        if !resumed {
            start_over(&mut part).map_err(at_part)?;
            len = 0;
        }
        let length = response.body().content_length();
        let total = length.map(|length| len.saturating_add(length));
        let mut reader = response.body_mut().as_reader();
        let mut piece = vec![0; 64 << 10];
        loop {
            let bytes = match reader.read(&mut piece) {
                Ok(read) => piece.split_at(read).0,
                Err(error) => {
                    return Ok(Transfer::Cut {
                        len,
                        reason: error.to_string(),
                    });
                }
            };
            if bytes.is_empty() {
                break;
            }
            len += bytes.len() as u64;
            if len > MAX_BYTES {
                drop(part);
                fs::remove_file(&self.part).map_err(at_part)?;
                return Err(format!("more than {MAX_BYTES} bytes"));
            }
            if let Err(error) = part.write_all(bytes) {
                // On a full disk, a part that cannot be resumed only wastes space.
                drop(part);
                let _ = fs::remove_file(&self.part);
                return Err(self.at_part(&error));
            }
            if let Some(progress) = self.request.progress {
                progress.received(self.file.name, len, total);
            }
        }
        part.sync_all().map_err(at_part)?;
        Ok(Transfer::Complete { resumed })
    }

    /// Renames the part to its final name, if it is the published file.
    fn keep(&self) -> Result<(), String> {
        let (dataset, name) = (self.request.dataset, Path::new(self.file.name));
        let verified = file::read(&self.part, MAX_BYTES)
            .map_err(DataError::from)
            .and_then(|raw| verify(dataset, self.file, name, raw));
        let (_, by) = verified.map_err(|error| chain(&error))?;
        if by == Verification::Shape && self.file.digest.is_some() {
            return Err("not compressed, but only the compressed file has a digest".to_owned());
        }
        fs::rename(&self.part, self.path)
            .map_err(|error| format!("{}: {error}", self.path.display()))
    }

    fn remove_if_empty(&self) {
        if fs::metadata(&self.part).is_ok_and(|part| part.len() == 0) {
            // If this fails, the next attempt overwrites it.
            let _ = fs::remove_file(&self.part);
        }
    }

    fn at_part(&self, error: &io::Error) -> String {
        format!("{}: {error}", self.part.display())
    }
}

/// Opens the part for writing at its end, and returns its length.
///
/// Not in append mode: Windows denies `set_len` to such a handle.
fn open_part(path: &Path) -> io::Result<(File, u64)> {
    let mut part = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .open(path)?;
    let len = part.seek(SeekFrom::End(0))?;
    Ok((part, len))
}

/// Empties the part and rewinds: a write beyond the end would leave a gap.
fn start_over(part: &mut File) -> io::Result<()> {
    part.set_len(0)?;
    part.rewind()
}

/// Whether the response is the rest of a file after `len` bytes.
fn continues<B>(response: &Response<B>, len: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE);
    let range = range.and_then(|range| range.to_str().ok());
    let start = range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next());
    response.status() == StatusCode::PARTIAL_CONTENT
        && start.and_then(|start| start.parse().ok()) == Some(len)
}

/// An error and its sources on one line.
fn chain(error: &dyn Error) -> String {
    let sources = iter::successors(error.source(), |&source| source.source());
    sources.fold(error.to_string(), |text, source| {
        format!("{text}: {source}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Windows denies truncation to a handle in append mode. Elsewhere, such a handle gives itself
    /// away by writing at the end whatever its position.
    #[test]
    fn a_part_can_be_written_anywhere_and_continues_at_its_end() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("part");

        let (mut part, len) = open_part(&path)?;
        assert_eq!(len, 0);
        part.write_all(b"first")?;
        drop(part);

        let (mut part, len) = open_part(&path)?;
        assert_eq!(len, 5);
        part.write_all(b" second")?;
        assert_eq!(fs::read(&path)?, b"first second");

        part.rewind()?;
        part.write_all(b"FIRST")?;
        assert_eq!(fs::read(&path)?, b"FIRST second");

        start_over(&mut part)?;
        assert_eq!(fs::read(&path)?, b"");
        part.write_all(b"again")?;
        assert_eq!(fs::read(&path)?, b"again");
        Ok(())
    }
}
