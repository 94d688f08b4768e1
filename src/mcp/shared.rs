//! The state that the handles of a server and its tools share; every request passes here.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rmcp::model::{CallToolRequestParams, MetaObject, RequestParamsMeta};
use rmcp::service::ServiceError;
use serde_json::{Map, Value};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::auth::Authorization;
use super::bridge::Changes;
use super::call_headers;
use super::connection::{Blueprint, Connection, Remains, backend};
use super::deviations::Deviations;
use super::frames::{Frames, is_unreadable};
use super::normal::Raw;
use super::options::{Options, PerCall};
use super::parse::{self, Unusable};
use super::redaction::ServerSecrets;
use super::start::{is_session_lost, words_of};
use super::{McpError, McpState, McpToolResult, McpTransport};
use crate::error::error_chain;
use crate::future::{BoxError, BoxFuture};
use crate::tools::ToolContext;
use crate::trace::{self, gen_ai};

/// How often one request may lead to an authorization.
const MAX_CHALLENGES: usize = 3;

/// What a server's handles and tools have in common.
pub(super) struct Shared {
    pub(super) name: String,
    transport: McpTransport,
    pub(super) options: Options,
    secrets: Arc<ServerSecrets>,
    pub(super) deviations: Arc<Deviations>,
    authorization: OnceCell<Authorization>,
    pub(super) changes: Arc<Changes>,
    state: Mutex<ConnectionState>,
    /// When a server that had ended was last tried again.
    reconnected_at: Mutex<Option<Instant>>,
    /// Held while a connection is made or ended.
    turn: tokio::sync::Mutex<()>,
}

enum ConnectionState {
    Starting,
    Ready(Arc<Connection>),
    Failed(McpError),
    Closed,
}

impl Shared {
    pub(super) fn new(name: String, transport: McpTransport, options: Options) -> Self {
        let secrets = Arc::new(ServerSecrets::new(&transport));
        Self {
            deviations: Arc::new(Deviations::new(&name, Arc::clone(&secrets))),
            secrets,
            name,
            transport,
            options,
            authorization: OnceCell::new(),
            changes: Arc::default(),
            state: Mutex::new(ConnectionState::Closed),
            reconnected_at: Mutex::new(None),
            turn: tokio::sync::Mutex::new(()),
        }
    }

    pub(super) fn transport(&self) -> &McpTransport {
        &self.transport
    }

    pub(super) fn public_state(&self) -> McpState {
        match &*self.state() {
            ConnectionState::Starting => McpState::Starting,
            ConnectionState::Ready(_) => McpState::Ready,
            ConnectionState::Failed(error) => McpState::Failed {
                error: error.clone(),
            },
            ConnectionState::Closed => McpState::Closed,
        }
    }

    /// Waits while a connection is being made or ended.
    pub(super) async fn settled(&self) {
        drop(self.turn.lock().await);
    }

    pub(super) async fn connect(&self) -> Result<(), McpError> {
        // One at a time. Whoever waits here finds the connection ready below and does nothing.
        let _turn = self.turn.lock().await;
        if self.connection().is_ok() {
            return Ok(());
        }
        // The state before comes back if this future is dropped while it connects.
        let before = self.enter(ConnectionState::Starting);
        let mut unfinished = Unfinished {
            shared: self,
            before: Some(before),
        };
        let opened = self.open().await;
        unfinished.before = None;
        self.changes.tools_changed();
        match opened {
            Ok(connection) => {
                self.enter(ConnectionState::Ready(Arc::new(connection)));
                Ok(())
            }
            Err(error) => {
                self.enter(ConnectionState::Failed(error.clone()));
                Err(error)
            }
        }
    }

    pub(super) async fn close(&self) {
        let _turn = self.turn.lock().await;
        if let ConnectionState::Ready(connection) = self.enter(ConnectionState::Closed) {
            connection.close().await;
        }
    }

    fn state(&self) -> MutexGuard<'_, ConnectionState> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let ConnectionState::Ready(connection) = &*state
            && !connection.is_open()
        {
            *state = ConnectionState::Failed(self.ended(connection));
        }
        state
    }

    fn enter(&self, next: ConnectionState) -> ConnectionState {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *state, next)
    }

    fn ended(&self, connection: &Connection) -> McpError {
        let Remains { end, stderr } = connection.remains();
        McpError::Ended {
            server: self.name.clone(),
            end,
            stderr,
        }
    }

    /// Boxed, as all that leads into rmcp: what polls a future compiles its state machine, so that each program and each test
    /// would compile rmcp's again, four times over (stdio, HTTP with and without authorization, a server).
    fn open(&self) -> BoxFuture<'_, Result<Connection, McpError>> {
        Box::pin(async move {
            let authorization = self.authorization().await?;
            Connection::open(Blueprint {
                server: &self.name,
                transport: &self.transport,
                options: &self.options,
                authorization,
                frames: self.frames(),
                changes: &self.changes,
            })
            .await
        })
    }

    /// Makes what reads the messages of one connection.
    fn frames(&self) -> Arc<Frames> {
        let deviations = Arc::clone(&self.deviations);
        Arc::new(Frames::new(Arc::clone(&self.secrets), deviations))
    }

    async fn authorization(&self) -> Result<Option<&Authorization>, McpError> {
        let McpTransport::Http(http) = &self.transport else {
            return Ok(None);
        };
        let Some(oauth) = &http.oauth else {
            return Ok(None);
        };
        let refuse = |reason: String| McpError::Option {
            server: self.name.clone(),
            reason,
        };
        let make = async || {
            let client = backend(http, self.frames(), &self.options)
                .map_err(|error| refuse(format!("{error:?}")))?;
            Authorization::new(oauth.clone(), &http.url, client)
                .await
                .map_err(|error| refuse(error_chain(&error)))
        };
        self.authorization.get_or_try_init(make).await.map(Some)
    }

    /// Returns the connection; a server that has ended is connected again first, if that was asked for and is due.
    pub(super) async fn ready(&self) -> Result<Arc<Connection>, McpError> {
        if self.options.reconnect_after.is_some() {
            // Somebody else may be at it.
            self.settled().await;
        }
        if self.may_reconnect() {
            tracing::info!(target: "openai_agents::mcp", server = self.name, "a server that ended is connected again");
            self.connect().await?;
        }
        self.connection()
    }

    /// Whether the server has ended and it is time to try again; whoever is told so is the one to do it.
    fn may_reconnect(&self) -> bool {
        let Some(after) = self.options.reconnect_after else {
            return false;
        };
        if !matches!(*self.state(), ConnectionState::Failed(_)) {
            return false;
        }
        let mut last = self
            .reconnected_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|at| at.elapsed() >= after);
        // Noted before it is tried, so that of several calls one reconnects and the others do not
        // try at the same time.
        if is_due {
            *last = Some(Instant::now());
        }
        is_due
    }

    pub(super) fn connection(&self) -> Result<Arc<Connection>, McpError> {
        let refuse = |reason: String| {
            Err(McpError::NotConnected {
                server: self.name.clone(),
                reason,
            })
        };
        match &*self.state() {
            ConnectionState::Ready(connection) => Ok(Arc::clone(connection)),
            ConnectionState::Starting => refuse("it is starting".to_owned()),
            ConnectionState::Failed(error) => {
                let again = match self.options.reconnect_after {
                    Some(after) => format!("it is tried again {after:?} after the last time, when it is needed"),
                    None => "it is not started again by itself, but when it is connected anew, by a reload of the program that serves".to_owned(),
                };
                refuse(format!("{}; {again}", error_chain(error)))
            }
            ConnectionState::Closed => refuse("it was not connected, or was closed".to_owned()),
        }
    }

    /// By what the server is reached, as traces name it.
    const fn network(&self) -> &'static str {
        match &self.transport {
            McpTransport::Http(_) => "tcp",
            _ => "pipe",
        }
    }

    /// Calls a tool for a run, with what the application adds to calls of this run.
    pub(super) async fn call_tool_in_run(
        &self,
        tool: &str,
        arguments: Map<String, Value>,
        cx: ToolContext,
    ) -> Result<McpToolResult, McpError> {
        let PerCall { meta, headers, .. } = &self.options.per_call;
        let mut added = match meta {
            Some(meta) => self.of_callback("`_meta`", meta(cx.clone()).await)?,
            None => Map::new(),
        };
        let Some(headers) = headers else {
            return self.call_tool(tool, arguments, added).await;
        };
        let headers = self.of_callback("headers", headers(cx).await)?;
        let parsed = self.of_callback("headers", call_headers::parse(&headers))?;
        self.secrets.add_of_call(&headers);
        // The headers wait here. A number for them travels in `_meta` to the place that writes the
        // request: see `call_headers`.
        let ticket = self.secrets.of_calls.enter(parsed);
        added.extend([ticket.entry()]);
        self.call_tool(tool, arguments, added).await
    }

    fn of_callback<T>(
        &self,
        what: &'static str,
        given: Result<T, BoxError>,
    ) -> Result<T, McpError> {
        given.map_err(|source| McpError::Callback {
            server: self.name.clone(),
            what,
            source: Arc::from(source),
        })
    }

    pub(super) async fn call_tool(
        &self,
        tool: &str,
        arguments: Map<String, Value>,
        added: Map<String, Value>,
    ) -> Result<McpToolResult, McpError> {
        // They go onto the span of the tool call, which is the span of this too.
        trace::with_current(|span| {
            span.set(gen_ai::MCP_METHOD, "tools/call");
            span.set(gen_ai::MCP_SERVER, self.name.as_str());
            span.set(gen_ai::NETWORK_TRANSPORT, self.network());
        });
        let request = |connection: Arc<Connection>| {
            let name = tool.to_owned();
            let params = CallToolRequestParams::new(name).with_arguments(arguments.clone());
            let mut params = in_trace(params);
            if !added.is_empty() {
                let meta = params.meta.get_or_insert_default();
                for (name, value) in &added {
                    meta.insert(name.clone(), value.clone());
                }
            }
            async move { connection.session.call_tool(params).await }
        };
        let result = self.request("tools/call", request).await?;
        self.read("tools/call", result.meta, parse::tool_result)
    }

    /// Sends a request within the call time-out; one that was refused for want of authorization is sent again with it.
    pub(super) async fn request<T, F, R>(
        &self,
        method: &'static str,
        send: F,
    ) -> Result<T, McpError>
    where
        F: Fn(Arc<Connection>) -> R,
        R: Future<Output = Result<T, ServiceError>>,
    {
        let after = self.options.call_timeout;
        let mut n_challenges = 0;
        loop {
            // Each round asks anew: an authorization may have led to another connection.
            let connection = self.ready().await?;
            // The time-out is ours: it covers everything that rmcp does for the request.
            let sent = tokio::time::timeout(after, send(Arc::clone(&connection))).await;
            let error = match sent {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => error,
                Err(_) => {
                    return Err(McpError::Timeout {
                        server: self.name.clone(),
                        method,
                        after,
                    });
                }
            };
            match (error.auth_challenge(), self.authorization.get()) {
                (Some(challenge), Some(authorization)) if n_challenges < MAX_CHALLENGES => {
                    n_challenges += 1;
                    self.answer_challenge(authorization, challenge).await?;
                }
                _ => {
                    let is_lost = is_session_lost(&error);
                    let explained = self.explain(method, &connection, error).await;
                    if is_lost {
                        self.lose(&connection, &explained);
                    }
                    return Err(explained);
                }
            }
        }
    }

    /// Marks a connection as ended whose session the server has forgotten, as one does that was started again.
    fn lose(&self, lost: &Arc<Connection>, error: &McpError) {
        let mut state = self.state();
        if matches!(&*state, ConnectionState::Ready(current) if Arc::ptr_eq(current, lost)) {
            tracing::warn!(target: "openai_agents::mcp", server = self.name, "the MCP server does not know its session any more");
            *state = ConnectionState::Failed(error.clone());
        }
    }

    async fn answer_challenge(
        &self,
        authorization: &Authorization,
        challenge: &str,
    ) -> Result<(), McpError> {
        let answered = authorization.answer(challenge).await;
        answered.map_err(|error| McpError::Unauthorized {
            server: self.name.clone(),
            reason: self.redacted(&error_chain(&*error)),
        })
    }

    async fn explain(
        &self,
        method: &'static str,
        connection: &Connection,
        error: ServiceError,
    ) -> McpError {
        let server = self.name.clone();
        if let Some(challenge) = error.auth_challenge() {
            let reason = self.redacted(challenge);
            return McpError::Unauthorized { server, reason };
        }
        match error {
            ServiceError::McpError(error) if is_unreadable(&error) => {
                self.unexpected(method, self.redacted(&error.message))
            }
            ServiceError::McpError(error) => McpError::Refused {
                server,
                method,
                code: error.code.0,
                message: self.redacted(&error.message),
                data: error.data.map(Box::new),
            },
            ServiceError::TransportClosed if connection.is_open() => McpError::Transport {
                server,
                method,
                source: McpError::cause(
                    "the stream of the answer broke, and could not be taken up again".to_owned(),
                ),
            },
            ServiceError::TransportClosed => {
                connection.settle().await;
                self.ended(connection)
            }
            ServiceError::UnexpectedResponse => McpError::Unexpected {
                server,
                method,
                found: "something that is no answer to it".to_owned(),
            },
            error => McpError::Transport {
                server,
                method,
                source: McpError::cause(self.redacted(&words_of(&error))),
            },
        }
    }

    fn redacted(&self, text: &str) -> String {
        self.secrets.redactor().redact(text).into_owned()
    }

    /// Reads what a server answered.
    pub(super) fn read<T>(
        &self,
        method: &'static str,
        meta: Option<MetaObject>,
        reader: impl FnOnce(&Raw) -> Result<T, Unusable>,
    ) -> Result<T, McpError> {
        let raw = Raw::of_result(meta);
        let raw = raw.ok_or_else(|| self.unexpected(method, "nothing".to_owned()))?;
        reader(&raw).map_err(|unusable| self.unusable(method, &unusable))
    }

    pub(super) fn unusable(&self, method: &'static str, unusable: &Unusable) -> McpError {
        self.unexpected(method, format!("what cannot be used: {unusable}"))
    }

    pub(super) fn unexpected(&self, method: &'static str, found: String) -> McpError {
        McpError::Unexpected {
            server: self.name.clone(),
            method,
            found,
        }
    }
}

/// Tells the server of the span that a request is made in, if there is one (SEP-414): what it traces belongs there.
pub(super) fn in_trace<P: RequestParamsMeta>(mut params: P) -> P {
    if let Some(context) = trace::current_context() {
        let meta = params.meta_mut().get_or_insert_default();
        meta.insert("traceparent".to_owned(), context.to_string().into());
    }
    params
}

/// Marks a connection that is being made, so that one that is given up does not look as if it were.
///
/// One that failed is then still one that failed, which may be tried again.
struct Unfinished<'a> {
    shared: &'a Shared,
    before: Option<ConnectionState>,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(before) = self.before.take() {
            self.shared.enter(before);
        }
    }
}
