//! The errors of plugins, and how much of a plugin each one affects.

use std::io;
use std::path::PathBuf;

use crate::mcp::McpError;
use crate::skills::SkillError;
use crate::tools::workspace::WorkspaceError;

/// Says why a folder cannot be a plugin. Nothing of it is used or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// The folder or its `plugin.json` cannot be read.
    #[error("plugin.json cannot be read")]
    Unreadable {
        /// Why not.
        #[source]
        source: Box<WorkspaceError>,
    },
    /// The manifest breaks the specification.
    #[error("plugin.json is wrong: {problem}")]
    Manifest {
        /// What is wrong.
        problem: ManifestError,
    },
    /// A file or folder can be changed by others, or belongs to someone else.
    #[error("{} {problem}", path.display())]
    Exposed {
        /// The file, relative to the plugin.
        path: PathBuf,
        /// The reason.
        problem: &'static str,
    },
    /// The folder is too large or too deep to be hashed.
    ///
    /// So its content cannot be trusted.
    #[error("the folder cannot be hashed: {problem}")]
    Content {
        /// The limit that was exceeded.
        problem: &'static str,
    },
    /// A file was changed while the plugin was loaded.
    #[error("{} changed while it was read", path.display())]
    Changed {
        /// The file, relative to the plugin.
        path: PathBuf,
    },
    /// A file that is a plugin by itself has a name no plugin can have.
    #[error(
        "the name of the file cannot be the name of a plugin; it must be 1 to 64 of a-z, 0-9, - and _"
    )]
    FileName,
    /// A file of the folder cannot be read.
    #[error("{} cannot be read", path.display())]
    File {
        /// The file, relative to the plugin.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Another plugin has the name.
    #[error("the plugin in {} is named `{name}` as well", first.display())]
    Duplicate {
        /// The name.
        name: String,
        /// The folder of the other.
        first: PathBuf,
    },
}

/// Says how a manifest breaks the specification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It is not JSON.
    #[error("line {line} is not JSON")]
    Json {
        /// The line.
        line: usize,
    },
    /// It is not a JSON object.
    #[error("it is not an object")]
    NoObject,
    /// It is written for another version of the specification.
    #[error("it is for version {version} of Agent Plugins; only 1.0.0 is supported")]
    UnsupportedVersion {
        /// The version, or the identifier that names none.
        version: String,
    },
    /// A field is missing or has a wrong value.
    #[error("`{field}` must be {expected}")]
    Field {
        /// The field.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
    },
}

/// Says why the tools of an MCP server of a plugin cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginServerError {
    /// A file that would be started is not the one that was trusted.
    #[error("{} has changed since the plugin was loaded; the server was not started", file.display())]
    Changed {
        /// The file.
        file: PathBuf,
    },
    /// The server cannot be started or reached, or fails.
    #[error(transparent)]
    Server(#[from] McpError),
}

/// Describes a part of a plugin that is not used, while the rest is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginIssue {
    /// The manifest has a field that the specification does not know; it is ignored.
    #[error("plugin.json has the unknown field `{field}`, which is ignored")]
    UnknownField {
        /// The field.
        field: String,
    },
    /// `extensions` is not an object; it is ignored.
    #[error("`extensions` in plugin.json is not an object and is ignored")]
    ExtensionsIgnored,
    /// No skill of the plugin is used.
    #[error("skills cannot be used")]
    Skills {
        /// Why not.
        #[source]
        source: Box<WorkspaceError>,
    },
    /// One skill is not used.
    #[error("the skill `{name}` cannot be used")]
    Skill {
        /// The folder's name.
        name: String,
        /// Why not.
        #[source]
        source: Box<SkillError>,
    },
    /// `mcp.json` cannot be read; no server of the plugin is used.
    #[error("mcp.json cannot be used")]
    ServersUnreadable {
        /// Why not.
        #[source]
        source: Box<WorkspaceError>,
    },
    /// `mcp.json` breaks the specification; no server of the plugin is used.
    #[error("mcp.json cannot be used: {problem}")]
    Servers {
        /// What is wrong.
        problem: String,
    },
    /// One MCP server is not used.
    #[error("the MCP server `{server}` cannot be used: {problem}")]
    Server {
        /// The server.
        server: String,
        /// What is wrong.
        problem: String,
    },
    /// `extension.json` of our own folder cannot be used; no module of the plugin is.
    #[error("extension.json cannot be used: {problem}")]
    Extension {
        /// What is wrong.
        problem: String,
    },
    /// One module is not used.
    #[error("the module `{name}` cannot be used: {problem}")]
    Module {
        /// The module.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// A tool of a module has the name of another tool.
    ///
    /// Only agents that name the module have it.
    #[error(
        "the module `{module}` has the tool `{tool}`, which {owner} has too; only agents that name the module have it"
    )]
    ToolTwice {
        /// The module.
        module: String,
        /// The tool.
        tool: String,
        /// The owner of the other tool: an agent, or `PLUGIN/MODULE`.
        owner: String,
    },
    /// The agents, guardrails and prompts that the plugin defines cannot be used.
    #[error("the definitions cannot be used: {problem}")]
    Definitions {
        /// What is wrong.
        problem: String,
    },
    /// One MCP server has a transport that is not supported.
    #[error(
        "the MCP server `{server}` has the transport `{transport}`, which is not supported; use stdio or streamable-http"
    )]
    Transport {
        /// The server.
        server: String,
        /// The transport.
        transport: String,
    },
}
