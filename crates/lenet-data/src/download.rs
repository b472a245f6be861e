use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::Agent;
use ureq::http::header::{CONTENT_RANGE, RANGE};
use ureq::http::{Response, StatusCode};

use crate::known::MAX_BYTES;
use crate::verification::{Verification, verify};
use crate::{DownloadProgress, KnownDataset, KnownFile};

/// Getting no further than this until a timeout or a broken connection is not worth another try.
const WORTH_ANOTHER_TRY: u64 = 64 << 10;

/// What to fetch, and from where.
pub(crate) struct Request<'a> {
    pub(crate) dataset: KnownDataset,
    pub(crate) files: &'a [KnownFile],
    pub(crate) mirrors: &'a [String],
    pub(crate) timeout: Duration,
}

/// Fetches the files into `folder`, each from the first mirror that gives the published one.
///
/// A file takes its name only after its digest is proven. What came before a connection broke waits in a
/// file beside it, and only the rest is asked for. A lock keeps a second process waiting until this one is
/// done; it then finds the files there.
pub(crate) fn fetch(
    &Request {
        dataset,
        files,
        mirrors,
        timeout,
    }: &Request<'_>,
    folder: &Path,
    progress: &dyn DownloadProgress,
) -> Result<(), String> {
    let at_folder = |error: io::Error| format!("{}: {error}", folder.display());
    fs::create_dir_all(folder).map_err(at_folder)?;
    let lock = File::create(folder.join(".lock")).map_err(at_folder)?;
    lock.lock().map_err(at_folder)?;

    let agent: Agent = Agent::config_builder()
        .timeout_connect(Some(timeout.min(Duration::from_secs(10))))
        .timeout_recv_response(Some(timeout))
        .timeout_recv_body(Some(timeout))
        .user_agent(concat!("lenet-data/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();

    for file in files {
        let path = folder.join(format!("{}.gz", file.name));
        if path.exists() {
            continue;
        }
        let download = Download {
            agent: &agent,
            dataset,
            file,
            part: folder.join(format!("{}.gz.part", file.name)),
            path: &path,
            progress,
        };
        let mut failures = Vec::new();
        let fetched = mirrors.iter().any(|mirror| {
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
            return Err(format!(
                "no mirror gave {}:{}",
                file.name,
                failures.concat()
            ));
        }
    }
    Ok(())
}

/// One file on its way.
struct Download<'a> {
    agent: &'a Agent,
    dataset: KnownDataset,
    file: &'a KnownFile,
    path: &'a Path,
    /// Where it grows.
    part: PathBuf,
    progress: &'a dyn DownloadProgress,
}

/// How one transfer ended.
enum Transfer {
    /// The server says that this was all; whether an earlier part was gone on with.
    Complete { resumed: bool },
    /// The connection broke.
    Cut {
        /// Bytes there are now.
        len: u64,
        reason: String,
    },
}

impl Download<'_> {
    /// Tries again as long as it gets further.
    fn run(&self, url: &str) -> Result<(), String> {
        let mut furthest = fs::metadata(&self.part).map_or(0, |part| part.len());
        loop {
            let transfer = self.transfer(url);
            if !matches!(transfer, Ok(Transfer::Complete { .. })) {
                self.forget_if_empty();
            }
            match transfer? {
                Transfer::Cut { len, .. } if len >= furthest + WORTH_ANOTHER_TRY => furthest = len,
                Transfer::Cut { reason, .. } => return Err(reason),
                Transfer::Complete { resumed } => {
                    let Err(reason) = self.keep() else {
                        return Ok(());
                    };
                    fs::remove_file(&self.part).map_err(|error| self.at_part(&error))?;
                    // The part may have been another mirror's, or damaged.
                    if !resumed {
                        return Err(reason);
                    }
                }
            }
        }
    }

    /// Asks for what is missing, and writes it after the part.
    fn transfer(&self, url: &str) -> Result<Transfer, String> {
        let at_part = |error: io::Error| self.at_part(&error);
        let (mut part, mut len) = open_part(&self.part).map_err(at_part)?;
        let mut request = self.agent.get(url);
        if len > 0 {
            request = request.header(RANGE, format!("bytes={len}-"));
        }
        let mut response = match request.call() {
            // There is nothing after the part, so it may be whole.
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
                Ok(n) => piece.get(..n).unwrap_or_default(),
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
                // A full disk is not made better by a part that nobody can go on with.
                drop(part);
                let _ = fs::remove_file(&self.part);
                return Err(self.at_part(&error));
            }
            self.progress.received(self.file.name, len, total);
        }
        part.sync_all().map_err(at_part)?;
        Ok(Transfer::Complete { resumed })
    }

    /// Gives the part its name, if it is the published file.
    fn keep(&self) -> Result<(), String> {
        let raw = fs::read(&self.part).map_err(|error| self.at_part(&error))?;
        let name = Path::new(self.file.name);
        let verified =
            verify(self.dataset, self.file, name, &raw).map_err(|error| error.to_string())?;
        if verified.by == Verification::Shape && self.file.gzip_md5.is_some() {
            return Err("not compressed: only the compressed file has a digest".to_owned());
        }
        fs::rename(&self.part, self.path)
            .map_err(|error| format!("{}: {error}", self.path.display()))
    }

    fn forget_if_empty(&self) {
        if fs::metadata(&self.part).is_ok_and(|part| part.len() == 0) {
            // Whether or not it can be removed, the next try writes over it.
            let _ = fs::remove_file(&self.part);
        }
    }

    fn at_part(&self, error: &io::Error) -> String {
        format!("{}: {error}", self.part.display())
    }
}

/// Opens the file that grows, to write at its end, and says how long it is.
///
/// Not with `append`: Windows denies `set_len` to a handle that may only append.
fn open_part(path: &Path) -> io::Result<(File, u64)> {
    let mut part = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .open(path)?;
    let len = part.seek(SeekFrom::End(0))?;
    Ok((part, len))
}

/// Empties the part. The position goes back too: beyond the end, the next write would leave a gap.
fn start_over(part: &mut File) -> io::Result<()> {
    part.set_len(0)?;
    part.rewind()
}

/// Whether this is the rest of a file after `len` bytes.
fn continues<B>(response: &Response<B>, len: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE);
    let range = range.and_then(|range| range.to_str().ok());
    let start = range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next());
    response.status() == StatusCode::PARTIAL_CONTENT
        && start.and_then(|start| start.parse().ok()) == Some(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Windows denies truncation to a handle that may only append. Elsewhere, such a handle shows by writing
    /// at the end whatever its position.
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
