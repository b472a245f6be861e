//! Requests from pages of other sites.

use super::{Table, VIEW, request};
use crate::server::Server;

pub(super) fn origins(server: &Server, table: &mut Table) {
    let port = server.port;
    let foreign = (Some(403), "only answers requests to");
    let refused = (Some(403), "a page of another site");
    for (what, head, expected) in [
        (
            "a foreign Host",
            "GET / HTTP/1.1\r\nHost: evil.example\r\n".to_owned(),
            foreign,
        ),
        (
            "a foreign Host with this port",
            format!("GET / HTTP/1.1\r\nHost: evil.example:{port}\r\n"),
            foreign,
        ),
        (
            "another port in Host",
            "GET / HTTP/1.1\r\nHost: 127.0.0.1:1\r\n".to_owned(),
            foreign,
        ),
        ("no Host", "GET / HTTP/1.1\r\n".to_owned(), foreign),
        (
            "no Host in HTTP/1.0",
            "GET / HTTP/1.0\r\n".to_owned(),
            foreign,
        ),
        (
            "two Hosts",
            format!("GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHost: evil.example\r\n"),
            (Some(400), "must occur once"),
        ),
        (
            "a foreign address in the request line",
            format!("GET http://evil.example/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"),
            foreign,
        ),
    ] {
        let answer = server.raw(format!("{head}Connection: close\r\n\r\n").as_bytes());
        // HTTP/1.0 is answered in kind.
        let answer = answer.replace("HTTP/1.0 ", "HTTP/1.1 ");
        table.check(what, &answer, expected);
    }
    for (what, line, header) in [
        (
            "a foreign Origin",
            VIEW,
            "Origin: http://evil.example\r\n".to_owned(),
        ),
        ("the Origin of a file", VIEW, "Origin: null\r\n".to_owned()),
        (
            "another port in Origin",
            VIEW,
            "Origin: http://127.0.0.1:1\r\n".to_owned(),
        ),
        (
            "another scheme in Origin",
            VIEW,
            format!("Origin: https://127.0.0.1:{port}\r\n"),
        ),
        (
            "a foreign Origin that deletes",
            "DELETE /api/networks/mnist-modern",
            "Origin: http://evil.example\r\n".to_owned(),
        ),
        (
            "an image in a foreign page",
            "GET /api/images/synthetic/0",
            "Sec-Fetch-Site: cross-site\r\n".to_owned(),
        ),
    ] {
        table.check(
            what,
            &server.raw(&request(server, line, &header, &[0; 784])),
            refused,
        );
    }
}
