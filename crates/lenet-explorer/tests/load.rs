//! Many requests at once while a training runs.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::server::{Server, drawn_seven};

const REQUESTS: usize = 1000;
const AT_ONCE: usize = 50;

/// Views of the measurement of a single client.
const VIEWS: usize = 500;

/// Steps of the training per second, over a while.
fn steps_per_second(server: &Server, work: impl FnOnce()) -> f64 {
    let step = || {
        server.get("/api/training").expect(200)["total_step"]
            .as_f64()
            .unwrap()
    };
    let (start, first) = (Instant::now(), step());
    work();
    (step() - first) / start.elapsed().as_secs_f64()
}

#[test]
fn a_thousand_requests_and_a_training_share_the_machine() {
    let server = Server::start();
    let training = json!({"dataset": "synthetic-digits", "images": 5000, "epochs": 1000, "learning_rate": 0.01});
    server.post_json("/api/training", &training).expect(202);
    server.watch(|state| state["epoch"].as_u64() > Some(1));

    let alone = steps_per_second(&server, || thread::sleep(Duration::from_secs(3)));
    let drawing = &drawn_seven();
    let mut times = Vec::new();
    let together = steps_per_second(&server, || {
        let clients: Vec<Vec<Duration>> = thread::scope(|scope| {
            let clients: Vec<_> = (0..AT_ONCE)
                .map(|client| {
                    let server = &server;
                    scope.spawn(move || {
                        (0..REQUESTS / AT_ONCE)
                            .map(|n| one(server, drawing, client + n))
                            .collect()
                    })
                })
                .collect();
            clients
                .into_iter()
                .map(|client| client.join().unwrap())
                .collect()
        });
        times = clients.concat();
    });

    assert_eq!(times.len(), REQUESTS);
    println!("{REQUESTS} requests, {AT_ONCE} at once: {}", summary(times));
    println!(
        "training: {alone:.0} steps/s alone, {together:.0} steps/s during the requests ({:.1} times slower)",
        alone / together
    );
    assert_eq!(server.get("/api/training").expect(200)["status"], "running");
}

/// One request of a page that is in use, and how long it took.
fn one(server: &Server, drawing: &(usize, usize, Vec<u8>), number: usize) -> Duration {
    let (width, height, pixels) = drawing;
    let seen = vec![0; 784];
    let start = Instant::now();
    let status = match number % 10 {
        0 => server.get("/api/networks").status,
        1 => {
            server
                .get("/api/images/synthetic-digits?order=random&seed=1")
                .status
        }
        2 => {
            server
                .get("/api/unit?network=trained&stage=conv2&channel=3")
                .status
        }
        3 => {
            server
                .post(
                    "/api/explain?network=trained&class=1&method=gradient",
                    &seen,
                )
                .status
        }
        4 => {
            server
                .post("/api/compare?network=mnist-modern", &[0; 2 * 784])
                .status
        }
        5 => server.get("/").status,
        _ => {
            let network = if number.is_multiple_of(2) {
                "trained"
            } else {
                "mnist-modern"
            };
            let query = format!("network={network}&source=drawing&width={width}&height={height}");
            server.post(&format!("/api/view?{query}"), pixels).status
        }
    };
    assert_eq!(status, 200, "request {number}");
    start.elapsed()
}

#[test]
fn views_of_a_drawing_follow_one_another() {
    let server = Server::start();
    let (width, height, pixels) = drawn_seven();
    let path =
        format!("/api/view?network=mnist-modern&source=drawing&width={width}&height={height}");
    let mut times = Vec::new();
    for _ in 0..VIEWS {
        let start = Instant::now();
        let view = server.post(&path, &pixels);
        times.push(start.elapsed());
        assert_eq!(view.status, 200);
    }
    println!(
        "{VIEWS} views of a drawing of {width}×{height}: {}",
        summary(times)
    );
}

fn summary(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |fraction: f64| {
        let index = (fraction * (times.len() - 1) as f64) as usize;
        times[index].as_secs_f64() * 1e3
    };
    let (median, high, longest) = (at(0.5), at(0.95), at(1.0));
    format!("median {median:.2} ms, 95th percentile {high:.2} ms, longest {longest:.2} ms")
}
