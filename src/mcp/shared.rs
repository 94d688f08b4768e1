//! The state that the handles of a server and its tools share; every request passes here.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rmcp::model::{CallToolRequestParams, MetaObject};
use rmcp::service::ServiceError;
use serde_json::{Map, Value};
use tokio::sync::OnceCell;

use super::auth::Authorization;
use super::bridge::Changes;
use super::connection::{Blueprint, Connection, Remains, backend};
use super::deviations::Deviations;
use super::frames::{Frames, is_unreadable};
use super::normal::Raw;
use super::options::Options;
use super::parse::{self, Unusable};
use super::redaction::ServerSecrets;
use super::start::words_of;
use super::{McpError, McpState, McpToolResult, McpTransport};
use crate::error::error_chain;
use crate::future::BoxFuture;
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
        let _turn = self.turn.lock().await;
        if self.connection().is_ok() {
            return Ok(());
        }
        self.enter(ConnectionState::Starting);
        let mut unfinished = Unfinished(Some(self));
        let opened = self.open().await;
        unfinished.0 = None;
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
            ConnectionState::Failed(error) => refuse(format!(
                "{}; it is not started again by itself, but when it is connected anew, by a reload of the program that serves",
                error_chain(error)
            )),
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

    pub(super) async fn call_tool(
        &self,
        tool: &str,
        arguments: Map<String, Value>,
    ) -> Result<McpToolResult, McpError> {
        // They go onto the span of the tool call, which is the span of this too.
        trace::with_current(|span| {
            span.set(gen_ai::MCP_METHOD, "tools/call");
            span.set(gen_ai::MCP_SERVER, self.name.as_str());
            span.set(gen_ai::NETWORK_TRANSPORT, self.network());
        });
        let request = |connection: Arc<Connection>| {
            let name = tool.to_owned();
            let mut params = CallToolRequestParams::new(name).with_arguments(arguments.clone());
            if let Some(context) = trace::current_context() {
                let meta = params.meta.get_or_insert_default();
                meta.insert("traceparent".to_owned(), context.to_string().into());
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
            let connection = self.connection()?;
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
                _ => return Err(self.explain(method, &connection, error).await),
            }
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

/// Marks a connection that is being made, so that one that is given up does not look as if it were.
struct Unfinished<'a>(Option<&'a Shared>);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(shared) = self.0 {
            shared.enter(ConnectionState::Closed);
        }
    }
}
