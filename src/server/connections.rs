//! The connections of a server: bounded in number and in how long they may be silent, and closed with it.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::future::{self, Either};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tower_service::Service;

/// How long the head of a request may take, from when the connection is free for it.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait when no connection can be accepted, such as for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(500);

/// The connections; they end with it.
pub(super) struct Connections {
    listener: TcpListener,
    app: Router,
    places: Arc<Semaphore>,
    /// Whether they are to end with what they are answering.
    ending: watch::Sender<bool>,
}

impl Connections {
    pub(super) fn new(listener: TcpListener, app: Router, max_connections: usize) -> Self {
        let max_connections = max_connections.min(Semaphore::MAX_PERMITS);
        Self {
            listener,
            app,
            places: Arc::new(Semaphore::new(max_connections)),
            ending: watch::Sender::new(false),
        }
    }

    /// Takes connections for as long as it is polled.
    pub(super) async fn accept(&self) -> Infallible {
        loop {
            let place = Arc::clone(&self.places).acquire_owned().await;
            let Ok(place) = place else {
                // Nobody closes the semaphore.
                return future::pending().await;
            };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let answering =
                        answer(stream, self.app.clone(), self.ending.subscribe(), place);
                    // The task owns its place. It ends with the connection, or when `ending` says
                    // so.
                    drop(tokio::spawn(answering));
                }
                // It was gone before it was taken.
                Err(error) if is_of_the_client(&error) => {}
                Err(error) => {
                    tracing::error!(target: "openai_agents::server", %error, "no connection can be accepted");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// Ends the connections with what they are answering; those that take longer are closed.
    pub(super) async fn close(self, patience: Duration) {
        drop(self.listener);
        self.ending.send_replace(true);
        timeout(patience, self.ending.closed()).await.ok();
    }
}

fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}

/// Answers the requests of a connection until it or the server ends.
async fn answer(
    stream: TcpStream,
    app: Router,
    mut ending: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
) {
    // Small events must not wait for more.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(target: "openai_agents::server", %error, "a connection without TCP_NODELAY");
    }
    let service = service_fn(move |request: hyper::Request<Incoming>| app.clone().call(request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        // A realtime session goes on over its connection.
        .with_upgrades();
    let mut connection = pin!(connection);
    let mut is_gone = ending.clone();
    let is_told = pin!(async { ending.wait_for(|is_ending| *is_ending).await.is_ok() });
    let ended = match future::select(connection.as_mut(), is_told).await {
        Either::Left((ended, _)) => ended,
        Either::Right((false, _)) => return,
        Either::Right((true, _)) => {
            // No further request on this connection. The one that is being answered goes on to its
            // end.
            connection.as_mut().graceful_shutdown();
            // This is never told more than that the server is gone.
            is_gone.mark_unchanged();
            match future::select(connection, pin!(is_gone.changed())).await {
                Either::Left((ended, _)) => ended,
                Either::Right(_) => return,
            }
        }
    };
    if let Err(error) = ended {
        // A client that goes away, or sends what is no HTTP.
        tracing::debug!(target: "openai_agents::server", %error, "a connection broke");
    }
}
