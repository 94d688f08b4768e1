//! Agents that call OpenAI-compatible models, with strict, explicit errors.

mod kind;
mod secret;
mod usage;
pub mod future;
pub mod schema;
mod context;
pub mod tools;
#[doc(hidden)]
pub mod __private;

pub use context::{MissingState, RunContext, States};
pub use kind::ErrorKind;
#[cfg(feature = "macros")]
#[doc = include_str!("docs/tool.md")]
pub use openai_agents_macros::tool;
pub use secret::Secret;
pub use tools::{FunctionTool, Tool, ToolContext, ToolOutput, ToolRegistry};
pub use usage::Usage;
