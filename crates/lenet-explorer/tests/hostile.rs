//! Requests that are wrong or malicious. Each must get a sentence, and none may end the server or make it fail.

use std::io::{Cursor, Write};
use std::thread;
use std::time::Duration;

use image::{GrayImage, ImageFormat};

use crate::server::{Server, drawn_seven, read_to_end};

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

fn png(width: u32, height: u32) -> Vec<u8> {
    let mut png = Cursor::new(Vec::new());
    GrayImage::new(width, height)
        .write_to(&mut png, ImageFormat::Png)
        .unwrap();
    png.into_inner()
}

/// A PNG with a header that claims another size, and the checksum that belongs to it.
fn png_claiming(side: u32) -> Vec<u8> {
    let mut png = png(1, 1);
    png[16..20].copy_from_slice(&side.to_be_bytes());
    png[20..24].copy_from_slice(&side.to_be_bytes());
    let mut crc = !0_u32;
    for &byte in &png[12..29] {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0xedb8_8320
            } else {
                crc >> 1
            };
        }
    }
    png[29..33].copy_from_slice(&(!crc).to_be_bytes());
    png
}

/// A safetensors file with this header and so many bytes of zeros.
fn safetensors(header: &str, bytes: usize) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend(vec![0; bytes]);
    file
}

const VIEW: &str = "POST /api/view?network=mnist-modern&source=drawing&width=28&height=28";
const PICTURE: &str = "POST /api/view?network=mnist-modern&source=picture";
const UPLOAD: &str = "POST /api/networks?name=weights";
const TRAINING: &str = "POST /api/training";
const JSON: &str = "Content-Type: application/json\r\n";

#[test]
fn hostile_requests_get_a_sentence_and_no_failure() {
    let server = Server::start();
    let mut table = Table::default();
    thread::scope(|scope| {
        let slow = scope.spawn(|| slow(&server));
        addresses(&server, &mut table);
        origins(&server, &mut table);
        http(&server, &mut table);
        pixels(&server, &mut table);
        weights(&server, &mut table);
        training(&server, &mut table);
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

/// Clients that take their time, side by side.
fn slow(server: &Server) -> Vec<(&'static str, String, Expected)> {
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

fn addresses(server: &Server, table: &mut Table) {
    for (line, status, sentence) in [
        ("GET /nothing", 404, "nothing at this address"),
        (
            "GET /assets/../../Cargo.toml",
            404,
            "nothing at this address",
        ),
        (
            "GET /assets/..%2f..%2fCargo.toml",
            404,
            "nothing at this address",
        ),
        (
            "GET /api/networks/..%2f..%2fetc%2fpasswd/weights",
            404,
            "no network '../../etc/passwd'",
        ),
        ("GET /api/networks/%ff/weights", 400, "malformed"),
        (
            "GET /api/networks/resnet/weights",
            404,
            "no network 'resnet'",
        ),
        ("PUT /api/networks", 405, "this method"),
        ("GET /api/view", 405, "this method"),
        ("TRACE /", 405, "this method"),
        (
            "DELETE /api/networks/mnist-modern",
            403,
            "part of the program",
        ),
        ("DELETE /api/networks/resnet", 404, "no network"),
        ("GET /api/images/imagenet", 404, "no data set 'imagenet'"),
        (
            "GET /api/images/mnist",
            404,
            "mnist was not found. Searched:",
        ),
        ("GET /api/images/synthetic/99999", 404, "2000 images"),
        ("GET /api/images/synthetic/-1", 404, "2000 images"),
        ("GET /api/images/synthetic?class=10", 422, "no class '10'"),
        ("GET /api/images/synthetic?count=0", 422, "from 1 to 200"),
        (
            "GET /api/images/synthetic?count=1000000000",
            422,
            "from 1 to 200",
        ),
        ("GET /api/images/synthetic?offset=-1", 400, "invalid digit"),
        (
            "GET /api/images/synthetic?seed=99999999999999999999",
            400,
            "too large",
        ),
        (
            "GET /api/images/synthetic?order=sideways",
            400,
            "unknown variant `sideways`",
        ),
        (
            "GET /api/images/synthetic?misclassified=mnist-modern",
            422,
            "knows other classes",
        ),
        (
            "GET /api/images/synthetic?colour=red",
            400,
            "unknown field `colour`",
        ),
        (
            "GET /api/images/synthetic?count=1&count=2",
            400,
            "duplicate field",
        ),
        (
            "GET /api/unit?network=mnist-modern&stage=conv9&channel=0",
            422,
            "unknown stage 'conv9'",
        ),
        (
            "GET /api/unit?network=mnist-modern&stage=conv2&channel=16",
            422,
            "unknown channel 16",
        ),
        (
            "GET /api/unit?network=mnist-modern&stage=conv2",
            400,
            "missing field `channel`",
        ),
    ] {
        let answer = server.raw(&request(server, line, "", &[]));
        table.check(line, &answer, (Some(status), sentence));
    }
}

fn origins(server: &Server, table: &mut Table) {
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

fn http(server: &Server, table: &mut Table) {
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

fn pixels(server: &Server, table: &mut Table) {
    let picture = |line: &str| line.to_owned();
    let view = |query: &str| format!("POST /api/view?network=mnist-modern&source=drawing{query}");
    let truncated = png(100, 100);
    for (what, line, body, expected) in [
        (
            "text as a picture",
            picture(PICTURE),
            b"hello".to_vec(),
            (422, "is not a readable picture"),
        ),
        (
            "an empty picture",
            picture(PICTURE),
            vec![],
            (422, "is not a readable picture"),
        ),
        (
            "a truncated PNG",
            picture(PICTURE),
            truncated[..truncated.len() / 2].to_vec(),
            (422, "is not a readable picture"),
        ),
        (
            "a PNG that claims 60000×60000",
            picture(PICTURE),
            png_claiming(60_000),
            (422, "60000×60000 pixels"),
        ),
        (
            "a PNG that claims 10000×10000 without data",
            picture(PICTURE),
            png_claiming(10_000),
            (422, "not a readable picture"),
        ),
        (
            "an unknown polarity",
            format!("{PICTURE}&polarity=sideways"),
            png(9, 9),
            (422, "unknown polarity 'sideways'"),
        ),
        (
            "an unknown source",
            picture("POST /api/view?network=mnist-modern&source=video"),
            vec![],
            (400, "unknown variant `video`"),
        ),
        (
            "an unknown network",
            VIEW.replace("mnist-modern", "resnet"),
            vec![0; 784],
            (404, "no network 'resnet'"),
        ),
        (
            "one pixel too few",
            picture(VIEW),
            vec![0; 783],
            (422, "783 bytes: expected 784"),
        ),
        (
            "one pixel too many",
            picture(VIEW),
            vec![0; 785],
            (422, "785 bytes: expected 784"),
        ),
        (
            "no width",
            view("&height=28"),
            vec![0; 784],
            (400, "need a width and a height"),
        ),
        (
            "a width of 0",
            view("&width=0&height=28"),
            vec![],
            (422, "from 1 to 4096"),
        ),
        (
            "a width of 2⁶³",
            view("&width=9223372036854775808&height=2"),
            vec![],
            (422, "from 1 to 4096"),
        ),
        (
            "a width of −28",
            view("&width=-28&height=-28"),
            vec![0; 784],
            (400, "invalid digit"),
        ),
        (
            "a width of NaN",
            view("&width=NaN&height=28"),
            vec![0; 784],
            (400, "invalid digit"),
        ),
        (
            "a class out of range",
            picture("POST /api/explain?network=mnist-modern&class=10&method=gradient"),
            vec![0; 784],
            (422, "unknown class 10"),
        ),
        (
            "an unknown method",
            picture("POST /api/explain?network=mnist-modern&class=1&method=magic"),
            vec![0; 784],
            (400, "unknown variant `magic`"),
        ),
        (
            "a comparison of one image",
            picture("POST /api/compare?network=mnist-modern"),
            vec![0; 784],
            (422, "expected 1568"),
        ),
    ] {
        let (status, sentence) = expected;
        let answer = server.raw(&request(server, &line, "", &body));
        table.check(what, &answer, (Some(status), sentence));
    }
}

fn weights(server: &Server, table: &mut Table) {
    let real = server.get("/api/networks/mnist-modern/weights").body;
    let mut not_finite = real.clone();
    let end = not_finite.len();
    not_finite[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    let another = r#"{"encoder.weight":{"dtype":"F32","shape":[4,4],"data_offsets":[0,64]}}"#;
    let overlapping = r#"{"a":{"dtype":"F32","shape":[1000000,1000000],"data_offsets":[0,64]}}"#;
    let text = String::from_utf8_lossy(&real[8..real.len() - 4 * 61_706]).into_owned();
    let enlarged = text.replace("[28,28]", "[9999999,9]");
    assert_ne!(text, enlarged);
    let mut zip = b"PK\x03\x04".to_vec();
    zip.extend([0xff; 200]);
    for (what, query, body, expected) in [
        (
            "text as weights",
            "",
            b"hello, this is text".to_vec(),
            "not a weights file",
        ),
        ("no weights at all", "", vec![], "not a weights file"),
        (
            "truncated weights",
            "",
            real[..real.len() / 2].to_vec(),
            "not a readable safetensors file",
        ),
        (
            "weights of another network",
            "",
            safetensors(another, 64),
            "do not form a LeNet",
        ),
        (
            "tensors that claim 4 TB",
            "",
            safetensors(overlapping, 64),
            "safetensors",
        ),
        (
            "a weight that is NaN",
            "",
            not_finite,
            "not a finite number",
        ),
        (
            "weights for images of 9999999 pixels",
            "",
            safetensors(&enlarged, 4 * 61_706),
            "9999999",
        ),
        (
            "a broken PyTorch file",
            "",
            zip,
            "not a readable PyTorch file",
        ),
        (
            "a pickle that runs a program",
            "",
            b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00id\x85R.".to_vec(),
            "not a readable PyTorch file",
        ),
        (
            "weights with unfit class names",
            "&dataset=synthetic",
            real.clone(),
            "does not name the classes",
        ),
    ] {
        let line = format!("{UPLOAD}{query}");
        let answer = server.raw(&request(server, &line, "", &body));
        table.check(what, &answer, (Some(422), expected));
    }
    let no_name = server.raw(&request(server, "POST /api/networks", "", &real));
    table.check(
        "weights without a name",
        &no_name,
        (Some(400), "missing field `name`"),
    );
    let preset = format!("{UPLOAD}&preset=resnet");
    let preset = server.raw(&request(server, &preset, "", &real));
    table.check(
        "weights of an unknown preset",
        &preset,
        (Some(400), "unknown variant `resnet`"),
    );
}

fn training(server: &Server, table: &mut Table) {
    let nested = "[".repeat(100_000);
    let many = format!(
        r#"{{"dataset":"synthetic","out_channels":[{}1]}}"#,
        "1,".repeat(100_000)
    );
    for (what, body, status, sentence) in [
        ("half a JSON", r#"{"dataset":"#, 400, "not JSON"),
        ("100,000 brackets", &nested, 422, "not valid"),
        ("a list", "[]", 422, "not valid"),
        ("no data set", "{}", 422, "missing field `dataset`"),
        (
            "an unknown field",
            r#"{"dataset":"synthetic","optimizer":"adam"}"#,
            422,
            "unknown field `optimizer`",
        ),
        (
            "a field twice",
            r#"{"dataset":"synthetic","dataset":"mnist"}"#,
            422,
            "duplicate field",
        ),
        (
            "an unknown data set",
            r#"{"dataset":"imagenet"}"#,
            422,
            "no data set 'imagenet'",
        ),
        (
            "a data set that is unavailable",
            r#"{"dataset":"kmnist"}"#,
            404,
            "kmnist was not found",
        ),
        (
            "a data set to look at",
            r#"{"dataset":"unfamiliar"}"#,
            422,
            "not to train on",
        ),
        (
            "a learning rate of NaN",
            r#"{"dataset":"synthetic","learning_rate":NaN}"#,
            400,
            "not JSON",
        ),
        (
            "a learning rate of 1e999",
            r#"{"dataset":"synthetic","learning_rate":1e999}"#,
            400,
            "number out of range",
        ),
        (
            "a negative learning rate",
            r#"{"dataset":"synthetic","learning_rate":-0.1}"#,
            422,
            "learning_rate is -0.1",
        ),
        (
            "negative epochs",
            r#"{"dataset":"synthetic","epochs":-1}"#,
            422,
            "integer `-1`",
        ),
        (
            "no epochs",
            r#"{"dataset":"synthetic","epochs":0}"#,
            422,
            "epochs is 0",
        ),
        (
            "2⁶⁴ epochs",
            r#"{"dataset":"synthetic","epochs":18446744073709551616}"#,
            422,
            "expected usize",
        ),
        (
            "half an epoch",
            r#"{"dataset":"synthetic","epochs":0.5}"#,
            422,
            "expected usize",
        ),
        (
            "empty batches",
            r#"{"dataset":"synthetic","batch_size":0}"#,
            422,
            "batch_size is 0",
        ),
        (
            "huge batches",
            r#"{"dataset":"synthetic","batch_size":10000}"#,
            422,
            "for a batch",
        ),
        (
            "more images than there are",
            r#"{"dataset":"synthetic","images":60001}"#,
            422,
            "60000 training images",
        ),
        (
            "a kernel that does not fit",
            r#"{"dataset":"synthetic","kernel_size":99}"#,
            422,
            "99×99 kernel does not fit",
        ),
        (
            "a kernel of 0",
            r#"{"dataset":"synthetic","kernel_size":0}"#,
            422,
            "is 0",
        ),
        (
            "no convolution",
            r#"{"dataset":"synthetic","out_channels":[]}"#,
            422,
            "at least one convolution",
        ),
        (
            "100,001 convolutions",
            &many,
            422,
            "at most 1000 are supported",
        ),
        (
            "a million channels",
            r#"{"dataset":"synthetic","out_channels":[1000000]}"#,
            422,
            "reduce channels",
        ),
        (
            "2⁶³ channels",
            r#"{"dataset":"synthetic","out_channels":[9223372036854775808]}"#,
            422,
            "reduce channels",
        ),
        (
            "a huge dense layer",
            r#"{"dataset":"synthetic","hidden_dims":[1000000]}"#,
            422,
            "parameters, more than",
        ),
    ] {
        let answer = server.raw(&request(server, TRAINING, JSON, body.as_bytes()));
        table.check(what, &answer, (Some(status), sentence));
    }
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let answer = server.raw(&request(server, TRAINING, form, b"dataset=synthetic"));
    table.check("a form", &answer, (Some(415), "expected JSON"));
    let answer = server.raw(&request(server, "POST /api/training/stop", "", &[]));
    table.check(
        "stop without a training",
        &answer,
        (Some(409), "no training is running"),
    );
    assert_eq!(server.get("/api/training").expect(200)["status"], "idle");
}
