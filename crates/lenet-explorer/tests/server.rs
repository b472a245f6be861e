//! A running `lenet explore` without data sets and without a network, and requests to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use ureq::Agent;

/// A server, killed at the end of the test.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) port: u16,
    _folder: TempDir,
    agent: Agent,
    _stdout: BufReader<ChildStdout>,
}

/// An answer: status, content type and body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The JSON of an answer with this status.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "{text}");
        self.json()
    }

    /// The header and the values of a binary answer.
    #[track_caller]
    pub(crate) fn binary(&self) -> (Value, Vec<f32>) {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, 200, "{text}");
        assert_eq!(self.content_type, "application/octet-stream");
        let (length, rest) = self.body.split_first_chunk::<4>().unwrap();
        let (header, values) = rest.split_at(u32::from_le_bytes(*length) as usize);
        assert_eq!(header.len() % 4, 0, "the values must be aligned");
        let (values, rest) = values.as_chunks::<4>();
        assert!(rest.is_empty());
        let values = values.iter().map(|&bytes| f32::from_le_bytes(bytes));
        (serde_json::from_slice(header).unwrap(), values.collect())
    }
}

/// `lenet explore` in `folder`, without data sets and without a network.
pub(crate) fn explore(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lenet"));
    command
        .arg("explore")
        .args(arguments)
        .current_dir(folder)
        .env("LENET_OFFLINE", "1")
        .env("XDG_CACHE_HOME", folder)
        .env_remove("LENET_DATA_DIR");
    command
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_with(tempfile::tempdir().unwrap(), &["--no-open"])
    }

    pub(crate) fn start_with(folder: TempDir, arguments: &[&str]) -> Self {
        let command = explore(folder.path(), arguments);
        Self::spawn(folder, command)
    }

    pub(crate) fn spawn(folder: TempDir, mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line
            .strip_prefix("exploring at http://127.0.0.1:")
            .unwrap_or_else(|| panic!("unexpected first line: {line:?}"));
        let (port, _) = address.split_once('/').unwrap();
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build();
        Self {
            child,
            port: port.parse().unwrap(),
            _folder: folder,
            agent: agent.into(),
            _stdout: stdout,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        answer(self.agent.get(self.url(path)).call())
    }

    pub(crate) fn post(&self, path: &str, body: &[u8]) -> Answer {
        answer(self.agent.post(self.url(path)).send(body))
    }

    pub(crate) fn post_json(&self, path: &str, body: &Value) -> Answer {
        let request = self.agent.post(self.url(path));
        let request = request.header("Content-Type", "application/json");
        answer(request.send(body.to_string().as_bytes()))
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        answer(self.agent.delete(self.url(path)).call())
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        stream
    }

    /// Sends bytes and reads until the server closes the connection.
    pub(crate) fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(bytes);
        read_to_end(&mut stream)
    }

    /// Follows the events of the training until one satisfies the condition, and returns all of them.
    pub(crate) fn watch(&self, until: impl Fn(&Value) -> bool) -> Vec<Value> {
        let start = Instant::now();
        let mut states = Vec::new();
        for line in self.events().lines() {
            let line = line.unwrap();
            let Some(data) = line.strip_prefix("data: ") else {
                continue;
            };
            let state: Value = serde_json::from_str(data).unwrap();
            let done = until(&state);
            states.push(state);
            if done {
                return states;
            }
            assert!(start.elapsed() < Duration::from_secs(120), "{states:?}");
        }
        panic!("the events ended: {states:?}");
    }

    /// The stream of events, after its header.
    pub(crate) fn events(&self) -> BufReader<TcpStream> {
        let mut stream = self.connect();
        let request = format!(
            "GET /api/training/events HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n",
            self.port
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        assert!(line.starts_with("HTTP/1.1 200"), "{line}");
        stream
    }

    /// Waits for the end of the program, which something has caused, and returns its exit code.
    pub(crate) fn wait(&mut self) -> (Option<i32>, Duration) {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code(), start.elapsed());
            }
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "the program does not end"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What arrives until the connection is closed, in whatever way.
pub(crate) fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn answer(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Answer {
    let mut answer = answer.unwrap();
    let content_type = answer.headers().get("content-type");
    Answer {
        status: answer.status().as_u16(),
        content_type: content_type
            .map_or("", |value| value.to_str().unwrap())
            .to_owned(),
        body: answer.body_mut().read_to_vec().unwrap(),
    }
}

/// A seven, drawn with light strokes on black: width, height and pixels.
pub(crate) fn drawn_seven() -> (usize, usize, Vec<u8>) {
    let (width, height) = (280, 280);
    let mut pixels = vec![0; width * height];
    let mut stroke = |from: [f64; 2], to: [f64; 2]| {
        for step in 0..=400 {
            let t = f64::from(step) / 400.0;
            let [x, y] = [0, 1].map(|i| from[i] + t * (to[i] - from[i]));
            for row in 0..height {
                for column in 0..width {
                    if (column as f64 - x).hypot(row as f64 - y) < 11.0 {
                        pixels[row * width + column] = 255;
                    }
                }
            }
        }
    };
    stroke([70.0, 60.0], [200.0, 60.0]);
    stroke([200.0, 60.0], [120.0, 230.0]);
    (width, height, pixels)
}
