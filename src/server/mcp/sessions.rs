//! The MCP sessions of clients: bounded in number, closed when idle.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_core::Stream;
use rmcp::model::{ClientJsonRpcMessage, GetExtensions, ServerJsonRpcMessage};
use rmcp::transport::common::server_side_http::ServerSseMessage;
use rmcp::transport::streamable_http_server::session::local::{
    LocalSessionHandle, LocalSessionManager, LocalSessionManagerError, SessionConfig,
};
use rmcp::transport::streamable_http_server::session::{SessionId, SessionManager};
use tokio::sync::Notify;
use tokio_stream::wrappers::ReceiverStream;

/// How long an answer waits for a client that was to come back.
const TAKE_UP_TIMEOUT: Duration = Duration::from_secs(60);

/// The sessions of one router.
#[derive(Debug)]
pub(super) struct Sessions {
    local: LocalSessionManager,
    max: usize,
    /// Held from counting the sessions to adding one.
    adding: tokio::sync::Mutex<()>,
    released: Arc<Released>,
}

/// The streams that were let go of while their calls went on, and what is told when a client takes one up again.
type Released = Mutex<HashMap<(SessionId, u64), Arc<Notify>>>;

tokio::task_local! {
    /// Whether the request that is answered asked for a session too many.
    static IS_FULL: Cell<bool>;
}

/// Answers 503 where there are as many sessions as there may be; rmcp answers 500 (3.11).
pub(super) async fn refuse_too_many(request: Request, next: Next) -> Response {
    let answered = async {
        let response = next.run(request).await;
        (response, IS_FULL.with(Cell::get))
    };
    match IS_FULL.scope(Cell::new(false), answered).await {
        (response, false) => response,
        (_, true) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "there are too many sessions\n",
        )
            .into_response(),
    }
}

/// Says why a session cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionsError {
    #[error("there are {0} sessions, and no more are allowed")]
    Full(usize),
    #[error("{0}")]
    Local(#[from] LocalSessionManagerError),
}

impl Sessions {
    pub(super) fn new(max_sessions: usize, session_timeout: Duration) -> Self {
        let mut config = SessionConfig::default();
        config.keep_alive = Some(session_timeout);
        config.init_timeout = Some(session_timeout.min(SessionConfig::DEFAULT_INIT_TIMEOUT));
        let mut local = LocalSessionManager::default();
        local.session_config = config;
        Self {
            local,
            max: max_sessions,
            adding: tokio::sync::Mutex::default(),
            released: Arc::default(),
        }
    }
}

type Result<T> = std::result::Result<T, SessionsError>;

impl SessionManager for Sessions {
    type Error = SessionsError;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport)> {
        // Without it two clients could both see the last free place.
        let _adding = self.adding.lock().await;
        let n_sessions = self.local.sessions.read().await.len();
        if n_sessions >= self.max {
            // Nothing hears of it where no request is answered.
            IS_FULL.try_with(|is_full| is_full.set(true)).ok();
            return Err(SessionsError::Full(n_sessions));
        }
        Ok(self.local.create_session().await?)
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage> {
        Ok(self.local.initialize_session(id, message).await?)
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool> {
        Ok(self.local.has_session(id).await?)
    }

    async fn close_session(&self, id: &SessionId) -> Result<()> {
        Ok(self.local.close_session(id).await?)
    }

    /// As the local manager does it, but that the request knows the stream that waits for its answer.
    async fn create_stream(
        &self,
        id: &SessionId,
        mut message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static> {
        let session = self.local.sessions.read().await.get(id).cloned();
        let session =
            session.ok_or_else(|| LocalSessionManagerError::SessionNotFound(Arc::clone(id)))?;
        let receiver = session
            .establish_request_wise_channel()
            .await
            .map_err(LocalSessionManagerError::from)?;
        if let (ClientJsonRpcMessage::Request(request), Some(n)) =
            (&mut message, receiver.http_request_id)
        {
            let stream = ResponseStream {
                session: session.clone(),
                key: (Arc::clone(id), n),
                released: Arc::clone(&self.released),
            };
            request.request.extensions_mut().insert(stream);
        }
        session
            .push_message(message, receiver.http_request_id)
            .await
            .map_err(LocalSessionManagerError::from)?;
        Ok(ReceiverStream::new(receiver.inner))
    }

    async fn accept_message(&self, id: &SessionId, message: ClientJsonRpcMessage) -> Result<()> {
        Ok(self.local.accept_message(id, message).await?)
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static> {
        Ok(self.local.create_standalone_stream(id).await?)
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static> {
        // `<event>/<stream>`.
        let stream = last_event_id.split_once('/').map(|(_, n)| n.parse());
        let resumed = self.local.resume(id, last_event_id).await?;
        if let Some(Ok(n)) = stream
            && let Some(taken_up) = lock(&self.released).get(&(Arc::clone(id), n))
        {
            taken_up.notify_one();
        }
        Ok(resumed)
    }
}

/// The stream on which a client waits for the answer to one request.
#[derive(Clone)]
pub(super) struct ResponseStream {
    session: LocalSessionHandle,
    key: (SessionId, u64),
    released: Arc<Released>,
}

impl ResponseStream {
    /// Closes the stream; the client opens another after this time.
    pub(super) async fn close(&self, reconnect_after: Duration) {
        lock(&self.released).insert(self.key.clone(), Arc::default());
        let closed = self
            .session
            .close_sse_stream(self.key.1, Some(reconnect_after))
            .await;
        if let Err(error) = closed {
            tracing::debug!(target: "openai_agents::mcp", %error, "the stream of a call cannot be closed");
        }
    }

    /// Waits until a stream that was let go of is taken up again: an answer that is sent to nobody is lost (rmcp 3.11).
    pub(super) async fn taken_up(&self) {
        let taken_up = lock(&self.released).get(&self.key).map(Arc::clone);
        if let Some(taken_up) = taken_up {
            tokio::time::timeout(TAKE_UP_TIMEOUT, taken_up.notified())
                .await
                .ok();
            self.forget();
        }
    }

    /// Gives up a stream whose call has no answer.
    pub(super) fn forget(&self) {
        lock(&self.released).remove(&self.key);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
