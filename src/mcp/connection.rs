//! One connection to a server, from its start to its end.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use rmcp::model::{ProtocolVersion, ServerNotification, SubscriptionFilter};
use rmcp::service::{
    ClientCacheConfig, ClientLifecycleMode, ClientServiceExt, RoleClient, RunningService,
};
use rmcp::transport::common::client_side_sse::ExponentialBackoff;
use rmcp::transport::streamable_http_client::{
    StreamableHttpClientTransport, StreamableHttpClientTransportConfig,
};
use tokio::task::JoinHandle;

use super::auth::Authorization;
use super::backend::Backend;
use super::bounded::{Bounded, Watch};
use super::bridge::{Bridge, Changes};
use super::child::ServerProcess;
use super::frames::Frames;
use super::lines::Lines;
use super::options::Options;
use super::start::StartError;
use super::{McpError, McpProtocol, McpTransport, Stdio, StreamableHttp};
use crate::error::error_chain;
use crate::future::BoxFuture;
use crate::http::HttpClient;

/// How often in a row the stream on which a server says what is no answer is asked for in vain: half a second, 1, 2 and 4 seconds later, if the server names no other time.
const MAX_REOPENINGS: usize = 4;
/// How long the end of a session may take.
const GRACE: Duration = Duration::from_secs(5);

pub(super) type Session = RunningService<RoleClient, Bridge>;

/// A connection that is ready.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) session: Session,
    process: Mutex<Option<ServerProcess>>,
    watch: Arc<Watch>,
    /// Hears the changes that a server without sessions tells of.
    listener: Option<JoinHandle<()>>,
}

/// What a connection is made from.
pub(super) struct Blueprint<'a> {
    pub(super) server: &'a str,
    pub(super) transport: &'a McpTransport,
    pub(super) options: &'a Options,
    pub(super) authorization: Option<&'a Authorization>,
    pub(super) frames: Arc<Frames>,
    pub(super) changes: &'a Arc<Changes>,
}

impl Connection {
    /// Starts or reaches the server and agrees with it on a version, within the connect time-out.
    pub(super) async fn open(blueprint: Blueprint<'_>) -> Result<Self, McpError> {
        let (mut process, pipes) = match blueprint.transport {
            McpTransport::Stdio(stdio) => {
                let (process, pipes) = spawn(&blueprint, stdio)?;
                (Some(process), Some(pipes))
            }
            McpTransport::Http(_) => (None, None),
        };
        let bridge = Bridge {
            roots: blueprint.options.roots.clone(),
            handlers: blueprint.options.handlers.clone(),
            changes: Arc::clone(blueprint.changes),
        };
        let lifecycle = lifecycle(blueprint.options.protocol);
        // Notices the end of the transport, which rmcp reports a moment later.
        let watch = Watch::new(blueprint.server);
        let starting = async {
            match (blueprint.transport, pipes) {
                (McpTransport::Http(http), _) => {
                    let session = over_http(&blueprint, http, bridge, &watch).await?;
                    Ok(session)
                }
                (McpTransport::Stdio(_), Some((stdout, stdin))) => {
                    let frames = Arc::clone(&blueprint.frames);
                    let transport = Bounded::new(Lines::new(frames, stdout, stdin), &watch);
                    Ok(bridge.serve_with_lifecycle(transport, lifecycle).await?)
                }
                (McpTransport::Stdio(_), None) => {
                    Err(StartError::Other("the pipes are gone".into()))
                }
            }
        };
        let after = blueprint.options.connect_timeout;
        let started = tokio::time::timeout(after, starting).await;
        let session = match started {
            Ok(Ok(session)) => session,
            failed => {
                // A program that does not start says why on stderr, and only there.
                let (end, stderr) = stderr_tail(process.as_mut()).await;
                let server = blueprint.server.to_owned();
                return Err(match failed {
                    Ok(Err(error)) => error.into_error(
                        server,
                        &blueprint.frames.redactor(),
                        Remains { end, stderr },
                    ),
                    _ => McpError::ConnectTimeout {
                        server,
                        after,
                        stderr,
                    },
                });
            }
        };
        // What is asked again is wanted anew, and an outdated answer is not an answer.
        let no_cache = ClientCacheConfig::disabled();
        session.set_response_cache_config(no_cache).await;
        let listener = listen(&session, blueprint.changes);
        watch.begin();
        Ok(Self {
            session,
            watch,
            process: Mutex::new(process),
            listener,
        })
    }

    fn process(&self) -> MutexGuard<'_, Option<ServerProcess>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the server can still be spoken to.
    pub(super) fn is_open(&self) -> bool {
        !self.session.is_transport_closed() && !self.watch.saw_end()
    }

    /// Returns what is left of a server that ended.
    pub(super) fn remains(&self) -> Remains {
        let mut process = self.process();
        Remains {
            end: process.as_mut().and_then(ServerProcess::end_in_words),
            stderr: process.as_ref().and_then(ServerProcess::stderr_tail),
        }
    }

    /// Waits a moment for the last words of a process whose output ended.
    pub(super) async fn settle(&self) {
        let process = self.process().take();
        if let Some(mut process) = process {
            process.settle().await;
            *self.process() = Some(process);
        }
    }

    /// Ends the session and the process.
    pub(super) fn close(self: Arc<Self>) -> BoxFuture<'static, ()> {
        // As in `Shared::open`.
        Box::pin(self.end())
    }

    async fn end(self: Arc<Self>) {
        self.watch.end();
        let process = self.process().take();
        // The last handle may close the session politely. With others in use it can only be
        // cancelled.
        match Arc::try_unwrap(self) {
            Ok(mut connection) => {
                connection.session.close_with_timeout(GRACE).await.ok();
            }
            // Calls that are under way hold the connection; they end with an error.
            Err(connection) => connection.session.cancellation_token().cancel(),
        }
        if let Some(process) = process {
            process.end().await;
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.watch.end();
        if let Some(listener) = &self.listener {
            listener.abort();
        }
    }
}

/// What is left of a server that ended.
#[derive(Debug)]
pub(super) struct Remains {
    /// How its process ended, if it did.
    pub(super) end: Option<String>,
    /// What it last wrote to its standard error output.
    pub(super) stderr: Option<String>,
}

fn spawn(
    blueprint: &Blueprint<'_>,
    stdio: &Stdio,
) -> Result<(ServerProcess, super::child::Pipes), McpError> {
    let redactor = blueprint.frames.redactor();
    ServerProcess::spawn(blueprint.server, stdio, redactor).map_err(|source| {
        let directory = stdio.directory.as_ref().filter(|it| !it.is_dir());
        let hint = match directory {
            Some(directory) => format!(": there is no directory `{}`", directory.display()),
            None if source.kind() == ErrorKind::NotFound
                && stdio.program.components().count() == 1 =>
            {
                ": it is not in PATH".to_owned()
            }
            None => String::new(),
        };
        McpError::Spawn {
            server: blueprint.server.to_owned(),
            program: stdio.program.display().to_string(),
            hint,
            source: Arc::new(source),
        }
    })
}

async fn stderr_tail(process: Option<&mut ServerProcess>) -> (Option<String>, Option<String>) {
    let Some(process) = process else {
        return (None, None);
    };
    process.settle().await;
    (process.end_in_words(), process.stderr_tail())
}

fn lifecycle(protocol: McpProtocol) -> ClientLifecycleMode {
    let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
    match protocol {
        McpProtocol::Ask => ClientLifecycleMode::Auto {
            preferred_versions,
            legacy_version: Some(ProtocolVersion::LATEST_WITH_INITIALIZE),
        },
        McpProtocol::Handshake => ClientLifecycleMode::Initialize,
        McpProtocol::Stateless => ClientLifecycleMode::Discover { preferred_versions },
    }
}

/// Connects, and answers the server's challenge if it has one and there is a way to.
async fn over_http(
    blueprint: &Blueprint<'_>,
    http: &StreamableHttp,
    bridge: Bridge,
    watch: &Arc<Watch>,
) -> Result<Session, StartError> {
    let lifecycle = lifecycle(blueprint.options.protocol);
    let Some(authorization) = blueprint.authorization else {
        let client = backend(http, Arc::clone(&blueprint.frames), blueprint.options)?;
        let transport = StreamableHttpClientTransport::with_client(client, http_config(http)?);
        let transport = Bounded::new(transport, watch);
        return Ok(bridge.serve_with_lifecycle(transport, lifecycle).await?);
    };
    let again = Bridge {
        roots: bridge.roots.clone(),
        handlers: bridge.handlers.clone(),
        changes: Arc::clone(&bridge.changes),
    };
    let transport = || -> Result<_, StartError> {
        let client = authorization.client.clone();
        let transport = StreamableHttpClientTransport::with_client(client, http_config(http)?);
        Ok(Bounded::new(transport, watch))
    };
    let error = match bridge
        .serve_with_lifecycle(transport()?, lifecycle.clone())
        .await
    {
        Ok(session) => return Ok(session),
        Err(error) => error,
    };
    let Some(challenge) = error.auth_challenge() else {
        return Err(error.into());
    };
    let answered = authorization.answer(challenge).await;
    answered.map_err(|error| StartError::Unauthorized(error_chain(&*error)))?;
    Ok(again.serve_with_lifecycle(transport()?, lifecycle).await?)
}

/// Makes the client of a connection; how long anything may take is up to the connection and the call.
pub(super) fn backend(
    http: &StreamableHttp,
    frames: Arc<Frames>,
    options: &Options,
) -> Result<Backend, StartError> {
    let builder = http.client.as_ref().map(HttpClient::to_builder);
    let http = builder
        .unwrap_or_else(HttpClient::builder)
        // All off: the bounds are `connect_timeout` and `call_timeout` of the server, which cover
        // several HTTP exchanges.
        .connect_timeout(None)
        .first_event_timeout(None)
        .idle_timeout(None)
        .total_timeout(None)
        .build()?;
    Ok(Backend::new(http, frames, options))
}

fn http_config(http: &StreamableHttp) -> Result<StreamableHttpClientTransportConfig, StartError> {
    let mut headers = HashMap::new();
    for (name, value) in &http.headers {
        let name = HeaderName::from_bytes(name.as_bytes())?;
        let mut value = HeaderValue::from_str(value.expose())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    let mut reopening = ExponentialBackoff::default();
    reopening.max_times = Some(MAX_REOPENINGS);
    reopening.base_duration = Duration::from_millis(500);
    let mut config = StreamableHttpClientTransportConfig::with_uri(http.url.as_str())
        .custom_headers(headers)
        // rmcp would begin a new session and send the call again. Here nothing is sent twice unless
        // it was asked for.
        .reinit_on_expired_session(false);
    config.retry_config = Arc::new(reopening);
    Ok(match &http.bearer_token {
        Some(token) => config.auth_header(token.expose()),
        None => config,
    })
}

/// Subscribes to changes of the tools where the protocol has no session to send them on.
fn listen(session: &Session, changes: &Arc<Changes>) -> Option<JoinHandle<()>> {
    let info = session.peer_info()?;
    let is_told = info.capabilities.tools.as_ref()?.list_changed?;
    if !is_told || info.protocol_version.has_initialize() {
        return None;
    }
    let (peer, changes) = (session.peer().clone(), Arc::clone(changes));
    Some(tokio::spawn(async move {
        let filter = SubscriptionFilter::builder().tools_list_changed().build();
        let Ok(mut subscription) = peer.listen(filter).await else {
            return;
        };
        while let Ok(Some(notification)) = subscription.next().await {
            if let ServerNotification::ToolListChangedNotification(_) = notification {
                changes.tools_changed();
            }
        }
        // Without it nothing would tell of a change; what is known now is not known to be good later.
        changes.tools_changed();
    }))
}
