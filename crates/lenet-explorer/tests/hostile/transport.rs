//! What is not HTTP, is too much of it, or takes too long.

use std::io::Write;
use std::thread;
use std::time::Duration;

use super::{Expected, PICTURE, Table, VIEW, request};
use crate::server::{Server, read_to_end};

pub(super) fn http(server: &Server, table: &mut Table) {
    let host = format!("Host: 127.0.0.1:{}\r\nConnection: close\r\n", server.port);
    for (what, bytes, status) in [
        ("no HTTP", "hello\r\n\r\n".to_owned(), 400),
        (
            "200 headers",
            format!("GET / HTTP/1.1\r\n{host}{}\r\n", "X-A: b\r\n".repeat(200)),
            431,
        ),
        (
            "a header of 1 MB",
            format!(
                "GET / HTTP/1.1\r\n{host}X-A: {}\r\n\r\n",
                "b".repeat(1 << 20)
            ),
            431,
        ),
        (
            "a negative Content-Length",
            format!("{VIEW} HTTP/1.1\r\n{host}Content-Length: -1\r\n\r\n"),
            400,
        ),
        (
            "two lengths",
            format!("{VIEW} HTTP/1.1\r\n{host}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
            400,
        ),
    ] {
        table.check(what, &server.raw(bytes.as_bytes()), (Some(status), ""));
    }
    let preface = server.raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    table.check("the preface of HTTP/2", &preface, (None, ""));
    let large = (Some(413), "at most 8 MB");
    let body = vec![0; 9 << 20];
    table.check(
        "a body of 9 MB",
        &server.raw(&request(server, PICTURE, "", &body)),
        large,
    );
    let announced = format!("{PICTURE} HTTP/1.1\r\n{host}Content-Length: 99999999999\r\n\r\n");
    table.check(
        "a body of 99 GB, announced",
        &server.raw(announced.as_bytes()),
        large,
    );
    let mut chunked =
        format!("{PICTURE} HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    for _ in 0..9 {
        chunked.extend(format!("{:x}\r\n", 1 << 20).as_bytes());
        chunked.extend(vec![0; 1 << 20]);
        chunked.extend(b"\r\n");
    }
    chunked.extend(b"0\r\n\r\n");
    table.check("a body of 9 MB in chunks", &server.raw(&chunked), large);
    let broken = format!("{PICTURE} HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\nxyz\r\n");
    table.check(
        "broken chunks",
        &server.raw(broken.as_bytes()),
        (Some(400), "incomplete"),
    );
}

/// Pages that watch the training and are never closed.
pub(super) fn watchers(server: &Server, table: &mut Table) {
    let watchers: Vec<_> = (0..32).map(|_| server.events()).collect();
    let line = "GET /api/training/events";
    let answer = server.raw(&request(server, line, "", &[]));
    table.check(
        "a 33rd page that watches",
        &answer,
        (Some(503), "32 pages watch the training"),
    );
    drop(watchers);
    // Places are free again as soon as the server has noticed.
    thread::sleep(Duration::from_millis(500));
    drop(server.events());
}

/// Clients that take their time, side by side.
pub(super) fn slow(server: &Server) -> Vec<(&'static str, String, Expected)> {
    let slow = |what, parts: Vec<Vec<u8>>, pause: Duration, expected| {
        let mut stream = server.connect();
        for part in parts {
            if stream.write_all(&part).is_err() {
                break;
            }
            thread::sleep(pause);
        }
        (what, read_to_end(&mut stream), expected)
    };
    let second = Duration::from_secs(1);
    let letters = |text: &str| text.bytes().map(|byte| vec![byte]).collect::<Vec<_>>();
    let view = request(server, VIEW, "", &[0; 784]);
    let (head, body) = view.split_at(view.len() - 784);
    let mut dripping = vec![head.to_vec()];
    dripping.extend(body.iter().take(15).map(|&byte| vec![byte]));
    thread::scope(|scope| {
        let handles = [
            scope.spawn(move || slow("no request at all", vec![], second, (None, ""))),
            scope.spawn(move || {
                slow(
                    "a header, a letter a second",
                    letters("GET / HTTP/1.1\r\nHost"),
                    second,
                    (None, ""),
                )
            }),
            scope.spawn(move || {
                let head = vec![head.to_vec()];
                slow(
                    "a body that does not come",
                    head,
                    second,
                    (Some(408), "took longer than"),
                )
            }),
            scope.spawn(move || {
                slow(
                    "a body, a byte a second",
                    dripping,
                    second,
                    (Some(408), "took longer than"),
                )
            }),
        ];
        handles.map(|handle| handle.join().unwrap()).into()
    })
}
