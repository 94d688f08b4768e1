//! The Model Context Protocol: what passes between a client and a server, and the client.
//!
//! [`McpClient`] (feature `mcp-client`) is a server whose tools agents call: a program on this machine ([`Stdio`]) or an address
//! ([`StreamableHttp`]). Its tools become ordinary [`FunctionTool`](crate::FunctionTool)s; its resources and prompts can be read. What the
//! server asks of this side, a model's answer or the user's, goes to the handlers of its builder.
//!
//! A server that does not start, ends or does not answer is an error and a [`McpState`], never a wait without end, and nothing is
//! started or sent twice by itself.
//!
//! To offer agents and tools as a server, see [`server::mcp`](crate::server::mcp) (feature `mcp-server`).
#![cfg_attr(
    not(all(feature = "mcp-client", feature = "mcp-server")),
    expect(
        rustdoc::broken_intra_doc_links,
        reason = "the other side of the protocol is behind the other feature"
    )
)]

mod convert;
mod content;
mod resource;
mod prompt;
mod ask;
mod notice;
#[cfg(feature = "mcp-client")]
mod error;
#[cfg(feature = "mcp-client")]
mod backend;
#[cfg(feature = "mcp-client")]
mod bounded;
#[cfg(feature = "mcp-client")]
mod json;
#[cfg(feature = "mcp-client")]
mod deviations;
#[cfg(feature = "mcp-client")]
mod shape;
#[cfg(feature = "mcp-client")]
mod compare;
#[cfg(feature = "mcp-client")]
mod normal;
#[cfg(feature = "mcp-client")]
mod parse;
#[cfg(feature = "mcp-client")]
mod frames;
#[cfg(feature = "mcp-client")]
pub(crate) mod probe;
#[cfg(test)]
mod tests;
#[cfg(feature = "mcp-client")]
mod lines;
#[cfg(feature = "mcp-client")]
mod resume;
#[cfg(feature = "mcp-client")]
mod events;
#[cfg(feature = "mcp-client")]
mod tokens;
#[cfg(feature = "mcp-client")]
mod auth;
#[cfg(feature = "mcp-client")]
mod transport;
#[cfg(feature = "mcp-client")]
mod options;
#[cfg(feature = "mcp-client")]
mod redaction;
#[cfg(feature = "mcp-client")]
mod call_headers;
#[cfg(feature = "mcp-client")]
mod bridge;
#[cfg(feature = "mcp-client")]
mod spawn;
#[cfg(feature = "mcp-client")]
mod child;
#[cfg(feature = "mcp-client")]
mod start;
#[cfg(feature = "mcp-client")]
mod connection;
#[cfg(feature = "mcp-client")]
mod shared;
#[cfg(feature = "mcp-client")]
mod listing;
#[cfg(feature = "mcp-client")]
mod client;
#[cfg(feature = "mcp-client")]
mod tool;
#[cfg(feature = "mcp-client")]
mod clients;

pub use ask::{
    ElicitationAnswer, ElicitationAsk, ElicitationRequest, McpRefusal, McpRoot, SamplingAnswer,
    SamplingMessage, SamplingRequest,
};
pub use content::{McpContent, McpRole};
pub(crate) use convert::convert;
pub use notice::{McpLog, McpLogLevel, McpProgress};
pub use prompt::{McpMessage, McpPrompt, McpPromptArgument, McpPromptMessages};
pub use resource::{McpResource, McpResourceBody, McpResourceContent, McpResourceTemplate};
#[cfg(feature = "mcp-client")]
pub use {
    auth::OAuth,
    client::{McpClient, McpIdentity, McpState, McpToolResult},
    clients::McpClients,
    error::McpError,
    options::{McpApproval, McpClientBuilder, McpProtocol},
    transport::{McpTransport, Stdio, StreamableHttp},
};
