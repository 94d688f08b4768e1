//! Makes runners, models, agents and tools from settings; the one file that names every driver.

use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};

use super::build::{AgentSet, Purpose, agent_set};
use super::nearest::nearest;
use super::schema::{AgentConfig, ApprovalConfig, Config, ModelApi};
use super::{ConfigError, Origin};
use crate::http::HttpClient;
use crate::model::{ConcurrencyLimit, LiteLlm, MemoryLimit, Model, OpenAiChat, OpenAiResponses};
use crate::{Agent, Limits, Runner, ToolRegistry};

/// Sets on the builder of a driver what all drivers of a configuration share, and builds it.
///
/// A macro, because the builders are different types without a common trait.
macro_rules! wired {
    ($config:expr, $builder:expr) => {{
        let mut builder = $builder
            .http_client($config.http_client().clone())
            .dialect($config.dialect().clone())
            .memory_limit($config.memory_limit().clone());
        if let Some(key) = $config.api_key() {
            builder = builder.api_key(key.clone());
        }
        if let Some(name) = $config.provider_name() {
            builder = builder.provider_name(name);
        }
        let limits = $config.limits();
        if let Some(n) = limits.max_answer_bytes {
            builder = builder.max_answer_bytes(whole(n));
        }
        if let Some(n) = limits.max_answer_tool_calls {
            builder = builder.max_answer_tool_calls(whole(n));
        }
        if let Some(n) = limits.max_event_bytes {
            builder = builder.max_event_bytes(whole(n));
        }
        builder
            .build()
            .map(|model| -> Arc<dyn Model> { Arc::new(model) })
    }};
}

/// Room for two answers of the largest size. Decoded, they take up to three times as much memory.
const MAX_ANSWERS_BYTES: usize = 128 * 1024 * 1024;

/// Converts a limit. One beyond `usize` cannot be reached, so it bounds nothing.
fn whole(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

impl Config {
    /// Makes a runner on the configured model, with the configured limits, that knows all agents.
    ///
    /// An agent with a model of its own keeps it. Proxies are those of the environment. No request
    /// is sent.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the base URL or the model is missing or cannot be used, or if
    /// [`check`](Self::check) fails.
    pub fn runner(&self) -> Result<Runner, ConfigError> {
        self.check()?;
        self.base_url()?;
        let model = self.driver(self.model()?)?;
        self.runner_on(model)
    }

    /// Makes a runner for an agent.
    ///
    /// It runs on the configured model or, without one, on the model of the agent.
    ///
    /// # Errors
    ///
    /// As [`runner`](Self::runner), and if there is no such agent. Without a configured model, the
    /// agent and every agent that its runs can reach must name one.
    pub fn runner_for(&self, agent: &str) -> Result<Runner, ConfigError> {
        self.check()?;
        let start = self.agent_config(agent)?;
        let needs_model = || {
            self.reachable(start)
                .iter()
                .any(|agent| agent.model.is_none())
        };
        match &start.model {
            Some(own) if self.model.is_none() && !needs_model() => {
                let model = self.driver(own)?;
                self.runner_on(model)
            }
            _ => self.runner(),
        }
    }

    fn runner_on(&self, model: Arc<dyn Model>) -> Result<Runner, ConfigError> {
        let mut runner = Runner::shared(model)
            .limits(self.limits().over(Limits::default()))
            .prices(self.prices.clone());
        let agent_set = self.agent_set()?;
        // In the order of the file: the order of a hash map changes between processes, and runs must not.
        let agents = self.agents().iter();
        for agent in agents.filter_map(|agent| agent_set.get(&agent.name)) {
            runner = runner.register_agent(agent);
        }
        Ok(runner)
    }

    /// Says whether a run that begins with this agent can wait for approval.
    ///
    /// That is when it can reach a call that waits for approval.
    pub fn can_wait(&self, agent: &AgentConfig) -> bool {
        let mut reachable = self.reachable(agent).into_iter();
        reachable.any(|agent| self.may_wait(agent))
    }

    /// Says whether calls of this agent itself may wait.
    pub(super) fn may_wait(&self, agent: &AgentConfig) -> bool {
        agent.needs_approval != ApprovalConfig::Never
            || self.has_asking_server(agent)
            || self.has_asking_tool(agent)
    }

    #[cfg(all(feature = "workspace", unix))]
    fn has_asking_tool(&self, agent: &AgentConfig) -> bool {
        let asks = |name: &String| {
            let workspace = self.workspace.iter();
            workspace.into_iter().any(|workspace| workspace.asks(name))
        };
        let mut tools = agent.tools.iter();
        tools.any(|name| asks(name) || self.outside_tools.asks(name))
    }

    #[cfg(not(all(feature = "workspace", unix)))]
    fn has_asking_tool(&self, agent: &AgentConfig) -> bool {
        let mut tools = agent.tools.iter();
        tools.any(|name| self.outside_tools.asks(name))
    }

    #[cfg(feature = "mcp-client")]
    fn has_asking_server(&self, agent: &AgentConfig) -> bool {
        self.servers_of(&[agent])
            .any(|server| *server.approval() != crate::mcp::McpApproval::Never)
    }

    #[cfg(not(feature = "mcp-client"))]
    #[expect(clippy::unused_self, reason = "without MCP no server can ask")]
    const fn has_asking_server(&self, _: &AgentConfig) -> bool {
        false
    }

    /// Returns the agents that a run can reach from one, by handoffs and as tools.
    ///
    /// The given agent comes first.
    pub fn reachable<'a>(&'a self, start: &'a AgentConfig) -> Vec<&'a AgentConfig> {
        let mut found = vec![start];
        let mut n_looked_at = 0;
        while let Some(agent) = found.get(n_looked_at).copied() {
            n_looked_at += 1;
            let tools = agent.agents_as_tools.iter().map(|tool| &tool.agent);
            for name in agent.handoffs.iter().chain(tools) {
                if let Ok(next) = self.agent_config(name)
                    && !found.iter().any(|known| known.name == next.name)
                {
                    found.push(next);
                }
            }
        }
        found
    }

    /// Returns an agent by its name.
    ///
    /// One with a model of its own has a driver for it, on the same connections as all others. Its
    /// handoffs go by name to agents that the [`runner`](Self::runner) knows.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if there is no such agent, if any agent cannot be built, or if one names a
    /// model and there is no base URL.
    pub fn agent(&self, name: &str) -> Result<Agent, ConfigError> {
        let config = self.agent_config(name)?;
        match self.agent_set()?.get(&config.name) {
            Some(agent) => Ok(agent.clone()),
            // Cannot happen: the set has every agent that is described.
            None => Err(self.unknown_agent(name)),
        }
    }

    /// Makes an agent answer in JSON of this schema, in place of its `output_schema`.
    ///
    /// Agents that were made before keep what they had. [`check`](Self::check) reports what is
    /// wrong with the schema.
    ///
    /// # Errors
    ///
    /// [`ConfigError::UnknownAgent`] if there is no agent of this name.
    pub fn set_output_schema(
        &mut self,
        agent: &str,
        schema: Map<String, Value>,
    ) -> Result<(), ConfigError> {
        // Made first: the search below borrows the agents for writing.
        let unknown = self.unknown_agent(agent);
        let mut agents = self.agents.iter_mut();
        let described = agents.find(|described| described.name == agent);
        described.ok_or(unknown)?.output_schema = Some(schema);
        // The agents that were built have the old schema.
        self.agent_set = OnceLock::new();
        Ok(())
    }

    fn agent_set(&self) -> Result<Arc<AgentSet>, ConfigError> {
        if let Some(agent_set) = self.agent_set.get() {
            return Ok(Arc::clone(agent_set));
        }
        // `get_or_init` cannot fail, and building can. If two threads build at once, the first one
        // wins.
        let agent_set = Arc::new(agent_set(self, Purpose::Run)?);
        Ok(Arc::clone(self.agent_set.get_or_init(|| agent_set)))
    }

    /// Finds the description of an agent.
    ///
    /// # Errors
    ///
    /// [`ConfigError::UnknownAgent`] if there is none of this name.
    pub fn agent_config(&self, name: &str) -> Result<&AgentConfig, ConfigError> {
        let found = self.agents().iter().find(|agent| agent.name == name);
        found.ok_or_else(|| self.unknown_agent(name))
    }

    fn unknown_agent(&self, name: &str) -> ConfigError {
        let known = || self.agents().iter().map(|agent| agent.name.as_str());
        ConfigError::UnknownAgent {
            name: name.to_owned(),
            nearest: nearest(name, known()).map(str::to_owned),
            known: known().map(str::to_owned).collect(),
        }
    }

    /// Returns every tool that an agent may name.
    ///
    /// These are the bundled ones, those of the sections `fetch_url`, `sqlite_query` and `openapi`,
    /// and those of the [workspace](crate::tools::workspace) if there is one.
    pub fn tools(&self) -> ToolRegistry {
        let mut tools = self.own_tools();
        // Cannot fail: `check_tool_names` refused a name that is taken when the file was loaded.
        drop(self.outside_tools.register_in(&mut tools));
        tools
    }

    /// Returns the section that a tool comes from, such as `openapi.<name>`.
    ///
    /// Returns also where the section is in the file.
    pub fn section_of_tool(&self, name: &str) -> Option<(&str, &Origin)> {
        self.outside_tools.section(name)
    }

    /// Refuses a tool of the sections if another tool has its name.
    pub(super) fn check_tool_names(&self) -> Result<(), ConfigError> {
        self.outside_tools.register_in(&mut self.own_tools())
    }

    /// Returns the bundled tools and those of the workspace.
    fn own_tools(&self) -> ToolRegistry {
        #[cfg_attr(
            not(all(feature = "workspace", unix)),
            expect(unused_mut, reason = "a workspace adds its tools")
        )]
        let mut tools = bundled_tools();
        #[cfg(all(feature = "workspace", unix))]
        for tool in self
            .workspace
            .iter()
            .flat_map(super::workspace::ConfiguredWorkspace::tools)
        {
            // Cannot fail: no bundled tool has the name of a workspace tool, which a test checks.
            drop(tools.register(tool.clone()));
        }
        tools
    }

    /// Returns the tools that are served by themselves, beside the agents: the bundled ones.
    ///
    /// All others belong to their agents. A tool that any agent needs approval for needs it here
    /// too: it is the same tool, and a client is no more trusted than a model.
    pub fn served_tools(&self) -> ToolRegistry {
        let asks = |agent: &AgentConfig, tool: &str| match &agent.needs_approval {
            ApprovalConfig::Always => agent.tools.iter().any(|name| name == tool),
            ApprovalConfig::Tools(names) => names.iter().any(|name| name == tool),
            ApprovalConfig::Never => false,
        };
        let mut served = ToolRegistry::new();
        for tool in &bundled_tools() {
            let is_asked_for = self.agents().iter().any(|agent| asks(agent, tool.name()));
            let tool = if is_asked_for {
                tool.clone().needs_approval()
            } else {
                tool.clone()
            };
            // Cannot fail: the names were unique in the registry that these come from.
            drop(served.register(tool));
        }
        served
    }

    /// Checks that every agent can be built. This needs no base URL and no model.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for the first agent that cannot be built: one that names a tool or agent
    /// that does not exist, that is a tool or guardrail of itself through others, or that is wrong
    /// in another way.
    pub fn check(&self) -> Result<(), ConfigError> {
        agent_set(self, Purpose::Check).map(drop)
    }

    /// Makes a driver for a model of this name.
    ///
    /// It has the server and options of the configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the base URL or the name cannot be used.
    pub fn driver(&self, name: &str) -> Result<Arc<dyn Model>, ConfigError> {
        let base_url = self.base_url()?;
        let model = match self.model_api() {
            ModelApi::Chat => wired!(self, OpenAiChat::builder(base_url, name)),
            ModelApi::Responses => wired!(self, OpenAiResponses::builder(base_url, name)),
            ModelApi::LiteLlm => wired!(self, LiteLlm::builder(base_url, name)),
        };
        let model = model.map_err(|source| ConfigError::Model {
            model: name.to_owned(),
            source,
        })?;
        Ok(match self.max_concurrent_requests() {
            None => model,
            Some(n) => Arc::new(
                self.concurrency_limit
                    .get_or_init(|| ConcurrencyLimit::new(n))
                    .wrap_shared(model),
            ),
        })
    }

    /// Returns the limit on all answers being received at once (`limits.max_answers_bytes`).
    pub fn memory_limit(&self) -> &MemoryLimit {
        self.memory_limit
            .get_or_init(|| MemoryLimit::new(self.max_answers_bytes()))
    }

    fn max_answers_bytes(&self) -> usize {
        let max_bytes = self.limits().max_answers_bytes;
        max_bytes.map_or(MAX_ANSWERS_BYTES, whole)
    }

    /// Takes over the shared limits of the configuration that this one replaces.
    ///
    /// A reload does that.
    ///
    /// Answers count in one sum with those of `before`. Requests do so too if both configurations
    /// allow as many. Without an effect once this configuration has made a model.
    pub fn replaces(&self, before: &Self) {
        // The number of a semaphore cannot be lowered while permits are out. With another number
        // the requests of old runs are not counted.
        if self.max_concurrent_requests() == before.max_concurrent_requests()
            && let Some(shared) = before.concurrency_limit.get()
        {
            self.concurrency_limit.set(shared.clone()).ok();
        }
        // Runs of the old configuration are still receiving answers, in the same memory. Two limits
        // would allow twice as much.
        let shared = before.memory_limit().clone();
        shared.set_max_bytes(self.max_answers_bytes());
        self.memory_limit.set(shared).ok();
    }

    /// Returns the HTTP client that all models share, with its time-outs.
    ///
    /// MCP servers share its proxies and certificates.
    pub const fn http_client(&self) -> &HttpClient {
        &self.client
    }
}

#[cfg(feature = "bundled-tools")]
fn bundled_tools() -> ToolRegistry {
    crate::tools::bundled::registry()
}

#[cfg(not(feature = "bundled-tools"))]
fn bundled_tools() -> ToolRegistry {
    ToolRegistry::new()
}
