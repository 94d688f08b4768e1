//! Agents that call OpenAI-compatible models, with strict, explicit errors.
//!
//! A [`Runner`] holds a [`Model`] and runs an [`Agent`]: instructions and [`tools`]. A run is turns until an end; a turn is one model
//! request and its consequences. [`Runner::run`] gives a [`RunResult`]; [`RunRequest::stream`] gives a [`RunStream`] of [`RunEvent`]s that
//! its caller polls, and that is cancelled by dropping it.
//!
//! Nothing happens that was not asked for: no retry, no fallback, no default address, no telemetry. A failure is a [`RunError`] with a
//! stable [`ErrorKind`], the server's own words, and everything that was done before.
//!
//! # Where things are
//!
//! - [`tool`] turns a plain function into a tool; [`tools`] has the other ways.
//! - [`tools::workspace`] (feature `workspace`, Unix) has tools for the files below one folder.
//! - [`skills`] (feature `skills`, Unix) are folders of instructions that a model reads when a task needs them.
//! - [`model`] has the drivers (feature `http`), what to implement for a model of your own, and what goes around any model:
//!   [`ConcurrencyLimit`](model::ConcurrencyLimit) and [`Retry`](model::Retry).
//! - [`context`] is what the application gives a run, and what tools, guardrails and hooks see of it.
//! - [`error`] says why a run failed and what it had done; [`Error`] is any error of this crate.
//! - [`limits`] bounds runs; [`secret`] takes keys out of what others say.
//! - [`session`] keeps conversations between runs: in memory, in SQLite, Postgres or Redis (features `sqlite`, `postgres`, `redis`),
//!   encrypted if you like (feature `encryption`).
//! - [`journal`] lets a run survive its process (feature `sqlite`), and records runs and plays them back.
//! - [`agent`] says what an agent can be; output schemas that are known at run time only need the feature `schema-validation`.
//! - [`item`] is what passes between user, model and tools.
//! - [`file`](mod@file) reads what a person names: regular files up to a stated size.
//! - [`config`] (feature `config`) reads file, `.env` and environment and wires everything.
//! - [`mcp`] (feature `mcp-client`) calls tools of MCP servers; [`server`] offers agents and tools as one (feature
//!   `mcp-server`), and agents behind the OpenAI API (feature `server`).
//! - [`realtime`] (feature `realtime`) talks with a realtime model: text and audio, tools, interruptions.
//! - [`voice`] (feature `voice`) talks with any agent: speech to text, a run, and its answer spoken sentence by sentence.
//! - [`plugin`] (feature `plugins`, Unix) loads folders in the format of Agent Plugins 1.0, and modules of code in them (features
//!   `plugins-native`, `plugins-wasm`).
//! - [`testing`] (feature `testing`) has a scripted model, a scripted server, and what a session must do, for tests of your own.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(feature = "http"),
    expect(
        dead_code,
        reason = "only the drivers, which need `http`, encode requests and decode answers"
    )
)]

mod kind;
mod error_chain;
pub mod secret;
pub mod usage;
pub mod future;
pub mod file;
mod few;
mod memo;
pub mod item;
pub mod schema;
pub mod http;
pub mod trace;
pub mod limits;
pub mod context;
pub mod tools;
#[cfg(all(feature = "skills", unix))]
pub mod skills;
pub mod model;
pub mod guardrail;
pub mod session;
pub mod journal;
#[cfg(feature = "sqlite")]
mod sqlite;
pub mod agent;
pub mod error;
#[cfg(feature = "realtime")]
pub mod realtime;
#[cfg(any(feature = "mcp-client", feature = "mcp-server"))]
pub mod mcp;
#[cfg(all(feature = "plugins", unix))]
pub mod plugin;
#[cfg(any(feature = "mcp-server", feature = "server"))]
pub mod server;
#[cfg(feature = "voice")]
pub mod voice;
#[cfg(feature = "config")]
pub mod config;
#[cfg(feature = "testing")]
pub mod testing;
#[doc(hidden)]
pub mod __private;

// In the order in which a reader meets them, a blank line between what is met together: an agent and its run, its tools, what else
// it works with, what stands around a run, models, errors. Everything else is by its module.
pub use agent::Agent;
pub use agent::runner::{RunEvent, RunRequest, RunResult, RunStream, Runner};
pub use item::Item;
#[cfg(feature = "macros")]
#[doc = include_str!("docs/tool.md")]
pub use openai_agents_kit_macros::tool;

pub use context::{RunContext, State};
pub use tools::{FunctionTool, Tool, ToolContext, ToolOutput, ToolRegistry};

pub use agent::Handoff;
pub use guardrail::{InputGuardrail, OutputGuardrail, Verdict};

pub use agent::RunState;
pub use context::Cancel;
pub use limits::Limits;
pub use usage::Usage;

pub use model::{Model, ModelSettings};
pub use secret::Secret;

pub use error::{Error, RunError, RunFailure};
pub use kind::ErrorKind;

/// The examples of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The examples of the guide, compiled.
#[cfg(doctest)]
#[doc = include_str!("../docs/guide.md")]
struct Guide;
