//! The connections of a client, and those that wait idle for the next request.
//!
//! This pool replaces the one of hyper-util, which also speaks HTTP/2, repeats requests, and uses a
//! task to wait for the end of each body. That took an eighth of the cost of a turn. Here whoever
//! reads the end of a body returns the connection. A request takes the idle connection that was
//! returned last, or opens one for itself. It never waits for the connection of another request.

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

/// How long a connection stays idle before it is closed. Uvicorn, which vLLM, LiteLLM and many
/// others use, closes after 5 s. A request that is sent at that moment would fail, and nothing here
/// sends it again.
const MAX_IDLE: Duration = Duration::from_secs(4);

/// The connections of one client. A cheap handle.
#[derive(Clone)]
pub(super) struct ConnectionPool(Arc<PoolParts>);

struct PoolParts {
    connector: Connector,
    idle: Mutex<IdleConnections>,
}

#[derive(Default)]
struct IdleConnections {
    /// Sorted by their return, the latest last.
    by_target: BTreeMap<ConnectionTarget, Vec<IdleConnection>>,
    /// The task that closes connections that were idle for too long. It runs while there are idle ones.
    sweeper: Option<AbortHandle>,
}

/// Where connections lead that can replace each other.
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
    /// Whether a proxy at the other end needs full URLs.
    via_proxy: bool,
    /// The timer of the last request, kept because making and registering one costs a hundredth of a turn. Until the next wait it
    /// holds the waker of a task that may have ended, whose memory is not freed before that.
    alarm: Option<Alarm>,
}

/// A connection that belongs to one request. Dropping it before the end of the answer closes it.
pub(super) struct PooledConnection {
    connection: OpenConnection,
    target: ConnectionTarget,
    pool: ConnectionPool,
}

/// The body of an answer, which returns its connection at its end.
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
        // The task ends when the last sender is dropped. An error reaches the request that is under way. A connection that breaks
        // while it is idle is not used again, so that its error can be dropped.
        drop(tokio::spawn(connection.with_upgrades()));
        // If the server closes at once, this fails before a request is sent, and the error can say so.
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

    /// Takes back a connection that is ready for the next request. Outside a runtime it is closed, because nothing could close it
    /// in time.
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

    /// Closes connections that were idle for too long. Gives the time of the next check; `None` if
    /// none is idle.
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
            // The next connection that is returned starts another task.
            idle.sweeper = None;
        }
        next
    }
}

/// Ends the task with the last handle; the connections close by being dropped.
impl Drop for PoolParts {
    fn drop(&mut self) {
        let idle = self.idle.get_mut();
        if let Some(sweeper) = &idle.unwrap_or_else(PoisonError::into_inner).sweeper {
            sweeper.abort();
        }
    }
}

/// Closes idle connections in time. It waits first, because the connection that started it is
/// mostly in use again by then.
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
    /// Says whether a proxy at the other end reads the requests, and does not only pass bytes on.
    pub(super) const fn is_seen_by_proxy(&self) -> bool {
        self.connection.via_proxy
    }

    /// Returns the URL in the form for the request line.
    pub(super) fn request_target(&self, url: &Url) -> Uri {
        if self.connection.via_proxy {
            url.uri().clone()
        } else {
            url.path_and_query().clone()
        }
    }

    /// Takes the timer of the last request, if there is one.
    pub(super) const fn take_alarm(&mut self) -> Option<Alarm> {
        self.connection.alarm.take()
    }

    /// Keeps the timer of a request for the next one.
    pub(super) fn keep_alarm(&mut self, alarm: Option<Alarm>) {
        self.connection.alarm = alarm;
    }

    /// Sends a request. The future waits for the head of the answer.
    pub(super) fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> impl Future<Output = hyper::Result<Response<Incoming>>> + use<> {
        self.connection.sender.send_request(request)
    }

    /// Returns the connection after a body.
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
        // Two cases: the task of the connection gave us the end of the body and is about to mark the connection as ready, on
        // another thread. Or the server answered before it had read the whole request, and may never read the rest.
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
            // The body broke off. Where the next answer would begin is unknown, so that the connection is closed.
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

/// Returns the connection of a body that has nothing more to read, such as an empty one that nobody polled.
impl Drop for PooledBody {
    fn drop(&mut self) {
        if self.incoming.is_end_stream() {
            self.release();
        }
    }
}
