//! Requests that are wrong or malicious. Each must get a sentence, and none may end the server or make it fail.

mod addresses;
mod origins;
mod pixels;
mod training;
mod transport;
mod weights;

use std::thread;

use crate::server::{Server, drawn_seven};

/// What a request must get: a status, or nothing at all because the connection is closed, and a part of the sentence.
type Expected = (Option<u16>, &'static str);

/// A table of what was asked and what came back.
#[derive(Default)]
struct Table {
    rows: Vec<[String; 3]>,
    wrong: Vec<String>,
}

impl Table {
    fn check(&mut self, what: &str, answer: &str, (status, sentence): Expected) {
        let found: Option<u16> = answer
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3)?.parse().ok());
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
        let message: Option<String> = serde_json::from_str::<serde_json::Value>(body)
            .ok()
            .and_then(|body| Some(body["error"].as_str()?.to_owned()));
        let mut right = found == status && found != Some(500);
        match &message {
            Some(message) => {
                right &= message.to_lowercase().contains(&sentence.to_lowercase())
                    && message.ends_with(['.', '?']);
                right &= head.contains("content-security-policy: default-src 'self'");
                right &= head.contains("x-content-type-options: nosniff");
            }
            // The HTTP library itself answers what is not HTTP, without a body.
            None => right &= sentence.is_empty(),
        }
        if !right {
            self.wrong.push(format!(
                "{what}: expected {status:?} {sentence:?}, found {answer:?}"
            ));
        }
        let status = found.map_or("closed".to_owned(), |status| status.to_string());
        let message = message.unwrap_or_else(|| "–".to_owned());
        self.rows.push([what.to_owned(), status, message]);
    }

    fn print(&self) {
        println!("| request | status | answer |\n|---|---|---|");
        for [what, status, message] in &self.rows {
            println!("| {what} | {status} | {} |", message.replace('\n', " "));
        }
        println!("{} hostile requests", self.rows.len());
    }
}

/// Bytes of a request with this server's host.
fn request(server: &Server, line: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "{line} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
        server.port,
        body.len()
    )
    .into_bytes();
    request.extend(body);
    request
}

const VIEW: &str = "POST /api/view?network=mnist-modern&source=drawing&width=28&height=28";

const PICTURE: &str = "POST /api/view?network=mnist-modern&source=picture";

#[test]
fn hostile_requests_get_a_sentence_and_no_failure() {
    let server = Server::start();
    let mut table = Table::default();
    thread::scope(|scope| {
        let slow = scope.spawn(|| transport::slow(&server));
        addresses::addresses(&server, &mut table);
        origins::origins(&server, &mut table);
        transport::http(&server, &mut table);
        transport::watchers(&server, &mut table);
        pixels::pixels(&server, &mut table);
        weights::weights(&server, &mut table);
        training::training(&server, &mut table);
        for (what, answer, expected) in slow.join().unwrap() {
            table.check(what, &answer, expected);
        }
    });
    table.print();
    assert!(table.rows.len() >= 30);
    assert!(table.wrong.is_empty(), "{:#?}", table.wrong);

    // The server is still there.
    let (width, height, pixels) = drawn_seven();
    let path =
        format!("/api/view?network=mnist-modern&source=drawing&width={width}&height={height}");
    let (header, _) = server.post(&path, &pixels).binary();
    assert_eq!(header["prediction"]["class"], 7);
}
