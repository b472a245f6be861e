//! Connections: how many, how long, and how they end. What is sent over them is in `router`.

pub(crate) mod extract;
mod guard;
mod router;
pub(crate) mod work;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;

pub(crate) use guard::Hosts;
pub(crate) use router::router;

/// Connections at once, each of which may send a body of 8 MB. More wait until one ends.
const MAX_CONNECTIONS: usize = 128;

/// Time for the header of a request, and between two requests of a connection.
const HEADER_TIME: Duration = Duration::from_secs(10);

/// Time in which a client must take some of an answer, so that clients that never do leave room for others.
const WRITE_TIME: Duration = Duration::from_secs(10);

/// Time for requests that are being answered when the server ends.
const LAST_REQUESTS: Duration = Duration::from_millis(500);

/// Pause after a connection that could not be accepted, as when the process has no file left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Signals the end of the server.
pub(crate) type Shutdown = watch::Receiver<bool>;

/// Waits for the end of the server.
pub(crate) async fn ended(shutdown: &mut Shutdown) {
    // An error means that the sender is gone, which is the end too.
    let _ = shutdown.wait_for(|ended| *ended).await;
}

/// Answers requests until the shutdown, then gives those under way a moment to finish.
pub(crate) async fn serve(listener: TcpListener, router: Router, mut shutdown: Shutdown) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accepted => accepted,
            () = ended(&mut shutdown) => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = connection(stream, router.clone(), shutdown.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
        while connections.try_join_next().is_some() {}
    }
    let all = async { while connections.join_next().await.is_some() {} };
    // What is left is aborted when the set is dropped.
    let _ = timeout(LAST_REQUESTS, all).await;
}

/// Answers the requests of one connection. An error of the connection concerns nobody else.
async fn connection(stream: TcpStream, router: Router, mut shutdown: Shutdown) {
    // Without it, small answers may wait for the acknowledgement of earlier ones.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIME));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .serve_connection(
            TokioIo::new(Box::pin(stream)),
            TowerToHyperService::new(router),
        );
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = ended(&mut shutdown) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

/// The address for a browser.
pub(crate) fn url(address: SocketAddr) -> String {
    let host = match address {
        // A browser on this machine reaches every address of it.
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => "127.0.0.1".to_owned(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => "[::1]".to_owned(),
        SocketAddr::V4(v4) => v4.ip().to_string(),
        SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
    };
    format!("http://{host}:{}/", address.port())
}
