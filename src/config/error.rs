//! The errors of a configuration, each with the origin of the value.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::Origin;
use crate::ErrorKind;
use crate::agent::AgentError;
use crate::http::HttpError;
use crate::model::ModelError;

/// Says what is missing or wrong in the configuration, and where.
///
/// `Display` names keys, variables, files and lines. It never quotes a value, because a key may be
/// in the wrong place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A setting that is needed has no value.
    #[error("no {what}: set {variable}, `{key}` in {}, or {flag}", file.display())]
    Missing {
        /// The setting in words.
        what: &'static str,
        /// The variable that could supply it.
        variable: &'static str,
        /// The key that could supply it.
        key: &'static str,
        /// The file that could hold the key.
        file: PathBuf,
        /// The flag that could supply it.
        flag: &'static str,
    },
    /// The configuration file that a variable or flag names does not exist.
    #[error("the configuration file {} does not exist ({named_by} names it)", path.display())]
    FileNotFound {
        /// The file.
        path: PathBuf,
        /// What named the file.
        named_by: Origin,
    },
    /// A file exists and cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file that a setting names cannot be read.
    #[error("`{key}` ({origin}) names {}, which cannot be read", path.display())]
    ReadNamed {
        /// The key.
        key: String,
        /// Where the key is set.
        origin: Origin,
        /// The file that it names.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The working directory cannot be read, for example because it was deleted.
    #[error("the working directory cannot be read")]
    WorkingDirectory {
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A path needs the home directory, which is unknown.
    #[error("`{key}` ({origin}) needs the home directory, and HOME is not set")]
    NoHome {
        /// The key.
        key: String,
        /// Where the key is set.
        origin: Origin,
    },
    /// A text is not YAML.
    #[error("{origin}: {problem}")]
    Yaml {
        /// The file and line, or the variable.
        origin: Origin,
        /// What is wrong, without the text itself.
        problem: &'static str,
    },
    /// A line of `.env` is malformed.
    #[error("{}:{line}: {problem}", path.display())]
    Dotenv {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong, without the line itself.
        problem: &'static str,
    },
    /// A key that does not exist.
    #[error("unknown setting `{key}` ({origin}){}", did_you_mean(nearest.as_deref()))]
    UnknownKey {
        /// The key with its path.
        key: String,
        /// The known key that is most like it.
        nearest: Option<String>,
        /// Where it is set.
        origin: Origin,
    },
    /// Keys that do not exist, in one map.
    #[error("unknown settings: {}", list_of(keys, *n_more))]
    UnknownKeys {
        /// The first of them.
        keys: Vec<UnknownKey>,
        /// How many there are beside these.
        n_more: usize,
    },
    /// A value of the file names a variable that is not set.
    #[error(
        "`{key}` ({origin}) names the variable {variable}, which is not set (`$$` is a dollar)"
    )]
    UnsetVariable {
        /// The key with its path.
        key: String,
        /// The variable.
        variable: String,
        /// Where the value is.
        origin: Origin,
    },
    /// A key that this build does not support.
    #[error("`{key}` ({origin}) is not supported by this version yet")]
    Unsupported {
        /// The key with its path, or the key and value.
        key: String,
        /// Where it is set.
        origin: Origin,
    },
    /// An agent cannot speak in realtime sessions.
    #[cfg(feature = "realtime")]
    #[error("agent `{agent}` ({origin}) cannot speak in realtime sessions: {source}")]
    Realtime {
        /// The agent.
        agent: String,
        /// Where it is defined.
        origin: Origin,
        /// Why not.
        source: Box<crate::realtime::RealtimeError>,
    },
    /// A value of the wrong type, or outside its range.
    #[error("`{key}` ({origin}) must be {expected}")]
    Invalid {
        /// The key with its path, or the variable.
        key: String,
        /// What it must be.
        expected: &'static str,
        /// Where it is set.
        origin: Origin,
    },
    /// Two agents of the file share a name.
    #[error("two agents are called `{name}` ({first} and {second})")]
    AgentTwice {
        /// The name.
        name: String,
        /// Where the first is.
        first: Origin,
        /// Where the second is.
        second: Origin,
    },
    /// A command or a program asked for an agent that does not exist.
    #[error("there is no agent `{name}`{} (there are: {})", did_you_mean(nearest.as_deref()), known.join(", "))]
    UnknownAgent {
        /// The name.
        name: String,
        /// The agent whose name is most like it.
        nearest: Option<String>,
        /// The agents that there are.
        known: Vec<String>,
    },
    /// An agent names a tool that does not exist.
    #[error("agent `{agent}` ({origin}) names the tool `{tool}`, which does not exist{}", did_you_mean(nearest.as_deref()))]
    UnknownTool {
        /// The tool.
        tool: String,
        /// The tool whose name is most like it.
        nearest: Option<Box<str>>,
        /// The agent.
        agent: String,
        /// Where the agent is defined.
        origin: Origin,
    },
    /// An agent names another that does not exist.
    #[error("agent `{agent}` ({origin}) {relation} `{named}`, which does not exist{}", did_you_mean(nearest.as_deref()))]
    UnknownAgentNamed {
        /// What the agent does with the other, such as `hands off to`.
        relation: &'static str,
        /// The name.
        named: Box<str>,
        /// The agent whose name is most like it.
        nearest: Option<Box<str>>,
        /// The agent that names it.
        agent: Box<str>,
        /// Where that is defined.
        origin: Origin,
    },
    /// An agent names an MCP server that does not exist.
    #[error("agent `{agent}` ({origin}) names the MCP server `{server}`, which does not exist{}", did_you_mean(nearest.as_deref()))]
    UnknownMcpServer {
        /// The server.
        server: String,
        /// The server whose name is most like it.
        nearest: Option<Box<str>>,
        /// The agent.
        agent: String,
        /// Where the agent is defined.
        origin: Origin,
    },
    /// An agent names a guardrail or a prompt that no trusted plugin has.
    #[error("agent `{agent}` ({origin}) names the {kind} `{name}`, which no trusted plugin has{}", did_you_mean(nearest.as_deref()))]
    UnknownDefinition {
        /// What it names.
        kind: DefinitionKind,
        /// Its name.
        name: Box<str>,
        /// The one whose name is most like it.
        nearest: Option<Box<str>>,
        /// The agent.
        agent: Box<str>,
        /// Where the agent is defined.
        origin: Origin,
    },
    /// Agents are tools or guardrails of each other in a circle.
    #[error(
        "agents cannot be tools or guardrails of each other in a circle: {} ({origin})",
        circle(path)
    )]
    AgentCycle {
        /// The agents of the circle, each needing the next; the first is also the last.
        path: Vec<String>,
        /// Where the first is defined.
        origin: Origin,
    },
    /// An agent cannot be the guardrail of another.
    #[error("agent `{agent}` ({origin}) is guarded by `{guardrail}`, which {problem}")]
    GuardrailAgent {
        /// The agent that is guarded.
        agent: String,
        /// The agent that is to judge.
        guardrail: String,
        /// What it has and must not have.
        problem: &'static str,
        /// Where the guarded agent is defined.
        origin: Origin,
    },
    /// An agent cannot be built.
    #[error("agent `{agent}` ({origin}) cannot be built")]
    Agent {
        /// The agent.
        agent: String,
        /// Where it is defined.
        origin: Origin,
        /// Why not.
        #[source]
        source: Box<AgentError>,
    },
    /// An MCP server cannot be set up.
    #[cfg(feature = "mcp-client")]
    #[error("`{key}` ({origin}) cannot be used")]
    McpServer {
        /// The key of the server.
        key: String,
        /// Where it is.
        origin: Origin,
        /// Why not.
        #[source]
        source: Box<crate::mcp::McpError>,
    },
    /// A tool that reaches outside the program cannot be made.
    #[error("`{key}` ({origin}) cannot be used")]
    OutsideTool {
        /// The key of the setting.
        key: String,
        /// Where it is.
        origin: Origin,
        /// Why not.
        #[source]
        source: crate::future::BoxError,
    },
    /// The workspace cannot be used.
    #[cfg(all(feature = "workspace", unix))]
    #[error("`{key}` ({origin}) cannot be used")]
    Workspace {
        /// The key of the setting.
        key: String,
        /// Where it is.
        origin: Origin,
        /// Why not.
        #[source]
        source: Box<crate::tools::workspace::WorkspaceError>,
    },
    /// A folder of skills cannot be listed.
    #[cfg(all(feature = "skills", unix))]
    #[error("`{key}` ({origin}): the folder {} cannot be listed", path.display())]
    SkillFolder {
        /// The key of the setting.
        key: String,
        /// Where it is.
        origin: Origin,
        /// The folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Skills cannot be used together.
    #[cfg(all(feature = "skills", unix))]
    #[error("`{key}` ({origin}) cannot be used")]
    Skills {
        /// The key of the setting.
        key: String,
        /// Where it is.
        origin: Origin,
        /// Why not.
        #[source]
        source: Box<crate::skills::SkillError>,
    },
    /// An agent names a skill that does not exist.
    #[cfg(all(feature = "skills", unix))]
    #[error("agent `{agent}` ({origin}) has the unknown skill `{skill}`{}", did_you_mean(nearest.as_deref()))]
    UnknownSkill {
        /// The skill.
        skill: Box<str>,
        /// The skill whose name is most like it.
        nearest: Option<Box<str>>,
        /// The agent.
        agent: Box<str>,
        /// Where the agent is defined.
        origin: Origin,
    },
    /// An agent names a skill that cannot be used.
    #[cfg(all(feature = "skills", unix))]
    #[error("agent `{agent}` ({origin}) has the skill `{skill}`, which cannot be used: {reason}")]
    UnusableSkill {
        /// The skill.
        skill: Box<str>,
        /// What is wrong with it.
        reason: Box<str>,
        /// The agent.
        agent: Box<str>,
        /// Where the agent is defined.
        origin: Origin,
    },
    /// An MCP server of a trusted plugin cannot be set up.
    #[cfg(all(feature = "plugins", unix))]
    #[error("an MCP server of the plugin `{plugin}` cannot be set up")]
    PluginServer {
        /// The plugin.
        plugin: String,
        /// Why not.
        #[source]
        source: Box<crate::mcp::McpError>,
    },
    /// A model cannot be used with these settings.
    #[error("the model `{model}` cannot be used")]
    Model {
        /// The model.
        model: String,
        /// Why not.
        #[source]
        source: ModelError,
    },
    /// The HTTP client cannot be set up.
    #[error("HTTP cannot be set up")]
    Http {
        /// Why not.
        #[source]
        source: HttpError,
    },
}

/// Says which kind of definition of a plugin an agent names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DefinitionKind {
    /// A guardrail of inputs.
    InputGuardrail,
    /// A guardrail of outputs.
    OutputGuardrail,
    /// A prompt.
    Prompt,
}

impl fmt::Display for DefinitionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InputGuardrail => "input guardrail",
            Self::OutputGuardrail => "output guardrail",
            Self::Prompt => "prompt",
        })
    }
}

impl ConfigError {
    /// Returns the stable kind, which is always [`ErrorKind::Config`].
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Config
    }
}

/// A key that does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownKey {
    /// The key with its path.
    pub key: String,
    /// The known key that is most like it.
    pub nearest: Option<String>,
    /// Where it is set.
    pub origin: Origin,
}

fn list_of(keys: &[UnknownKey], n_more: usize) -> String {
    let one = |unknown: &UnknownKey| {
        let hint = did_you_mean(unknown.nearest.as_deref());
        format!("`{}` ({}{hint})", unknown.key, unknown.origin)
    };
    let list = keys.iter().map(one).collect::<Vec<_>>().join(", ");
    match n_more {
        0 => list,
        n_more => format!("{list}, and {n_more} more"),
    }
}

fn circle(path: &[String]) -> String {
    let names: Vec<String> = path.iter().map(|name| format!("`{name}`")).collect();
    names.join(" -> ")
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest
        .map(|nearest| format!("; did you mean `{nearest}`?"))
        .unwrap_or_default()
}

impl From<ConfigError> for crate::error::Error {
    fn from(error: ConfigError) -> Self {
        Self::new(error.kind(), error)
    }
}
