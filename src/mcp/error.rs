//! What can go wrong with an MCP server.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::kind::ErrorKind;
use crate::tools::{ToolName, ToolSourceError};

type Cause = Arc<dyn Error + Send + Sync>;

/// Says what went wrong with an MCP server.
///
/// Every message names the server. What the server itself said is kept word for word, without the secrets that it was sent.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum McpError {
    /// An option cannot be used.
    #[error("MCP server `{server}`: {reason}")]
    Option {
        /// The server.
        server: String,
        /// What is wrong, and with which option.
        reason: String,
    },
    /// Two servers have one name.
    #[error("two MCP servers are named `{server}`")]
    DuplicateServer {
        /// The name.
        server: String,
    },
    /// The program of the server cannot be started.
    #[error("MCP server `{server}`: `{program}` cannot be started{hint}")]
    Spawn {
        /// The server.
        server: String,
        /// The program.
        program: String,
        /// What is missing, if that is known: the program, or its directory.
        hint: String,
        /// Why.
        source: Arc<io::Error>,
    },
    /// The server cannot be reached, or does not speak the protocol.
    #[error("MCP server `{server}` did not start: {reason}{}", tail(.stderr.as_deref()))]
    Connect {
        /// The server.
        server: String,
        /// What happened.
        reason: String,
        /// What it last wrote to its standard error output.
        stderr: Option<String>,
    },
    /// The server was not ready within the connect time-out.
    #[error("MCP server `{server}` was not ready within {after:?}{}", tail(.stderr.as_deref()))]
    ConnectTimeout {
        /// The server.
        server: String,
        /// The time-out.
        after: Duration,
        /// What it last wrote to its standard error output.
        stderr: Option<String>,
    },
    /// The server is not connected.
    #[error("MCP server `{server}` is not connected: {reason}")]
    NotConnected {
        /// The server.
        server: String,
        /// Its state.
        reason: String,
    },
    /// The connection ended: the process died, or the server closed it.
    #[error("MCP server `{server}` ended{}{}", how(.end.as_deref()), tail(.stderr.as_deref()))]
    Ended {
        /// The server.
        server: String,
        /// How its process ended, such as `with exit status 1`, if it did.
        end: Option<String>,
        /// What it last wrote to its standard error output.
        stderr: Option<String>,
    },
    /// The server did not answer in time.
    ///
    /// It was told that the answer is no longer wanted.
    #[error("MCP server `{server}` did not answer `{method}` within {after:?}")]
    Timeout {
        /// The server.
        server: String,
        /// The method that was called.
        method: &'static str,
        /// The time-out.
        after: Duration,
    },
    /// The server answered with an error of the protocol.
    #[error("MCP server `{server}` refused `{method}`: {message} (code {code})")]
    Refused {
        /// The server.
        server: String,
        /// The method that was called.
        method: &'static str,
        /// The error's code.
        code: i32,
        /// The server's words.
        message: String,
        /// What the server added.
        data: Option<Box<Value>>,
    },
    /// The request could not be sent, or its answer not be received.
    #[error("MCP server `{server}`: `{method}` failed")]
    Transport {
        /// The server.
        server: String,
        /// The method that was called.
        method: &'static str,
        /// Why.
        source: Cause,
    },
    /// The server answered with something else than the protocol asks for.
    #[error("MCP server `{server}` answered `{method}` with {found}")]
    Unexpected {
        /// The server.
        server: String,
        /// The method that was called.
        method: &'static str,
        /// What it answered.
        found: String,
    },
    /// The server asks for authorization, and none was set up or it was refused.
    #[error("MCP server `{server}` asks for authorization: {reason}")]
    Unauthorized {
        /// The server.
        server: String,
        /// The server's challenge, or what went wrong with the authorization.
        reason: String,
    },
    /// What the application adds to a call could not be had.
    ///
    /// The call was not sent.
    #[error("MCP server `{server}`: the {what} of a call cannot be had")]
    Callback {
        /// The server.
        server: String,
        /// What was asked for: `headers` or `_meta`.
        what: &'static str,
        /// Why.
        source: Cause,
    },
    /// The server lists more than is taken.
    #[error("MCP server `{server}` lists more than {max} {what}")]
    ListTooLong {
        /// The server.
        server: String,
        /// What is listed.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// None of the tools that the server lists can be offered to a model.
    ///
    /// If others can, those that cannot are left out.
    ///
    /// A name that models cannot take is changed into one that they can by `prefix_tools`; a tool is left out in silence by
    /// `block_tools`.
    #[error("MCP server `{server}` has no tool that a model can be offered: {}", reasons(.tools))]
    NoUsableTool {
        /// The server.
        server: String,
        /// The tools, as the server names them, and what is wrong with each.
        tools: Vec<(String, String)>,
    },
    /// Two tools have one name; `prefix_tools` on one of the servers tells them apart.
    #[error("the MCP servers `{first}` and `{second}` both have a tool `{tool}`")]
    NameClash {
        /// The name.
        tool: ToolName,
        /// The server that comes first.
        first: String,
        /// The other server.
        second: String,
    },
}

impl McpError {
    /// Returns the stable kind, always [`ErrorKind::Mcp`].
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Mcp
    }

    /// What another library said, as text: its errors may hold what the server was trusted with.
    pub(super) fn cause(words: String) -> Cause {
        Arc::from(Box::<dyn Error + Send + Sync>::from(words))
    }

    pub(super) fn into_source_error(self, name: &str) -> ToolSourceError {
        ToolSourceError::new(name, self.kind(), self)
    }
}

fn how(end: Option<&str>) -> String {
    end.map_or_else(String::new, |end| format!(" {end}"))
}

fn reasons(tools: &[(String, String)]) -> String {
    let reasons: Vec<_> = tools
        .iter()
        .map(|(tool, reason)| format!("`{tool}`: {reason}"))
        .collect();
    reasons.join("; ")
}

/// Closes a message with what a server wrote, if it wrote anything.
fn tail(stderr: Option<&str>) -> String {
    match stderr {
        None | Some("") => String::new(),
        Some(text) => format!("; it wrote: {text}"),
    }
}

impl From<McpError> for crate::error::Error {
    fn from(error: McpError) -> Self {
        Self::new(error.kind(), error)
    }
}
