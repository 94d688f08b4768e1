//! Setting up a server.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use super::active::Runs;
use super::allowed_hosts::AllowedHosts;
use super::body::{Bodies, BodyLimits};
use super::catalog::Catalog;
use super::in_flight::InFlight;
use super::kept::{Keeper, KeptLimits, Kind};
use super::openai::OpenTurns;
use super::openai::conversations::Conversations;
use super::openai::responses::Responses;
use super::page::PageUse;
use super::reload::{Reload, Reloaded};
use super::service::Service;
use super::sessions::{self, ListSessions, OpenSession};
use super::state::{AppState, Server, now};
use crate::agent::Agent;
use crate::agent::runner::Runner;
use crate::model::{MemoryLimit, ModelProvider};
use crate::secret::Secret;
use crate::session::{Session, SessionError, SessionId};

const MIB: usize = 1024 * 1024;

/// Sets up a [`Server`]; see [`Server::builder`].
#[must_use = "a builder does nothing until it is built"]
pub struct ServerBuilder {
    runner: Runner,
    agents: Vec<Agent>,
    allowed_hosts: AllowedHosts,
    token: Option<Secret>,
    sessions: Option<Arc<OpenSession>>,
    list_sessions: Option<Arc<ListSessions>>,
    page: PageUse,
    models: Option<Arc<dyn ModelProvider>>,
    reload: Option<Reload>,
    tool_items: ToolItems,
    bodies: BodyLimits,
    max_connections: usize,
    max_requests: u32,
    max_runs: usize,
    max_waiting_runs: usize,
    kept: KeptLimits,
    max_events: usize,
    memory_limit: Option<MemoryLimit>,
    grace: Duration,
    #[cfg(feature = "sqlite")]
    traces: Option<crate::trace::TraceStore>,
    #[cfg(feature = "mcp-server")]
    mcp: Option<super::mcp::McpServer>,
    #[cfg(feature = "realtime")]
    realtime: Vec<crate::realtime::RealtimeSessionBuilder>,
    #[cfg(feature = "realtime")]
    max_realtime_sessions: usize,
}

/// How a response shows the calls that an agent's tools answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToolItems {
    /// As `mcp_call`, which has call and output.
    ///
    /// It is OpenAI's item for a tool that the server ran.
    #[default]
    McpCalls,
    /// As `function_call` and `function_call_output`.
    ///
    /// Most clients take a `function_call` for one that they are to answer, and fail because they have no such tool.
    FunctionCalls,
}

/// Says why a server cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerBuildError {
    /// Two agents have one name, which is that of a model.
    #[error("two agents are named `{agent}`")]
    AgentClash {
        /// The name.
        agent: String,
    },
    /// An origin is not as browsers send it, so that allowing it allows nothing.
    #[error("`{origin}` is not an origin: scheme, host and port, and nothing behind them")]
    Origin {
        /// What was given.
        origin: String,
    },
    /// The token is empty, or holds what no header can.
    #[error("a token must be of visible ASCII characters, and at least one")]
    Token,
}

impl ServerBuilder {
    pub(super) fn new(runner: Runner) -> Self {
        Self {
            runner,
            agents: Vec::new(),
            allowed_hosts: AllowedHosts::default(),
            token: None,
            sessions: None,
            list_sessions: None,
            page: PageUse::Without,
            models: None,
            reload: None,
            tool_items: ToolItems::default(),
            bodies: BodyLimits {
                max_bytes: 32 * MIB,
                max_total_bytes: 40 * MIB,
                timeout: Duration::from_secs(60),
            },
            max_connections: 4096,
            max_requests: 4096,
            max_runs: 1024,
            max_waiting_runs: 1024,
            kept: KeptLimits::DEFAULT,
            max_events: 1000,
            memory_limit: None,
            grace: Duration::from_secs(9),
            #[cfg(feature = "sqlite")]
            traces: None,
            #[cfg(feature = "mcp-server")]
            mcp: None,
            #[cfg(feature = "realtime")]
            realtime: Vec::new(),
            #[cfg(feature = "realtime")]
            max_realtime_sessions: 64,
        }
    }

    /// Serves an agent, as a model of its name.
    pub fn agent(mut self, agent: Agent) -> Self {
        self.agents.push(agent);
        self
    }

    /// Opens sessions by a function; by default the latest 1,000 are kept in memory.
    ///
    /// Sessions hold the conversations of clients: a stored response has one named as its id is, and a conversation one of its own id.
    pub fn sessions<F, R>(mut self, open: F) -> Self
    where
        F: Fn(SessionId) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Arc<dyn Session>, SessionError>> + Send + 'static,
    {
        self.sessions = Some(Arc::new(move |id| Box::pin(open(id))));
        self
    }

    /// Names the sessions that [`sessions`](Self::sessions) opens, the latest first, for `/sessions`.
    ///
    /// Without it those with runs are listed.
    ///
    /// Sessions in memory are listed without it.
    pub fn list_sessions<F, R>(mut self, list: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<SessionId>, SessionError>> + Send + 'static,
    {
        self.list_sessions = Some(Arc::new(move || Box::pin(list())));
        self
    }

    /// Sets the models that requests to `/run` may name in their `overrides`.
    ///
    /// Without it they cannot name any.
    pub fn models(mut self, models: impl ModelProvider + 'static) -> Self {
        self.models = Some(Arc::new(models));
        self
    }

    /// Serves the page at `/`, where a person talks with the agents in a browser.
    ///
    /// Its files are given without the token, which the page asks for; they hold nothing but its source.
    pub const fn page(mut self) -> Self {
        self.page = PageUse::With;
        self
    }

    /// Loads the agents again by a function when `POST /reload` asks for it.
    ///
    /// By default they stay.
    ///
    /// What has begun goes on with the agents that it began with; where the function fails, those before stay, and who asked is told why.
    pub fn on_reload<F, R, E>(mut self, load: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<Reloaded, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.reload = Some(Reload::new(load));
        self
    }

    /// Asks every request for this token, as `Authorization: Bearer`; only `/healthz` needs none.
    ///
    /// Without one the server can be reached from this machine only.
    pub fn token(mut self, token: impl Into<Secret>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Answers requests to this `Host` too, as `name` or `name:port`.
    ///
    /// By default it answers those to the names of this machine's loopback, and to those by which containers reach their host
    /// (`host.docker.internal` and its like).
    pub fn allow_host(mut self, host: impl Into<String>) -> Self {
        self.allowed_hosts.hosts.push(host.into());
        self
    }

    /// Answers requests of pages from this `Origin` too, such as `https://example.com`.
    ///
    /// It tells browsers so (CORS). By default it answers only those of pages that were loaded from the very address that they ask.
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        self.allowed_hosts.origins.push(origin.into());
        self
    }

    /// Sets how responses show what the agents' tools did.
    pub const fn tool_items(mut self, tool_items: ToolItems) -> Self {
        self.tool_items = tool_items;
        self
    }

    /// Sets how large the body of a request may be; 32 MiB by default.
    ///
    /// The size is in bytes, once the body is decoded. A request above it is answered 413.
    pub const fn max_body_bytes(mut self, max_body_bytes: usize) -> Self {
        self.bodies.max_bytes = max_body_bytes;
        self
    }

    /// Sets how large all bodies may be together; 40 MiB by default.
    ///
    /// The sum is in bytes. It counts bodies that are read, or whose requests and runs go on.
    ///
    /// What comes above it waits for its turn, as long as a body may take, and is answered 503 then. A fifth is for bodies of up to
    /// 64 KiB alone. A request costs about five times as much memory as its body has bytes.
    pub const fn max_bodies_bytes(mut self, max_bodies_bytes: usize) -> Self {
        self.bodies.max_total_bytes = max_bodies_bytes;
        self
    }

    /// Sets how long the body of a request may take; 60 seconds by default.
    ///
    /// One that takes longer is answered 408.
    pub const fn body_timeout(mut self, body_timeout: Duration) -> Self {
        self.bodies.timeout = body_timeout;
        self
    }

    /// Sets how many connections [`Server::serve`] has at once; 4,096 by default.
    ///
    /// Those above it wait to be accepted.
    pub const fn max_connections(mut self, max_connections: usize) -> Self {
        self.max_connections = max_connections;
        self
    }

    /// Sets how many requests that do something there may be at once.
    ///
    /// It is 4,096 by default, and counts those of MCP clients too. Those above it are answered 503.
    pub const fn max_requests(mut self, max_requests: u32) -> Self {
        self.max_requests = max_requests;
        self
    }

    /// Sets how many runs there may be at once; 1,024 by default.
    pub const fn max_runs(mut self, max_runs: usize) -> Self {
        self.max_runs = max_runs;
        self
    }

    /// Sets how many more runs may wait for their turn; 1,024 by default.
    ///
    /// Beyond that the answer is 429.
    pub const fn max_waiting_runs(mut self, max_waiting_runs: usize) -> Self {
        self.max_waiting_runs = max_waiting_runs;
        self
    }

    /// Sets how many responses, runs and sessions are kept; 1,000 by default.
    ///
    /// Of sessions, it holds for those in memory.
    ///
    /// As many conversations have their metadata kept. What was longest not asked for is forgotten first, and who asks for it is told why.
    pub const fn max_kept(mut self, max_kept: usize) -> Self {
        self.kept.max = max_kept;
        self
    }

    /// Sets how many bytes all that is kept may have; 16 MiB by default.
    ///
    /// That is the sum, with the events of runs that go on.
    pub const fn max_kept_bytes(mut self, max_kept_bytes: usize) -> Self {
        self.kept.max_bytes = max_kept_bytes;
        self
    }

    /// Sets how long something is kept that nobody asks for; a day by default.
    ///
    /// This holds for runs that wait for approval too.
    pub const fn max_kept_age(mut self, max_kept_age: Duration) -> Self {
        self.kept.max_age = max_kept_age;
        self
    }

    /// Sets how many events of a session's runs are kept; 1,000 by default.
    ///
    /// They are kept for readers of `/events`.
    pub const fn max_events(mut self, max_events: usize) -> Self {
        self.max_events = max_events;
        self
    }

    /// Sets how long turns may take to end when the server closes.
    ///
    /// It is 9 seconds by default, so that all is over within 10.
    pub const fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Serves the traces of a store at `/traces`.
    ///
    /// Whoever may ask this server may ask for them.
    ///
    /// It writes nothing there: the runner's [tracer](crate::Runner::tracer) does, with the store's processor.
    #[cfg(feature = "sqlite")]
    pub fn traces(mut self, store: crate::trace::TraceStore) -> Self {
        self.traces = Some(store);
        self
    }

    /// Serves an MCP server at `/mcp`.
    ///
    /// Whoever may ask this server may ask it: names and token are those of this server, not those of the MCP server.
    #[cfg(feature = "mcp-server")]
    pub fn mcp(mut self, mcp: super::mcp::McpServer) -> Self {
        self.mcp = Some(mcp);
        self
    }

    /// Shows by `/metrics` what the answers of models hold that are under way.
    ///
    /// A run whose answer would be too much is answered 503, with the time after which to ask again.
    pub fn memory_limit(mut self, memory_limit: MemoryLimit) -> Self {
        self.memory_limit = Some(memory_limit);
        self
    }

    /// Serves realtime sessions of this kind at `/v1/realtime`.
    ///
    /// They are served as a model of the name of their agent.
    ///
    /// Any client of the Realtime API can connect; tools, handoffs and guardrails are the agent's, and run here. Each client has a session
    /// of its own with the realtime model.
    #[cfg(feature = "realtime")]
    pub fn realtime(mut self, sessions: crate::realtime::RealtimeSessionBuilder) -> Self {
        self.realtime.push(sessions);
        self
    }

    /// Sets how many realtime sessions there may be at once; 64 by default.
    ///
    /// A client above them is answered 503.
    #[cfg(feature = "realtime")]
    pub const fn max_realtime_sessions(mut self, max_realtime_sessions: usize) -> Self {
        self.max_realtime_sessions = max_realtime_sessions;
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    ///
    /// [`ServerBuildError`] when two agents have one name, an origin is none, or the token cannot be sent in a header.
    pub fn build(self) -> Result<Server, ServerBuildError> {
        let keeper = self.keeper();
        let catalog = Catalog::new(self.runner, self.agents)?;
        if let Some(token) = &self.token {
            let token = token.expose().as_bytes();
            if token.is_empty() || !token.iter().all(u8::is_ascii_graphic) {
                return Err(ServerBuildError::Token);
            }
        }
        if let Some(origin) = self.allowed_hosts.wrong_origin() {
            let origin = origin.to_owned();
            return Err(ServerBuildError::Origin { origin });
        }
        let (sessions, list_sessions) = if let Some(sessions) = self.sessions {
            (sessions, self.list_sessions)
        } else {
            let (sessions, list) = sessions::in_memory(&keeper.shelf(Kind::Session, usize::MAX));
            (sessions, Some(list))
        };
        Ok(Server(Arc::new(AppState {
            catalog: RwLock::new(Arc::new(catalog)),
            allowed_hosts: self.allowed_hosts,
            token: self.token,
            in_flight: InFlight::new(self.max_requests),
            sessions,
            list_sessions,
            page: self.page,
            models: self.models,
            reload: self.reload,
            runs: Arc::new(Runs::new(
                self.max_runs,
                self.max_waiting_runs,
                self.memory_limit,
            )),
            responses: Responses::new(&keeper),
            conversations: Conversations::new(&keeper),
            open_turns: OpenTurns::new(&keeper),
            service: Service::new(&keeper, self.max_events),
            keeper,
            tool_items: self.tool_items,
            bodies: Bodies::new(self.bodies),
            max_connections: self.max_connections,
            grace: self.grace,
            started_at: now(),
            #[cfg(feature = "sqlite")]
            traces: self.traces,
            #[cfg(feature = "mcp-server")]
            mcp: self.mcp,
            #[cfg(feature = "realtime")]
            realtime: super::realtime::Realtime::new(self.realtime, self.max_realtime_sessions),
        })))
    }
}

impl ServerBuilder {
    /// One for all that is kept, that of the MCP server too.
    fn keeper(&self) -> Keeper {
        #[cfg(feature = "mcp-server")]
        if let Some(mcp) = &self.mcp {
            let keeper = mcp.keeper();
            keeper.set_limits(self.kept);
            return keeper;
        }
        Keeper::new(self.kept)
    }
}

impl std::fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerBuilder")
            .field(
                "agents",
                &self.agents.iter().map(Agent::name).collect::<Vec<_>>(),
            )
            .field("allowed_hosts", &self.allowed_hosts)
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}
