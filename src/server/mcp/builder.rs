//! Builds an MCP server.

use std::collections::HashSet;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::catalog::McpCatalog;
use super::changes::Changes;
use super::dynamic_resources;
use super::paused::PausedRuns;
use super::prompts::{CompletionRequest, Prompts};
use super::resources::{ResourceRequest, Resources};
use super::run_sessions::RunSessions;
use super::run_traces::RunTraces;
use super::seal::{self, StateSeal};
use super::{HttpOptions, Identity, McpCall, McpServer, Served};
use crate::agent::Agent;
use crate::agent::runner::Runner;
use crate::context::States;
use crate::future::BoxError;
use crate::mcp::{
    McpPrompt, McpPromptMessages, McpResource, McpResourceContent, McpResourceTemplate,
};
use crate::server::allowed_hosts::AllowedHosts;
use crate::server::kept::{Keeper, KeptLimits, Kind};
use crate::server::sessions::{InMemory, ListSessions, OpenSession};
use crate::session::{Session, SessionError, SessionId};
use crate::tools::{FunctionTool, IntoTool, ToolDefinitionError, ToolName, ToolNameError};

/// Sets up an [`McpServer`]; see [`McpServer::builder`].
#[must_use = "a builder does nothing until it is built"]
pub struct McpServerBuilder {
    identity: Identity,
    runner: Runner,
    tools: Vec<Result<FunctionTool, ToolDefinitionError>>,
    agents: Vec<Agent>,
    prompts: Prompts,
    resources: Resources,
    open_session: Option<Arc<OpenSession>>,
    list_sessions: Option<Arc<ListSessions>>,
    states: States,
    kept: KeptLimits,
    http: HttpOptions,
}

/// Says why a server cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum McpBuildError {
    /// A tool cannot be offered, or two tools have one name.
    #[error("a tool cannot be served")]
    Tool {
        /// What is wrong.
        #[from]
        source: ToolDefinitionError,
    },
    /// The name of an agent gives no name of a tool.
    #[error("the agent `{agent}` cannot be served as a tool")]
    AgentName {
        /// The agent.
        agent: String,
        /// What is wrong with the tool's name.
        source: ToolNameError,
    },
    /// Two tools, one of them an agent, have one name.
    #[error(
        "the agent `{agent}` would be served as `{tool}`, a name that another tool or agent has"
    )]
    AgentClash {
        /// The agent.
        agent: String,
        /// The name.
        tool: ToolName,
    },
    /// Two prompts have one name.
    #[error("two prompts are named `{prompt}`")]
    PromptClash {
        /// The name.
        prompt: String,
    },
    /// Two resources have one address.
    #[error("two resources are at `{uri}`")]
    ResourceClash {
        /// The address.
        uri: String,
    },
    /// An origin is not as browsers send it, so that allowing it allows nothing.
    #[error("`{origin}` is not an origin: scheme, host and port, and nothing behind them")]
    Origin {
        /// What was given.
        origin: String,
    },
    /// The machine gives no random numbers, with which what passes through clients is sealed.
    #[error("the system gives no random numbers: {reason}")]
    NoRandomness {
        /// Why.
        reason: String,
    },
}

impl McpServerBuilder {
    pub(super) fn new(runner: Runner) -> Self {
        Self {
            identity: Identity {
                name: env!("CARGO_PKG_NAME").to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                instructions: None,
            },
            runner,
            tools: Vec::new(),
            agents: Vec::new(),
            prompts: Prompts::default(),
            resources: Resources::default(),
            open_session: None,
            list_sessions: None,
            states: States::new(),
            kept: KeptLimits::DEFAULT,
            http: HttpOptions {
                allowed_hosts: AllowedHosts::default(),
                max_sessions: 1_000,
                session_timeout: Duration::from_secs(300),
                max_body_bytes: 32 * 1024 * 1024,
            },
        }
    }

    /// Sets what the server is called; this library by default.
    pub fn identity(mut self, name: impl Into<String>, version: impl Into<String>) -> Self {
        self.identity.name = name.into();
        self.identity.version = version.into();
        self
    }

    /// Tells clients how the server wants to be used.
    pub fn instructions(mut self, instructions: impl Into<String>) -> Self {
        self.identity.instructions = Some(instructions.into());
        self
    }

    /// Serves an agent, as the tool `ask_<agent>`, and its instructions as a prompt.
    ///
    /// The name is that of the agent in lower case, with `_` for whatever is no letter, digit or `_`.
    pub fn agent(mut self, agent: Agent) -> Self {
        self.agents.push(agent);
        self
    }

    /// Opens the sessions that calls of agents name, by a function.
    ///
    /// By default the latest 1,000 are kept in memory.
    ///
    /// A call with the argument `session` goes on with the conversation of that id, or begins it.
    pub fn sessions<F, R>(mut self, open: F) -> Self
    where
        F: Fn(SessionId) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Arc<dyn Session>, SessionError>> + Send + 'static,
    {
        self.open_session = Some(Arc::new(move |id| Box::pin(open(id))));
        self
    }

    /// Names the sessions that [`sessions`](Self::sessions) opens, the latest first; without it none is listed.
    pub fn list_sessions<F, R>(mut self, list: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<SessionId>, SessionError>> + Send + 'static,
    {
        self.list_sessions = Some(Arc::new(move || Box::pin(list())));
        self
    }

    /// Serves a tool.
    pub fn tool(mut self, tool: impl IntoTool) -> Self {
        self.tools.push(tool.into_tool());
        self
    }

    /// Gives the tools this state, found by its type: `cx.state::<T>()`.
    ///
    /// Agents have that of the runner.
    pub fn state<T: Send + Sync + 'static>(mut self, state: T) -> Self {
        self.states.insert(state);
        self
    }

    /// Serves a prompt, which the closure fills in.
    pub fn prompt<F, R, E>(mut self, prompt: McpPrompt, fill: F) -> Self
    where
        F: Fn(McpCall, Map<String, Value>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<McpPromptMessages, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.prompts.add(prompt, fill);
        self
    }

    /// Proposes values for the arguments of prompts and the variables of resource templates.
    pub fn completion<F, R, E>(mut self, complete: F) -> Self
    where
        F: Fn(CompletionRequest) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<String>, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.prompts.complete_with(complete);
        self
    }

    /// Serves a resource, which the closure reads.
    pub fn resource<F, R, E>(mut self, resource: McpResource, read: F) -> Self
    where
        F: Fn(McpCall, ResourceRequest) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<McpResourceContent>, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.resources.add(resource, read);
        self
    }

    /// Serves the resources of a template, which the closure reads.
    ///
    /// A `{variable}` stands for any text without `/`, a `{+variable}` for any text.
    pub fn resource_template<F, R, E>(mut self, template: McpResourceTemplate, read: F) -> Self
    where
        F: Fn(McpCall, ResourceRequest) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<McpResourceContent>, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.resources.add_template(template, read);
        self
    }

    /// Answers requests to this `Host` too, as `name` or `name:port`.
    ///
    /// By default it answers those to the names of this machine's loopback, and to those by which containers reach their host.
    pub fn allow_host(mut self, host: impl Into<String>) -> Self {
        self.http.allowed_hosts.hosts.push(host.into());
        self
    }

    /// Answers requests of pages from this `Origin` too, such as `https://example.com`.
    ///
    /// By default it answers only those of the server's own.
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        self.http.allowed_hosts.origins.push(origin.into());
        self
    }

    /// Sets how many sessions there may be at once; 1,000 by default.
    pub const fn max_sessions(mut self, max_sessions: usize) -> Self {
        self.http.max_sessions = max_sessions;
        self
    }

    /// Sets after how long without a message a session ends; 5 minutes by default.
    pub const fn session_timeout(mut self, session_timeout: Duration) -> Self {
        self.http.session_timeout = session_timeout;
        self
    }

    /// Sets how large a request may be, in bytes; 32 MiB by default.
    ///
    /// As a part of a `Server` that one's limit holds.
    pub const fn max_body_bytes(mut self, max_body_bytes: usize) -> Self {
        self.http.max_body_bytes = max_body_bytes;
        self
    }

    /// Sets how many bytes conversations in memory and the latest runs have together.
    ///
    /// It is 16 MiB by default. As a part of a `Server` that one's limit holds, for both.
    pub const fn max_kept_bytes(mut self, max_kept_bytes: usize) -> Self {
        self.kept.max_bytes = max_kept_bytes;
        self
    }

    /// Sets how long a conversation in memory or a run is kept.
    ///
    /// It counts from when somebody asked for it last; a day by default.
    pub const fn max_kept_age(mut self, max_kept_age: Duration) -> Self {
        self.kept.max_age = max_kept_age;
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    ///
    /// [`McpBuildError`] when a tool or an agent cannot be served, or two things have one name.
    pub fn build(self) -> Result<McpServer, McpBuildError> {
        if let Some(origin) = self.http.allowed_hosts.wrong_origin() {
            let origin = origin.to_owned();
            return Err(McpBuildError::Origin { origin });
        }
        let own = self.prompts.clone();
        let catalog = McpCatalog::new(self.runner, self.tools, self.agents, own)?;
        let templates = dynamic_resources::templates();
        let dynamic = templates
            .iter()
            .map(|template| template.uri_template.as_str());
        if let Some(uri) = first_twice(dynamic.chain(self.resources.uris())) {
            return Err(McpBuildError::ResourceClash { uri });
        }
        let keeper = Keeper::new(self.kept);
        let sessions = match self.open_session {
            None => {
                let kept = keeper.shelf(Kind::McpSession, usize::MAX);
                RunSessions::Memory(InMemory::new(kept))
            }
            Some(open) => RunSessions::Given {
                open,
                list: self.list_sessions,
            },
        };
        Ok(McpServer(Arc::new(Served {
            identity: self.identity,
            catalog: RwLock::new(Arc::new(catalog)),
            prompts: self.prompts,
            resources: self.resources,
            sessions,
            run_traces: RunTraces::new(&keeper),
            #[cfg(feature = "server")]
            keeper,
            waiting: PausedRuns::new(seal::TTL),
            states: self.states,
            seal: StateSeal::new().map_err(|error| McpBuildError::NoRandomness {
                reason: error.to_string(),
            })?,
            changes: Changes::new(),
            closing: CancellationToken::new(),
            http: self.http,
        })))
    }
}

pub(super) fn first_twice<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut seen = HashSet::new();
    names.find(|name| !seen.insert(*name)).map(str::to_owned)
}

impl std::fmt::Debug for McpServerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("McpServerBuilder")
            .field("identity", &self.identity)
            .field("http", &self.http)
            .finish_non_exhaustive()
    }
}
