//! A server on this machine that misbehaves as requested.

#![cfg(feature = "download")]
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::common::{BLANK, gzip};
use lenet_data::KnownDataset;
use lenet_data::idx::{Idx, MAX_DECOMPRESSED};

/// What a mirror does, chosen by the first part of the path. Each serves the blank files.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// Serves whole files and ranges.
    None,
    /// Serves whole files without announcing their length.
    NoLength,
    NotFound,
    ServerError,
    /// To a mirror without faults.
    Redirect,
    RedirectLoop,
    /// A web page in place of the file.
    Html,
    /// Half of the file, announced as all of it.
    Half,
    /// Announces more than it sends.
    Truncated,
    /// Announces less than it has.
    ShortLength,
    /// Half of what is requested, then the connection closes; serves ranges.
    Cut,
    /// Half of the file, then the connection is reset.
    Reset,
    /// One byte every 100 ms.
    Trickle,
    /// Zeros without end.
    Endless,
    /// A file of the right shape that decompresses to far more than it promises.
    Bomb,
    /// Claims to send the requested range, but sends the beginning.
    WrongRest,
    /// The decompressed file.
    Decompressed,
}

const FAULTS: [Fault; 17] = [
    Fault::None,
    Fault::NoLength,
    Fault::NotFound,
    Fault::ServerError,
    Fault::Redirect,
    Fault::RedirectLoop,
    Fault::Html,
    Fault::Half,
    Fault::Truncated,
    Fault::ShortLength,
    Fault::Cut,
    Fault::Reset,
    Fault::Trickle,
    Fault::Endless,
    Fault::Bomb,
    Fault::WrongRest,
    Fault::Decompressed,
];

/// A server that runs until the test ends.
pub(crate) struct Server {
    address: SocketAddr,
    /// The ranges requested.
    pub(crate) ranges: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ranges = Arc::new(Mutex::new(Vec::new()));
        let asked = Arc::clone(&ranges);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let asked = Arc::clone(&asked);
                // Clients that disconnect halfway are expected.
                thread::spawn(move || drop(answer(stream.unwrap(), &asked)));
            }
        });
        Self { address, ranges }
    }

    pub(crate) fn mirror(&self, fault: Fault) -> String {
        format!("http://{}/{fault:?}/", self.address)
    }
}

fn answer(mut stream: TcpStream, asked: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut head = vec![0; 4096];
    let n = stream.peek(&mut head)?;
    let head = String::from_utf8_lossy(&head[..n]).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default();
    let (fault, name) = path
        .trim_start_matches('/')
        .split_once('/')
        .unwrap_or_default();
    let fault = FAULTS.into_iter().find(|f| format!("{f:?}") == fault);
    let file = BLANK.iter().find(|(file, _)| name == format!("{file}.gz"));
    let (Some(fault), Some((file, bytes))) = (fault, file) else {
        return stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    };
    let range = head.lines().find_map(|line| {
        let (key, value) = line.split_once(": ")?;
        key.eq_ignore_ascii_case("range").then_some(value)
    });
    if let Some(range) = range {
        asked.lock().unwrap().push(range.to_owned());
    }
    let start = range.and_then(|range| {
        range
            .strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse()
            .ok()
    });
    let start = start.unwrap_or(0_usize);

    let whole = bytes.len();
    let status = |status: &str, headers: &str| {
        format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n")
    };
    let length = |length: usize| status("200 OK", &format!("Content-Length: {length}\r\n"));
    let rest = || match start {
        0 => length(whole),
        _ => status(
            "206 Partial Content",
            &format!(
                "Content-Length: {}\r\nContent-Range: bytes {start}-{}/{whole}\r\n",
                whole - start,
                whole - 1
            ),
        ),
    };
    let location = |to: Fault| format!("Location: /{to:?}/{file}.gz\r\nContent-Length: 0\r\n");
    let (head, body): (String, &[u8]) = match fault {
        Fault::None if start >= whole => (
            status("416 Range Not Satisfiable", "Content-Length: 0\r\n"),
            &[],
        ),
        Fault::None => (rest(), &bytes[start..]),
        Fault::NoLength => (status("200 OK", ""), bytes),
        Fault::NotFound => (status("404 Not Found", "Content-Length: 0\r\n"), &[]),
        Fault::ServerError => (
            status("500 Internal Server Error", "Content-Length: 0\r\n"),
            &[],
        ),
        Fault::Redirect => (status("302 Found", &location(Fault::None)), &[]),
        Fault::RedirectLoop => (status("302 Found", &location(Fault::RedirectLoop)), &[]),
        Fault::Html => (length(13), b"<html></html>"),
        Fault::Half => (length(whole / 2), &bytes[..whole / 2]),
        Fault::Truncated => (length(whole + 1000), bytes),
        Fault::ShortLength => (length(whole - 1000), bytes),
        Fault::Cut => (rest(), &bytes[start..][..(whole - start) / 2]),
        Fault::Reset => (length(whole), &bytes[..whole / 2]),
        Fault::WrongRest => (rest(), &bytes[..whole - start]),
        Fault::Trickle | Fault::Endless | Fault::Bomb | Fault::Decompressed => {
            (status("200 OK", ""), &[])
        }
    };
    if fault != Fault::Reset {
        // Closing before the request is read resets the connection.
        let mut request = vec![0; n];
        stream.read_exact(&mut request)?;
    }
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    match fault {
        Fault::Trickle => {
            for byte in bytes {
                stream.write_all(&[*byte])?;
                thread::sleep(Duration::from_millis(100));
            }
        }
        Fault::Endless => loop {
            stream.write_all(&[0; 1 << 16])?;
        },
        Fault::Decompressed => {
            stream.write_all(Idx::decode(bytes, MAX_DECOMPRESSED).unwrap().bytes())?;
        }
        Fault::Bomb => {
            // The header of the file, then zeros: 1 MiB that decompresses to 1 GiB.
            let shape = KnownDataset::Kmnist.files()[0].shape;
            let mut header = vec![0, 0, 8, 3];
            header.extend(shape.iter().flat_map(|&d| (d as u32).to_be_bytes()));
            stream.write_all(&gzip(&header))?;
            stream.write_all(&gzip(&vec![0; 1 << 24]).repeat(64))?;
        }
        _ => {}
    }
    Ok(())
}
