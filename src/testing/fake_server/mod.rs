//! A loopback HTTP server that plays a script and keeps what it was sent.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

mod connection;
mod reply;
mod request;
#[cfg(test)]
mod tests;

pub use reply::{Framing, Reply};
pub use request::CapturedRequest;

/// Serves scripted replies on a loopback port, for tests that need a real connection.
///
/// Requests take the replies in the order in which they arrive, whatever connection they come on. A request that finds
/// no reply left gets the status 599 and is kept with [`CapturedRequest::is_extra`] set. The server itself never panics:
/// what it could not make sense of is in [`problems`](Self::problems), which a test should find empty. It stops, and
/// closes its connections, when it is dropped.
///
/// ```
/// use openai_agents::testing::{FakeServer, Reply};
/// use serde_json::json;
/// # use openai_agents::http::{BaseUrl, Headers, HttpClient};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = FakeServer::start([
///     Reply::json(&json!({"object": "list", "data": []})),
///     Reply::sse([r#"{"n":1}"#, "[DONE]"]).byte_by_byte(),
///     Reply::status(500, "overloaded"),
/// ])
/// .await?;
///
/// let client = HttpClient::default();
/// let url = BaseUrl::parse(&server.url())?.join("v1/models")?;
/// let response = client.get(&url, &Headers::new()).await?;
/// assert_eq!(response.status, 200);
///
/// let requests = server.requests();
/// assert_eq!((requests[0].method.as_str(), requests[0].path.as_str()), ("GET", "/v1/models"));
/// assert_eq!(server.n_unplayed(), 2);
/// assert!(server.problems().is_empty());
/// # Ok(())
/// # }
/// ```
///
/// To see that dropping a future cancels the request, let the reply hang and wait for the client to go:
///
/// ```
/// # use openai_agents::testing::{FakeServer, Reply};
/// # use openai_agents::http::{Headers, HttpClient, Url};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = FakeServer::start([Reply::sse([r#"{"n":1}"#]).hang()]).await?;
/// let response = HttpClient::default().get(&Url::parse(&server.url())?, &Headers::new()).await?;
/// drop(response);
/// server.peer_closed().await;
/// # Ok(())
/// # }
/// ```
pub struct FakeServer {
    address: SocketAddr,
    shared: StateSender,
    accepting: JoinHandle<()>,
}

impl FakeServer {
    /// Binds a free port of 127.0.0.1 and serves the replies in order.
    ///
    /// # Errors
    ///
    /// If no port can be bound.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future binds nothing.
    pub async fn start(replies: impl IntoIterator<Item = Reply>) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = StateSender::new(replies.into_iter().collect());
        let accepting = tokio::spawn(accept(listener, shared.clone()));
        Ok(Self {
            address,
            shared,
            accepting,
        })
    }

    /// Binds a free port of 127.0.0.1 and answers each request by a function.
    ///
    /// It does so whatever the script has.
    ///
    /// For what sends requests whose number or order a test does not know.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future binds nothing.
    pub async fn answering(
        answer: impl Fn(&CapturedRequest) -> Reply + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let server = Self::start([]).await?;
        let answer: AnswerFn = Arc::new(answer);
        server.shared.change(|state| state.answer = Some(answer));
        Ok(server)
    }

    /// Returns `http://127.0.0.1:` and the port.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the address it listens on.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Appends a reply to the script.
    pub fn push(&self, reply: Reply) {
        self.shared.change(|state| state.script.push_back(reply));
    }

    /// Returns the requests so far, in the order of their arrival.
    pub fn requests(&self) -> Vec<CapturedRequest> {
        self.shared.0.borrow().requests.clone()
    }

    /// Counts the connections that were accepted so far.
    pub fn n_connections(&self) -> usize {
        self.shared.0.borrow().n_connections
    }

    /// Counts the replies that no request has taken yet.
    pub fn n_unplayed(&self) -> usize {
        self.shared.0.borrow().script.len()
    }

    /// Returns what went wrong: requests past the script, and bytes that are no HTTP request.
    pub fn problems(&self) -> Vec<String> {
        self.shared.0.borrow().problems.clone()
    }

    /// Waits until so many requests have arrived whole.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn received(&self, n_requests: usize) {
        self.shared
            .until(|state| state.requests.len() >= n_requests)
            .await;
    }

    /// Waits until a client has closed its connection in the middle of a reply.
    ///
    /// It is so already if that happened before the call. A client that closes an idle connection does not count.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn peer_closed(&self) {
        self.shared.until(|state| state.n_abandoned > 0).await;
    }

    /// Waits until every connection that was accepted is closed, by whichever side.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn all_closed(&self) {
        self.shared
            .until(|state| state.n_closed == state.n_connections)
            .await;
    }
}

impl fmt::Debug for FakeServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeServer")
            .field("address", &self.address)
            .field("n_unplayed", &self.n_unplayed())
            .finish_non_exhaustive()
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        // The task owns the tasks of the connections, which end with it.
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: StateSender) {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let idx = shared.open_connection();
                let shared = shared.clone();
                connections.spawn(async move {
                    connection::serve(stream, idx, shared.clone()).await;
                    shared.change(|state| state.n_closed += 1);
                });
            }
            Err(error) => {
                shared.problem(format!("a connection could not be accepted: {error}"));
                return;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

/// What the server and its connections know together; the channel wakes those who wait for a change.
#[derive(Clone)]
struct StateSender(Arc<watch::Sender<FakeServerState>>);

#[derive(Default)]
struct FakeServerState {
    script: VecDeque<Reply>,
    answer: Option<AnswerFn>,
    requests: Vec<CapturedRequest>,
    problems: Vec<String>,
    n_connections: usize,
    n_abandoned: usize,
    n_closed: usize,
}

type AnswerFn = Arc<dyn Fn(&CapturedRequest) -> Reply + Send + Sync>;

impl StateSender {
    fn new(script: VecDeque<Reply>) -> Self {
        let state = FakeServerState {
            script,
            ..FakeServerState::default()
        };
        Self(Arc::new(watch::Sender::new(state)))
    }

    fn change(&self, change: impl FnOnce(&mut FakeServerState)) {
        self.0.send_modify(change);
    }

    fn problem(&self, problem: String) {
        self.change(|state| state.problems.push(problem));
    }

    fn open_connection(&self) -> usize {
        let mut idx = 0;
        self.change(|state| {
            idx = state.n_connections;
            state.n_connections += 1;
        });
        idx
    }

    /// Keeps a request and takes the reply for it.
    fn answer(&self, mut request: CapturedRequest) -> Reply {
        let mut reply = None;
        self.change(|state| {
            reply = match &state.answer {
                Some(answer) => Some(answer(&request)),
                None => state.script.pop_front(),
            };
            request.is_extra = reply.is_none();
            if request.is_extra {
                state.problems.push(format!(
                    "{} {} came past the end of the script",
                    request.method, request.path
                ));
            }
            state.requests.push(request);
        });
        reply.unwrap_or_else(|| {
            let message = "the script of the fake server has no reply left";
            Reply::json(&json!({"error": {"message": message}})).with_status(599)
        })
    }

    async fn until(&self, met: impl Fn(&FakeServerState) -> bool) {
        // It fails only when the sender is gone, and `self` holds it.
        self.0.subscribe().wait_for(|state| met(state)).await.ok();
    }
}
