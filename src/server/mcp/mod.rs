//! Agents and tools as an MCP server, over streamable HTTP and over standard input and output.
//!
//! Each registered tool is a tool of the server. Each agent is one too, `ask_<agent>`, which runs it: the client hears of its progress,
//! and cancelling the call cancels the run. The agents' instructions are prompts; resources, further prompts and completions are
//! added as closures. Both ways of the protocol are spoken: with a handshake and sessions (up to 2025-11-25) and without (2026-07-28).
//!
//! ```
//! use openai_agents::server::mcp::McpServer;
//! use openai_agents::testing::ScriptedModel;
//! use openai_agents::{Agent, Runner};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let guide = Agent::builder("Guide").instructions("Answer in one sentence.").build()?;
//! let server = McpServer::builder(Runner::new(ScriptedModel::text("Paris."))).agent(guide).build()?;
//! // Into an axum application of your own; the server answers at `/mcp`.
//! let app = server.router();
//! # drop(app);
//! # Ok(())
//! # }
//! ```
//!
//! # Asking an agent
//!
//! `ask_<agent>` takes `input`, and a `session` if the conversation is to go on: any text, by which a later call finds it again. Sessions
//! are those of [`McpServerBuilder::sessions`], or else the latest 1,000 in memory. The structured answer names the `session` and the `run`.
//! A run that fails is a result with `isError`, whose text begins with the [`ErrorKind`](crate::ErrorKind).
//!
//! A call of a tool that needs approval is put to the client's user, with agent, tool and exact arguments, as an elicitation with
//! `approve` and `reason`; then the same run goes on. Who declines refuses, and the agent is told so. A client with a session is asked
//! while its call waits. One without is given the questions as the result of its call, and makes the call again with the answers: the run
//! waits for them for an hour, at most 100 do, and the answers are taken once; if the run waits no more, the result is `state_invalid`. A
//! client that cannot show forms gets `approval_required` with the calls, and the run ends.
//!
//! What can be read of it, as JSON:
//!
//! - `session://{+id}`: the items of a session; ids are percent-encoded. A session that nobody has written to is not there. They are
//!   listed if they are in memory or by [`McpServerBuilder::list_sessions`].
//! - `trace://{run}`: the trace of a run: its `status` (`running`, `paused`, `ok`, `error`, `cancelled`), its `error`, and its `spans` as
//!   [`Span::to_json`](crate::trace::Span::to_json) writes them, those that go on too. It is there without a tracer; with one it is the
//!   same trace, by its `trace_id`, and withholds what that withholds. Each text is there once: what a model call was asked is the
//!   input of the run and what the other spans gave, and what the run gave is the output of its last call. Of content above 256 KiB the
//!   `size` is there. The latest 100 runs are kept, with the latest 1,000 spans or 1 MiB each, and all that is kept has 16 MiB;
//!   `n_dropped` counts the spans that made room.
//!
//! A client that subscribes to an address as it is listed hears when a call has changed what is there; that the list itself changes is
//! not told, but a list says that it is not to be kept.
//!
//! # Safe by default
//!
//! Requests whose `Host` or `Origin` is not one of this machine are refused before anything runs, unless the builder allows them: a page
//! in a browser must not reach a server on the same machine. Sessions are bounded in number and end when they are idle; bodies are
//! bounded. Who may connect at all, by address or token, is up to the application that the router goes into; whoever does may read and go
//! on with every session and read every run: their ids are no secrets that one client has before another.

mod builder;
mod catalog;
mod changes;
mod prompts;
mod resources;
mod agents;
mod run_sessions;
mod run_traces;
mod dynamic_resources;
mod approvals;
mod paused;
mod ask;
mod tools;
mod output;
mod seal;
mod elicitation;
mod call;
mod call_span;
mod sessions;
mod versions;
mod handler;

use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use rmcp::ServiceExt;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio_util::sync::CancellationToken;

pub use builder::{McpBuildError, McpServerBuilder};
pub use call::{McpCall, McpCallError};
pub use prompts::CompletionRequest;
pub use resources::ResourceRequest;

use ask::WaitingRun;
use catalog::McpCatalog;
use changes::Changes;
use handler::Handler;
use paused::PausedRuns;
use prompts::Prompts;
use resources::Resources;
use run_sessions::RunSessions;
use run_traces::RunTraces;
use seal::StateSeal;
use sessions::Sessions;

use super::allowed_hosts::AllowedHosts;
#[cfg(feature = "server")]
use super::kept::Keeper;
use crate::agent::Agent;
use crate::agent::runner::Runner;
use crate::context::States;
use crate::future::BoxFuture;
use crate::tools::FunctionTool;

/// An MCP server; a cheap handle of what it serves.
#[derive(Clone)]
pub struct McpServer(Arc<Served>);

/// What is served.
struct Served {
    identity: Identity,
    catalog: RwLock<Arc<McpCatalog>>,
    /// The prompts that there are whatever the agents are.
    prompts: Prompts,
    resources: Resources,
    /// The conversations of agents.
    sessions: RunSessions,
    run_traces: RunTraces,
    /// What sessions in memory and traces share; a server around this one forgets what is too old also while nobody asks.
    #[cfg(feature = "server")]
    keeper: Keeper,
    /// The runs that wait for clients without a session.
    waiting: PausedRuns<WaitingRun>,
    states: States,
    /// Seals what a client brings back between the rounds of one call.
    seal: StateSeal,
    changes: Changes,
    /// Ends what goes on over HTTP.
    closing: CancellationToken,
    http: HttpOptions,
}

impl Served {
    /// What can be called now.
    fn catalog(&self) -> Arc<McpCatalog> {
        Arc::clone(&self.catalog.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What the server says about itself.
#[derive(Debug, Clone)]
struct Identity {
    name: String,
    version: String,
    instructions: Option<String>,
}

/// What can be set for HTTP.
#[derive(Debug, Clone)]
struct HttpOptions {
    allowed_hosts: AllowedHosts,
    max_sessions: usize,
    session_timeout: Duration,
    max_body_bytes: usize,
}

impl McpServer {
    /// Begins a server whose agents are run by this runner.
    pub fn builder(runner: Runner) -> McpServerBuilder {
        McpServerBuilder::new(runner)
    }

    /// Makes a router that answers at `/mcp`, for an axum application.
    ///
    /// Each router has sessions of its own. axum is a public dependency here and nowhere else.
    pub fn router(&self) -> Router {
        let guard = middleware::from_fn_with_state(Arc::clone(&self.0), guard);
        self.routes(self.0.http.max_body_bytes).layer(guard)
    }

    /// Makes the same router, for those who check the names themselves and say how large a body may be.
    pub(in crate::server) fn routes(&self, max_body_bytes: usize) -> Router {
        let options = &self.0.http;
        let config = StreamableHttpServerConfig::default()
            // They are looked at before this.
            .disable_allowed_hosts()
            .disable_allowed_origins()
            .with_cancellation_token(self.0.closing.clone())
            .with_max_request_body_bytes(max_body_bytes);
        let sessions = Arc::new(Sessions::new(options.max_sessions, options.session_timeout));
        let served = Arc::clone(&self.0);
        let service = StreamableHttpService::new(
            move || Ok(Handler::new(Arc::clone(&served))),
            sessions,
            config,
        );
        let full = middleware::from_fn(sessions::refuse_too_many);
        Router::new()
            .route_service("/mcp", service)
            .layer(full)
            .layer(middleware::from_fn(versions::of_http))
    }

    /// What keeps its sessions and runs, for a server that keeps more beside them.
    #[cfg(feature = "server")]
    pub(in crate::server) fn keeper(&self) -> Keeper {
        self.0.keeper.clone()
    }

    /// Ends all sessions and streams of all routers.
    ///
    /// It ends the runs and tools that they wait for, too. What comes later is refused.
    ///
    /// Streams that are open would keep an application from its end: call this in the future that is given to
    /// `with_graceful_shutdown`.
    pub fn close(&self) {
        self.0.closing.cancel();
    }

    /// Serves these tools and agents from now on, in place of those before.
    ///
    /// It tells the clients that their lists have changed.
    ///
    /// What has begun goes on with what it began with. Prompts and resources of closures stay, and so do states.
    ///
    /// # Errors
    ///
    /// [`McpBuildError`] when a tool or an agent cannot be served, or two things have one name; nothing changes then.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime, if there are clients with a session.
    pub fn set_agents(
        &self,
        runner: Runner,
        agents: impl IntoIterator<Item = Agent>,
        tools: impl IntoIterator<Item = FunctionTool>,
    ) -> Result<(), McpBuildError> {
        let served = &self.0;
        let tools = tools.into_iter().map(Ok);
        let catalog = McpCatalog::new(runner, tools, agents, served.prompts.clone())?;
        *served
            .catalog
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(catalog);
        served.changes.lists();
        Ok(())
    }

    /// Serves one client over standard input and output, until the input ends.
    ///
    /// Nothing else may write to the standard output meanwhile.
    ///
    /// # Errors
    ///
    /// [`io::Error`] when the client does not speak the protocol.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the connection and the runs that it began.
    pub async fn serve_stdio(&self) -> Result<(), io::Error> {
        self.over_stdio().await
    }

    /// Boxed, so that rmcp's state machines are compiled here and not by whoever polls them.
    fn over_stdio(&self) -> BoxFuture<'_, Result<(), io::Error>> {
        let handler = Handler::new(Arc::clone(&self.0));
        Box::pin(async move {
            let session = Box::pin(handler.serve(rmcp::transport::stdio())).await;
            let session = session.map_err(io::Error::other)?;
            session.waiting().await.map_err(io::Error::other)?;
            Ok(())
        })
    }

    /// Tells the clients that subscribed to a resource that it has changed.
    pub fn resource_changed(&self, uri: impl Into<String>) {
        self.0.changes.resource(&uri.into());
    }
}

/// Lets only requests pass that are for this server and of no foreign page.
async fn guard(State(served): State<Arc<Served>>, request: Request, next: Next) -> Response {
    match served
        .http
        .allowed_hosts
        .check(request.uri(), request.headers())
    {
        Ok(_) => next.run(request).await,
        Err(foreign) => (StatusCode::FORBIDDEN, format!("{foreign}\n")).into_response(),
    }
}

impl fmt::Debug for McpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let catalog = self.0.catalog();
        f.debug_struct("McpServer")
            .field("identity", &self.0.identity)
            .field("n_tools", &catalog.tools.len())
            .field("n_agents", &catalog.agents.len())
            .finish_non_exhaustive()
    }
}
