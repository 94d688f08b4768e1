//! The settings: one struct per section of the file.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::{Map, Value};

use super::build::AgentSet;
use super::{
    ConfigError, GuardrailConfig, Origin, RealtimeConfig, ServerConfig, SessionsConfig, Setting,
    TimeoutsConfig, TraceConfig, VoiceConfig,
};
use crate::http::HttpClient;
#[cfg(feature = "mcp-client")]
use crate::mcp::McpClients;
use crate::model::{ConcurrencyLimit, Dialect, MemoryLimit, ModelSettings};
use crate::secret::Redactor;
use crate::usage::{Money, PriceTable};
use crate::{Limits, Secret};

/// Holds every setting, and where each came from.
///
/// Made by [`load`](super::load) or [`Loader::load`](super::Loader::load). What has no value is an error only where it is
/// used: a configuration without a model is complete for a program that never asks for one.
#[derive(Debug, Clone)]
pub struct Config {
    pub(super) file: Arc<Path>,
    pub(super) file_exists: bool,
    pub(super) api_key: Option<Secret>,
    pub(super) model: Option<String>,
    pub(super) base_url: Option<String>,
    pub(super) log_level: String,
    pub(super) plugins_path: Option<PathBuf>,
    pub(super) model_api: ModelApi,
    pub(super) provider_name: Option<String>,
    pub(super) agents: Vec<AgentConfig>,
    pub(super) limits: LimitsConfig,
    pub(super) prices: PriceTable,
    pub(super) max_concurrent_requests: Option<NonZeroUsize>,
    pub(super) dialect: Dialect,
    pub(super) state_key: Option<Secret>,
    pub(super) sessions: SessionsConfig,
    pub(super) trace: TraceConfig,
    pub(super) server: ServerConfig,
    pub(super) timeouts: TimeoutsConfig,
    #[cfg_attr(
        not(feature = "realtime"),
        expect(dead_code, reason = "it is checked, and used by `realtime` only")
    )]
    pub(super) realtime: RealtimeConfig,
    #[cfg_attr(
        not(feature = "voice"),
        expect(dead_code, reason = "it is checked, and used by `voice` only")
    )]
    pub(super) voice: VoiceConfig,
    /// Not connected before someone asks for it; clones share the connections.
    #[cfg(feature = "mcp-client")]
    pub(super) mcp_servers: McpClients,
    pub(super) outside_tools: super::outside_tools::OutsideTools,
    #[cfg(all(feature = "workspace", unix))]
    pub(super) workspace: Option<super::workspace::ConfiguredWorkspace>,
    #[cfg(all(feature = "skills", unix))]
    pub(super) skills: super::skills::ConfiguredSkills,
    #[cfg(all(feature = "plugins", unix))]
    pub(super) plugins: super::plugins::ConfiguredPlugins,
    pub(super) settings: Vec<Setting>,
    /// Takes out every secret of the configuration.
    pub(super) redactor: Redactor,
    /// What all models share.
    pub(super) client: HttpClient,
    /// The place of all requests, if they are bounded; one for all clones.
    pub(super) concurrency_limit: Arc<OnceLock<ConcurrencyLimit>>,
    /// What bounds all answers that come at once; one for all clones.
    pub(super) memory_limit: Arc<OnceLock<MemoryLimit>>,
    /// The agents; made when the first of them is asked for.
    pub(super) agent_set: OnceLock<Arc<AgentSet>>,
}

impl Config {
    /// Gives the URL of the server, without a slash at its end.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Missing`] if nothing sets it: there is no default server.
    pub fn base_url(&self) -> Result<&str, ConfigError> {
        self.base_url
            .as_deref()
            .ok_or_else(|| ConfigError::Missing {
                what: "base URL",
                variable: "OPENAI_BASE_URL",
                key: "base_url",
                file: self.file.to_path_buf(),
                flag: "--base-url",
            })
    }

    /// Gives the name of the model, for agents that name none themselves.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Missing`] if nothing sets it: there is no default model.
    pub fn model(&self) -> Result<&str, ConfigError> {
        self.model.as_deref().ok_or_else(|| ConfigError::Missing {
            what: "model",
            variable: "OPENAI_MODEL",
            key: "model",
            file: self.file.to_path_buf(),
            flag: "--model",
        })
    }

    /// Gives the key of the server; many local servers want none.
    pub fn api_key(&self) -> Option<&Secret> {
        self.api_key.as_ref()
    }

    /// Gives the log filter, such as `warn` (the default) or `openai_agents=debug`.
    pub fn log_level(&self) -> &str {
        &self.log_level
    }

    /// Gives the folder of the plugins; none if only the default is left and there is no home directory.
    pub fn plugins_path(&self) -> Option<&Path> {
        self.plugins_path.as_deref()
    }

    /// Gives the protocol that the server is spoken to in.
    pub const fn model_api(&self) -> ModelApi {
        self.model_api
    }

    /// Gives the provider that traces and metrics name; by default what the host of the base URL tells.
    pub fn provider_name(&self) -> Option<&str> {
        self.provider_name.as_deref()
    }

    /// Gives the agents: `EchoAgent` and `Assistant`, and those of the file, which may replace them.
    ///
    /// No two share a name. What their tools, models and other agents are called is not looked at before [`check`](Self::check).
    pub fn agents(&self) -> &[AgentConfig] {
        &self.agents
    }

    /// Gives the limits of every run.
    pub const fn limits(&self) -> &LimitsConfig {
        &self.limits
    }

    /// Gives what the tokens of models cost; there are no prices but those of the file.
    pub const fn prices(&self) -> &PriceTable {
        &self.prices
    }

    /// Gives how many requests may be under way at once, across all runs and models.
    pub const fn max_concurrent_requests(&self) -> Option<NonZeroUsize> {
        self.max_concurrent_requests
    }

    /// Gives what the server wants differently, which the section `dialect` and the `VLLM_*` switches say.
    pub const fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    /// Gives the key by which the saved states of paused runs are sealed; it has at least 16 bytes.
    pub fn state_key(&self) -> Option<&Secret> {
        self.state_key.as_ref()
    }

    /// Gives where runs are recorded; nowhere by default.
    pub const fn trace(&self) -> &TraceConfig {
        &self.trace
    }

    /// Gives where sessions are kept: by default in a SQLite file of the user's data folder.
    pub const fn sessions(&self) -> &SessionsConfig {
        &self.sessions
    }

    /// Gives how long a model's server is waited for.
    pub const fn timeouts(&self) -> &TimeoutsConfig {
        &self.timeouts
    }

    /// Gives where the program serves, and to whom.
    pub const fn server(&self) -> &ServerConfig {
        &self.server
    }

    /// Gives the path of the configuration file, which [may not exist](Self::file_exists).
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Says whether there is a configuration file.
    pub const fn file_exists(&self) -> bool {
        self.file_exists
    }

    /// Gives what takes every secret of this configuration out of a text: keys, tokens, headers, variables of MCP servers, passwords.
    ///
    /// For whatever a program shows, logs or writes that others have had a hand in.
    pub const fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Lists every value with its origin, safe to be shown: secrets are only counted.
    pub fn origins(&self) -> &[Setting] {
        &self.settings
    }

    /// Finds a value with its origin by its key, such as `base_url`; safe to be shown.
    pub fn setting(&self, key: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.key == key)
    }
}

/// Names the protocol that a server is spoken to in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelApi {
    /// `/chat/completions`, as vLLM, Ollama, llama.cpp and many others serve it.
    #[default]
    Chat,
    /// `/responses`, as OpenAI and servers of gpt-oss have it.
    Responses,
    /// A `LiteLLM` proxy, by its `/chat/completions`.
    LiteLlm,
}

/// Describes an agent of the file, or one that always exists.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AgentConfig {
    /// The name, which no other agent has.
    pub name: String,
    /// The system prompt; for `file:PATH` what the file holds.
    pub instructions: Option<String>,
    /// The model, if not the one of the configuration.
    pub model: Option<String>,
    /// What is sent with every request.
    pub settings: ModelSettings,
    /// The names of its tools.
    pub tools: Vec<String>,
    /// The names of the skills that it can read.
    pub skills: Vec<String>,
    /// The names of the MCP servers whose tools it has too.
    pub mcp_servers: Vec<String>,
    /// The agents that it calls as tools.
    pub agents_as_tools: Vec<AgentToolConfig>,
    /// Which calls wait for approval.
    pub needs_approval: ApprovalConfig,
    /// What happens after tools ran.
    pub tool_use: ToolUseConfig,
    /// Whether the model is shown tools only once it has looked for them.
    pub defer_tools: bool,
    /// Whether `settings.tool_choice` holds only until a tool was called.
    pub reset_tool_choice: bool,
    /// The names of the agents that it can hand off to.
    pub handoffs: Vec<String>,
    /// When to hand off to it, for the models of others.
    pub handoff_description: Option<String>,
    /// What its final output must be, as JSON Schema; without one it is text.
    pub output_schema: Option<Map<String, Value>>,
    /// What looks at the input of runs that begin with it.
    pub input_guardrails: Vec<GuardrailConfig>,
    /// What looks at its final output.
    pub output_guardrails: Vec<GuardrailConfig>,
    /// The limits of its runs, over those of the configuration.
    pub limits: LimitsConfig,
    /// Where it is defined.
    pub origin: Origin,
}

/// Describes an agent that is a tool of another.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AgentToolConfig {
    /// The agent.
    pub agent: String,
    /// The name of the tool; otherwise the agent's own, as a function's.
    pub name: Option<String>,
    /// What the model is told of it; otherwise the agent's `handoff_description`.
    pub description: Option<String>,
}

/// Says which calls of an agent's tools wait for approval.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApprovalConfig {
    /// None.
    #[default]
    Never,
    /// Those of these tools.
    Tools(Vec<String>),
    /// All (`always`).
    Always,
}

/// Says what happens after the tools of a turn ran.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToolUseConfig {
    /// The model is asked again (`run_llm_again`).
    #[default]
    RunAgain,
    /// The output of the first tool is the answer (`stop_on_first_tool`).
    StopOnFirst,
    /// The output of any of these tools is the answer (`stop_at_tools`).
    StopAt(Vec<String>),
}

/// Holds the limits of a run; what is absent is left to the library's defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitsConfig {
    /// The most turns.
    pub max_turns: Option<u32>,
    /// The most requests to models, with those of agents that are called as tools.
    pub max_requests: Option<u64>,
    /// The most tokens of all prompts.
    pub max_input_tokens: Option<u64>,
    /// The most tokens of all answers.
    pub max_output_tokens: Option<u64>,
    /// The most tokens of prompts and answers.
    pub max_total_tokens: Option<u64>,
    /// The most tool calls.
    pub max_tool_calls: Option<u64>,
    /// The most money, as `prices` count it.
    pub max_cost: Option<Money>,
    /// The most seconds of wall clock.
    pub max_seconds: Option<u64>,
    /// The most bytes of an answer of a model, in sum over all its parts; 64 MiB by default. Not of one agent alone.
    pub max_answer_bytes: Option<u64>,
    /// The most bytes of all answers of models that come at once; 128 MiB by default. Not of one agent alone.
    pub max_answers_bytes: Option<u64>,
    /// The most tool calls of an answer of a model; 1024 by default. Not of one agent alone.
    pub max_answer_tool_calls: Option<u64>,
    /// The most bytes of one event of a streamed answer; 32 MiB by default. Not of one agent alone.
    pub max_event_bytes: Option<u64>,
}

impl LimitsConfig {
    /// Lays these over other limits: what is absent here is taken from there.
    #[must_use]
    pub fn over(&self, below: Limits) -> Limits {
        let duration = self.max_seconds.map(Duration::from_secs);
        let mut limits = below;
        limits.max_turns = self.max_turns.or(below.max_turns);
        limits.max_requests = self.max_requests.or(below.max_requests);
        limits.max_input_tokens = self.max_input_tokens.or(below.max_input_tokens);
        limits.max_output_tokens = self.max_output_tokens.or(below.max_output_tokens);
        limits.max_total_tokens = self.max_total_tokens.or(below.max_total_tokens);
        limits.max_tool_calls = self.max_tool_calls.or(below.max_tool_calls);
        limits.max_cost = self.max_cost.or(below.max_cost);
        limits.max_duration = duration.or(below.max_duration);
        limits
    }
}
