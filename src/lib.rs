//! Agents that call OpenAI-compatible models, with strict, explicit errors.

mod kind;
mod secret;
mod usage;
pub mod future;
mod memo;
pub mod item;
pub mod schema;
pub mod http;
mod context;
mod limits;
pub mod tools;
pub mod model;
pub mod journal;
pub mod agent;
mod error;
#[cfg(feature = "config")]
pub mod config;
#[cfg(feature = "testing")]
pub mod testing;
#[doc(hidden)]
pub mod __private;

pub use agent::runner::{Input, RunEvent, RunRequest, RunResult, RunStream, Runner, UnknownTool};
pub use agent::{Agent, ToolUse};
pub use context::{MissingState, RunContext, States};
pub use error::{RunError, RunFailure, RunProgress};
pub use item::Item;
pub use kind::ErrorKind;
pub use limits::{LimitReached, Limits};
pub use model::{Model, ModelSettings};
#[cfg(feature = "macros")]
#[doc = include_str!("docs/tool.md")]
pub use openai_agents_macros::tool;
pub use secret::Secret;
pub use tools::{FunctionTool, Tool, ToolContext, ToolOutput, ToolRegistry};
pub use usage::Usage;
