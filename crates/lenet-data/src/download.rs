use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use ureq::Agent;

use crate::{DownloadProgress, KnownDataset, KnownFile, loader};

/// No compressed file of the family is half as large.
const MAX_BYTES: u64 = 64 << 20;

/// Fetches the four files into `folder`, each from the first mirror that gives the published one.
///
/// A file takes its name only after its digest is proven. A lock keeps a second process waiting
/// until this one is done; it then finds the files there.
pub(crate) fn fetch(
    dataset: KnownDataset,
    mirrors: &[String],
    folder: &Path,
    progress: &dyn DownloadProgress,
) -> Result<(), String> {
    let at_folder = |error: std::io::Error| format!("{}: {error}", folder.display());
    std::fs::create_dir_all(folder).map_err(at_folder)?;
    let lock = File::create(folder.join(".lock")).map_err(at_folder)?;
    lock.lock().map_err(at_folder)?;

    let agent: Agent = Agent::config_builder()
        .timeout_connect(Some(Duration::from_secs(10)))
        .timeout_recv_response(Some(Duration::from_secs(30)))
        .timeout_recv_body(Some(Duration::from_secs(600)))
        .user_agent(concat!("lenet-data/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();

    for file in dataset.files() {
        let path = folder.join(format!("{}.gz", file.name));
        if path.exists() {
            continue;
        }
        let mut failures = Vec::new();
        let fetched = mirrors.iter().any(|mirror| {
            let url = format!("{mirror}{}.gz", file.name);
            match fetch_one(&agent, dataset, &file, &url, &path, progress) {
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

fn fetch_one(
    agent: &Agent,
    dataset: KnownDataset,
    file: &KnownFile,
    url: &str,
    path: &Path,
    progress: &dyn DownloadProgress,
) -> Result<(), String> {
    let mut response = agent.get(url).call().map_err(|error| error.to_string())?;
    let total = response.body().content_length();
    let mut reader = response.body_mut().as_reader();
    let mut raw = Vec::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        let n = reader.read(&mut piece).map_err(|error| error.to_string())?;
        let Some(bytes) = piece.get(..n).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        raw.extend_from_slice(bytes);
        if raw.len() as u64 > MAX_BYTES {
            return Err(format!("more than {MAX_BYTES} bytes"));
        }
        progress.received(file.name, raw.len() as u64, total);
    }

    loader::verify(dataset, file, Path::new(file.name), &raw).map_err(|error| error.to_string())?;

    let at_path = |error: std::io::Error| format!("{}: {error}", path.display());
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut partial = tempfile::NamedTempFile::new_in(folder).map_err(at_path)?;
    partial.write_all(&raw).map_err(at_path)?;
    partial.as_file().sync_all().map_err(at_path)?;
    partial
        .persist(path)
        .map_err(|error| at_path(error.error))?;
    Ok(())
}
