//! The settings, one struct for each section of the file.

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

/// Holds every setting and where each came from.
///
/// Made by [`load`](super::load) or [`Loader::load`](super::Loader::load). A missing setting is an
/// error only where it is used: a configuration without a model is complete for a program that
/// never asks one. Clones share connections and limits.
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
    /// Connected when they are first needed; clones share the connections.
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
    /// Takes every secret of the configuration out of a text.
    pub(super) redactor: Redactor,
    /// The HTTP client of all models.
    pub(super) client: HttpClient,
    /// The limit on requests under way, shared by all clones; made with the first model.
    pub(super) concurrency_limit: Arc<OnceLock<ConcurrencyLimit>>,
    /// The limit on all answers being received, shared by all clones.
    pub(super) memory_limit: Arc<OnceLock<MemoryLimit>>,
    /// The built agents; made when the first of them is asked for.
    pub(super) agent_set: OnceLock<Arc<AgentSet>>,
}

impl Config {
    /// Returns the URL of the server, without a slash at its end.
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

    /// Returns the name of the model, for agents that name none themselves.
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

    /// Returns the key of the server, if one is set; many local servers need none.
    pub fn api_key(&self) -> Option<&Secret> {
        self.api_key.as_ref()
    }

    /// Returns the log filter, such as `warn` (the default) or `openai_agents=debug`.
    pub fn log_level(&self) -> &str {
        &self.log_level
    }

    /// Returns the folder of the plugins.
    ///
    /// `None` if nothing sets it and there is no home directory, which the default is below.
    pub fn plugins_path(&self) -> Option<&Path> {
        self.plugins_path.as_deref()
    }

    /// Returns the API that the server is asked through.
    pub const fn model_api(&self) -> ModelApi {
        self.model_api
    }

    /// Returns the provider that traces and metrics name.
    ///
    /// Without one, a known host in the base URL names it.
    pub fn provider_name(&self) -> Option<&str> {
        self.provider_name.as_deref()
    }

    /// Returns the agents: `EchoAgent` and `Assistant`, and those of the file, which may replace
    /// them.
    ///
    /// No two share a name. The tools, models and agents that they name are checked by
    /// [`check`](Self::check).
    pub fn agents(&self) -> &[AgentConfig] {
        &self.agents
    }

    /// Returns the limits of every run.
    pub const fn limits(&self) -> &LimitsConfig {
        &self.limits
    }

    /// Returns the prices of models. There are none but those of the file.
    pub const fn prices(&self) -> &PriceTable {
        &self.prices
    }

    /// Returns the most requests under way at once, across all runs and models.
    pub const fn max_concurrent_requests(&self) -> Option<NonZeroUsize> {
        self.max_concurrent_requests
    }

    /// Returns how the server deviates, by the section `dialect` and the `VLLM_*` switches.
    pub const fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    /// Returns the key that seals the saved states of paused runs; at least 16 bytes.
    pub fn state_key(&self) -> Option<&Secret> {
        self.state_key.as_ref()
    }

    /// Returns where runs are recorded; nowhere by default.
    pub const fn trace(&self) -> &TraceConfig {
        &self.trace
    }

    /// Returns where sessions are kept.
    ///
    /// By default that is a SQLite file of the user's data folder.
    pub const fn sessions(&self) -> &SessionsConfig {
        &self.sessions
    }

    /// Returns how long to wait for the server of a model.
    pub const fn timeouts(&self) -> &TimeoutsConfig {
        &self.timeouts
    }

    /// Returns the address that the program serves at, and who may connect.
    pub const fn server(&self) -> &ServerConfig {
        &self.server
    }

    /// Returns the path of the configuration file, which [may not exist](Self::file_exists).
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Says whether there is a configuration file.
    pub const fn file_exists(&self) -> bool {
        self.file_exists
    }

    /// Returns the redactor for every secret of this configuration.
    ///
    /// These are keys, tokens, headers, variables of MCP servers and passwords. Use it on whatever
    /// a program shows, logs or writes that a server or tool had a part in.
    pub const fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Lists every value with its origin.
    ///
    /// Safe to show: of a secret only the length is given.
    pub fn origins(&self) -> &[Setting] {
        &self.settings
    }

    /// Finds a value with its origin by its key, such as `base_url`. Safe to show.
    pub fn setting(&self, key: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.key == key)
    }
}

/// Names the API that a server is asked through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelApi {
    /// `/chat/completions`, as vLLM, Ollama, llama.cpp and many others serve it.
    #[default]
    Chat,
    /// `/responses`, as OpenAI and servers of gpt-oss serve it.
    Responses,
    /// `/chat/completions` of a `LiteLLM` proxy.
    LiteLlm,
}

/// Describes an agent of the file, or one that always exists.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AgentConfig {
    /// The name, which no other agent has.
    pub name: String,
    /// The system prompt; for `file:PATH` the text of that file.
    pub instructions: Option<String>,
    /// The model; without one, that of the configuration.
    pub model: Option<String>,
    /// Settings that are sent with every request.
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
    /// What happens after the tools of a turn.
    pub tool_use: ToolUseConfig,
    /// Whether the model sees tools only after it has searched for them; `false` by default.
    pub defer_tools: bool,
    /// Whether `settings.tool_choice` is dropped after the first tool call; `true` by default.
    ///
    /// The default is so because a model that must call a tool never answers.
    pub reset_tool_choice: bool,
    /// The names of the agents that it can hand off to.
    pub handoffs: Vec<String>,
    /// When to hand off to this agent, for the models of other agents.
    pub handoff_description: Option<String>,
    /// The JSON Schema of its final output; without one the output is text.
    pub output_schema: Option<Map<String, Value>>,
    /// The guardrails on the input of runs that begin with this agent.
    pub input_guardrails: Vec<GuardrailConfig>,
    /// The guardrails on its final output.
    pub output_guardrails: Vec<GuardrailConfig>,
    /// The limits of its runs; what is not set is taken from the configuration.
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
    /// The name of the tool.
    ///
    /// Without one, it is the name of the agent in the form of a function name.
    pub name: Option<String>,
    /// The description for the model; without one, the `handoff_description` of the agent.
    pub description: Option<String>,
}

/// Says which calls of an agent's tools wait for approval.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApprovalConfig {
    /// No call waits.
    #[default]
    Never,
    /// Calls of these tools wait.
    Tools(Vec<String>),
    /// All calls wait (`always`).
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

/// Holds the limits of a run.
///
/// What is not set has the default of the library.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitsConfig {
    /// The most turns.
    pub max_turns: Option<u32>,
    /// The most requests to models, those of agents called as tools included.
    pub max_requests: Option<u64>,
    /// The most input tokens, in sum.
    pub max_input_tokens: Option<u64>,
    /// The most output tokens, in sum.
    pub max_output_tokens: Option<u64>,
    /// The most input and output tokens, in sum.
    pub max_total_tokens: Option<u64>,
    /// The most tool calls.
    pub max_tool_calls: Option<u64>,
    /// The most money, by the section `prices`.
    pub max_cost: Option<Money>,
    /// The longest time in seconds, by the clock.
    pub max_seconds: Option<u64>,
    /// The most bytes of one answer of a model; 64 MiB by default.
    ///
    /// All parts are included. It cannot be set for one agent.
    pub max_answer_bytes: Option<u64>,
    /// The most bytes of all answers being received at once; 128 MiB by default.
    ///
    /// It cannot be set for one agent.
    pub max_answers_bytes: Option<u64>,
    /// The most tool calls in one answer of a model; 1024 by default.
    ///
    /// It cannot be set for one agent.
    pub max_answer_tool_calls: Option<u64>,
    /// The most bytes of one event of a streamed answer; 32 MiB by default.
    ///
    /// It cannot be set for one agent.
    pub max_event_bytes: Option<u64>,
}

impl LimitsConfig {
    /// Overlays these limits on others. What is not set here is taken from `below`.
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
