//! The configuration file, `.env` and the environment, with the origin of every value.
//!
//! Four layers are laid over each other, and the later one wins:
//!
//! 1. the file: `./config.yaml`, or the one that `OPENAI_AGENTS_CONFIG` names;
//! 2. `OPENAI_AGENTS__<KEY>`, where a double underscore nests: `OPENAI_AGENTS__LIMITS__MAX_TURNS`;
//! 3. `OPENAI_BASE_URL`, `OPENAI_MODEL`, `OPENAI_API_KEY` and `RUST_LOG`;
//! 4. the flags of the command line.
//!
//! A `.env` in the working directory fills variables that are not set. An empty variable counts as not set. Nothing is
//! guessed: an unknown key, a value of the wrong type and a section that this build lacks are errors. They name the file
//! and line, and never quote the value, which may be a key. A missing setting is an error where it is used, not when the
//! configuration is loaded: `check` needs no model, and a run does.
//!
//! ```
//! use openai_agents::config::Loader;
//!
//! let config = Loader::new()
//!     .file("./config.yaml", "model: gpt-oss-20b\nlimits: { max_turns: 3 }")
//!     .variable("OPENAI_MODEL", "qwen3")
//!     .load()?;
//! assert_eq!(config.model()?, "qwen3");
//! assert_eq!(config.limits().max_turns, Some(3));
//! assert_eq!(
//!     config.base_url().unwrap_err().to_string(),
//!     "no base URL: set OPENAI_BASE_URL, `base_url` in ./config.yaml, or --base-url",
//! );
//! # Ok::<(), openai_agents::config::ConfigError>(())
//! ```

mod schema;
mod loader;
mod origin;
mod dialect;
mod error;
mod agents;
mod guardrails;
mod prices;
mod sessions;
mod trace;
mod server;
mod timeouts;
mod speech;
mod substitution;
#[cfg(feature = "mcp-client")]
mod mcp;
#[cfg(all(feature = "workspace", unix))]
mod workspace;
#[cfg(all(feature = "skills", unix))]
mod skills;
#[cfg(all(feature = "plugins", unix))]
mod definitions;
#[cfg(all(feature = "plugins", unix))]
mod plugins;
mod outside_tools;
mod keys;
mod fields;
mod tree;
mod sources;
mod dotenv;
mod nearest;
mod wiring;
mod build;
mod agent_guardrail;

#[cfg(all(feature = "plugins", unix))]
pub use definitions::PluginDefinitions;
pub use error::{ConfigError, DefinitionKind, UnknownKey};
pub use guardrails::{GuardrailCheck, GuardrailConfig};
pub use loader::Loader;
pub use origin::{Origin, Setting};
pub use schema::{
    AgentConfig, AgentToolConfig, ApprovalConfig, Config, LimitsConfig, ModelApi, ToolUseConfig,
};
pub use server::{ServerConfig, ServerLimits};
pub use sessions::{SessionStore, SessionsConfig};
pub use speech::{RealtimeConfig, VoiceConfig};
pub use timeouts::TimeoutsConfig;
pub use trace::TraceConfig;

/// Loads the configuration of this process: file, `.env` and environment.
///
/// # Errors
///
/// [`ConfigError`] if a source cannot be read or holds something that is not a known setting.
pub fn load() -> Result<Config, ConfigError> {
    Loader::from_process()?.load()
}

#[cfg(test)]
mod tests;
