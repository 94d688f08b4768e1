//! Connections to servers, and those among them that lie idle until the next request.
//!
//! A pool of our own: the one of hyper-util also speaks HTTP/2, sends requests again and has a task wait for the end of each body, and
//! took an eighth of what a turn costs. Here a connection goes back when its body is at its end, by whoever reads that. A request takes
//! the idle connection that came back last, or else opens one for itself; it waits for nobody else's.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response, Uri};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::Url;
use super::connector::Connector;
use super::timer::Alarm;
use crate::future::BoxError;

/// Connections that lie idle are closed after this time. Uvicorn, on which vLLM, LiteLLM and many others run, closes them
/// after 5 s; a request sent at that moment would fail, and nothing here sends it again.
const MAX_IDLE: Duration = Duration::from_secs(4);

/// Connections of one client; a cheap handle.
#[derive(Clone)]
pub(super) struct ConnectionPool(Arc<PoolParts>);

struct PoolParts {
    connector: Connector,
    idle: Mutex<IdleConnections>,
}

#[derive(Default)]
struct IdleConnections {
    /// Those that came back last stand last.
    by_target: BTreeMap<ConnectionTarget, Vec<IdleConnection>>,
    /// The task that closes what has lain idle for too long, while anything may.
    sweeper: Option<AbortHandle>,
}

/// What connections that can stand in for each other lead to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct ConnectionTarget {
    host_port: Arc<str>,
    is_https: bool,
}

struct IdleConnection {
    connection: OpenConnection,
    since: Instant,
}

struct OpenConnection {
    sender: SendRequest<Full<Bytes>>,
    /// Whether a proxy at the other end is sent whole URLs.
    via_proxy: bool,
    /// Of the last request; to make one and to register it costs a hundredth of a turn. Until the next wait it has the waker of a task
    /// that may be over, whose place in memory stays as long.
    alarm: Option<Alarm>,
}

/// A connection that belongs to one request. Dropped before the end of the answer, it is closed.
pub(super) struct PooledConnection {
    connection: OpenConnection,
    target: ConnectionTarget,
    pool: ConnectionPool,
}

/// The body of an answer, which gives its connection back at its end.
pub(super) struct PooledBody {
    incoming: Incoming,
    connection: Option<PooledConnection>,
}

impl ConnectionPool {
    pub(super) fn new(connector: Connector) -> Self {
        Self(Arc::new(PoolParts {
            connector,
            idle: Mutex::default(),
        }))
    }

    /// Takes an idle connection, if there is one.
    pub(super) fn take(&self, url: &Url) -> Option<PooledConnection> {
        let target = ConnectionTarget::of(url);
        let mut idle = self.0.lock();
        let connections = idle.by_target.get_mut(&target)?;
        // The newest first: it has the best chance to be still open, and the oldest get old enough
        // for the sweeper.
        let connection = loop {
            let IdleConnection { connection, since } = connections.pop()?;
            // Checked here as well as by the sweeper, which may be late. What is too old is dropped
            // by the `pop`.
            if since.elapsed() < MAX_IDLE && connection.sender.is_ready() {
                break connection;
            }
        };
        drop(idle);
        Some(self.pooled(target, connection))
    }

    /// Opens a connection.
    pub(super) async fn open(&self, url: &Url) -> Result<PooledConnection, BoxError> {
        let stream = self.0.connector.connect(url.uri().clone()).await?;
        let via_proxy = stream.via_proxy();
        let (mut sender, connection) = http1::handshake(stream).await?;
        // It ends when the last who could send over it is gone. What breaks it is told to the request that is under way; one that breaks
        // while it lies idle is not used again, and nobody needs to hear of it.
        drop(tokio::spawn(connection.with_upgrades()));
        // A server that closes it at once has seen no request, and the error is to say so.
        sender.ready().await?;
        let connection = OpenConnection {
            sender,
            via_proxy,
            alarm: None,
        };
        Ok(self.pooled(ConnectionTarget::of(url), connection))
    }

    fn pooled(&self, target: ConnectionTarget, connection: OpenConnection) -> PooledConnection {
        PooledConnection {
            connection,
            target,
            pool: self.clone(),
        }
    }

    /// Takes a connection back that is ready for the next request; outside of a runtime, where nothing could close it in time, it is
    /// closed.
    fn put(&self, target: ConnectionTarget, connection: OpenConnection) {
        let mut idle = self.0.lock();
        // One task for all idle connections, begun by the first. A finished one belongs to a
        // runtime that is gone.
        let is_swept = |sweeper: &AbortHandle| !sweeper.is_finished();
        if !idle.sweeper.as_ref().is_some_and(is_swept) {
            let Ok(runtime) = Handle::try_current() else {
                return;
            };
            let sweeper = runtime.spawn(sweep(Arc::downgrade(&self.0)));
            idle.sweeper = Some(sweeper.abort_handle());
        }
        idle.by_target
            .entry(target)
            .or_default()
            .push(IdleConnection {
                connection,
                since: Instant::now(),
            });
    }
}

impl PoolParts {
    fn lock(&self) -> MutexGuard<'_, IdleConnections> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes what has lain idle for too long, and says when the next will have; nothing if there is none.
    fn close_old(&self) -> Option<Instant> {
        let mut idle = self.lock();
        let now = Instant::now();
        let mut next: Option<Instant> = None;
        idle.by_target.retain(|_, connections| {
            connections.retain(|idle| idle.since + MAX_IDLE > now);
            let first = connections.first().map(|idle| idle.since + MAX_IDLE);
            next = next.into_iter().chain(first).min();
            first.is_some()
        });
        if next.is_none() {
            // The next that comes back begins anew.
            idle.sweeper = None;
        }
        next
    }
}

/// The connections go with the last handle.
impl Drop for PoolParts {
    fn drop(&mut self) {
        let idle = self.idle.get_mut();
        if let Some(sweeper) = &idle.unwrap_or_else(PoisonError::into_inner).sweeper {
            sweeper.abort();
        }
    }
}

/// Closes idle connections in time. It waits first, because the one for which it was begun is mostly in use when it gets its turn.
async fn sweep(pool: Weak<PoolParts>) {
    let mut next = Some(Instant::now() + MAX_IDLE);
    while let Some(time) = next {
        sleep_until(time).await;
        next = pool.upgrade().and_then(|pool| pool.close_old());
    }
}

impl ConnectionTarget {
    fn of(url: &Url) -> Self {
        Self {
            host_port: url.shared_host_port(),
            is_https: url.is_https(),
        }
    }
}

impl PooledConnection {
    /// Whether a proxy at the other end sees whole requests, and not only passes bytes on.
    pub(super) const fn is_seen_by_proxy(&self) -> bool {
        self.connection.via_proxy
    }

    /// How the URL stands in a request.
    pub(super) fn request_target(&self, url: &Url) -> Uri {
        if self.connection.via_proxy {
            url.uri().clone()
        } else {
            url.path_and_query().clone()
        }
    }

    /// Takes the alarm of the request before, if there was one.
    pub(super) const fn take_alarm(&mut self) -> Option<Alarm> {
        self.connection.alarm.take()
    }

    /// Keeps the alarm of a request for the next.
    pub(super) fn keep_alarm(&mut self, alarm: Option<Alarm>) {
        self.connection.alarm = alarm;
    }

    /// Sends a request; what is given waits for the head of the answer.
    pub(super) fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> impl Future<Output = hyper::Result<Response<Incoming>>> + use<> {
        self.connection.sender.send_request(request)
    }

    /// Gives the connection back behind a body.
    fn release(self) {
        let Self {
            mut connection,
            target,
            pool,
        } = self;
        if connection.sender.is_ready() {
            pool.put(target, connection);
            return;
        }
        // Its task has given us the end of the body and is about to say so on another thread, or the server answered before it had read
        // the whole request and may never do that.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                if let Ok(Ok(())) = timeout(MAX_IDLE, connection.sender.ready()).await {
                    pool.put(target, connection);
                }
            });
        }
    }
}

impl PooledBody {
    pub(super) const fn new(incoming: Incoming, connection: Option<PooledConnection>) -> Self {
        Self {
            incoming,
            connection,
        }
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }

    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        match &frame {
            Some(Ok(_)) => {}
            // The body broke off, so nobody knows where the next answer would begin.
            Some(Err(_)) => self.connection = None,
            None => self.release(),
        }
        Poll::Ready(frame)
    }

    fn release(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.release();
        }
    }
}

/// A body of which nothing is to come need not be read for that.
impl Drop for PooledBody {
    fn drop(&mut self) {
        if self.incoming.is_end_stream() {
            self.release();
        }
    }
}
