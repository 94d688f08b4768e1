//! Surfaces: agents and tools, served to other programs.
//!
//! `Server` (feature `server`) puts agents behind the OpenAI API and runs them as a service; `mcp` (feature
//! `mcp-server`) offers agents and tools as an MCP server, alone or as a part of it.
#![cfg_attr(feature = "server", doc = include_str!("../docs/server.md"))]

#[cfg(feature = "mcp-server")]
pub mod mcp;
#[cfg(any(feature = "server", feature = "mcp-server"))]
mod allowed_hosts;
#[cfg(feature = "server")]
mod token;
#[cfg(feature = "server")]
mod in_flight;
#[cfg(feature = "server")]
mod body;
#[cfg(feature = "server")]
mod cors;
#[cfg(feature = "server")]
mod guard;
#[cfg(feature = "server")]
mod active;
#[cfg(feature = "server")]
mod builder;
#[cfg(feature = "server")]
mod error;
#[cfg(feature = "server")]
mod fields;
#[cfg(feature = "server")]
mod catalog;
#[cfg(feature = "server")]
mod reload;
#[cfg(feature = "server")]
mod state;
mod id;
mod kept;
#[cfg(feature = "server")]
mod metrics;
#[cfg(feature = "server")]
mod model_metrics;
#[cfg(feature = "server")]
mod agents;
#[cfg(feature = "server")]
mod page;
#[cfg(feature = "server")]
mod ui;
#[cfg(feature = "server")]
mod openai;
#[cfg(all(feature = "server", feature = "realtime"))]
mod realtime;
#[cfg(feature = "server")]
mod openapi;
#[cfg(feature = "server")]
mod comments;
#[cfg(feature = "server")]
mod reply;
#[cfg(feature = "server")]
mod router;
#[cfg(all(feature = "server", feature = "sqlite"))]
mod traces;
#[cfg(feature = "server")]
mod connections;
#[cfg(feature = "server")]
mod serve;
#[cfg(feature = "server")]
mod service;
mod sessions;

#[cfg(feature = "server")]
use state::AppState;
#[cfg(feature = "server")]
pub use {
    builder::{ServerBuildError, ServerBuilder, ToolItems},
    reload::Reloaded,
    serve::ServeError,
    state::Server,
};
