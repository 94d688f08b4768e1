//! Tools: what a model can ask the application to do.
//!
//! The shortest way to one is `#[tool]` on a plain function. By hand there are [`Tool`], for a type that carries its own
//! resources; [`FunctionTool::new`], for a closure; and [`FunctionTool::dynamic`], for a schema that is known at run time only.
//! All of them end as a [`FunctionTool`], which is what registries, agents and runs hold.

mod traits;
mod function;
mod handler;
mod invocation;
mod arguments;
mod plain;
mod shapes;
mod optional_nulls;
mod unknown;
mod registry;
mod identity;
mod context;
mod output;
mod content;
mod spec;
mod source;
mod hosted;
mod name;
mod options;
mod policy;
mod deferral;
mod search;
mod guardrail;
mod error;
mod text;
mod blocking;
#[cfg(any(
    feature = "bundled-tools",
    feature = "http",
    feature = "sqlite",
    all(feature = "workspace", unix)
))]
mod constant;
#[cfg(feature = "bundled-tools")]
pub mod bundled;
#[cfg(feature = "http")]
pub mod fetch_url;
#[cfg(feature = "sqlite")]
pub mod sqlite_query;
#[cfg(feature = "openapi")]
pub mod openapi;
#[cfg(all(feature = "workspace", unix))]
pub mod workspace;
#[cfg(test)]
mod tests;

pub use blocking::blocking;
pub use content::{FileSource, ImageDetail, ImageSource, ToolContent};
pub use context::ToolContext;
pub(crate) use context::{CallLinks, CallTexts};
pub use deferral::ToolNamespace;
pub(crate) use deferral::{DeferralRule, SEARCH_TOOL, ToolSearch, search_spec};
pub use error::{ToolDefinitionError, ToolError, ToolOutputError};
pub use function::FunctionTool;
pub use guardrail::{GuardedCall, ToolGuardrail, ToolVerdict};
pub(crate) use handler::Fault;
pub use hosted::{HostedTool, McpApprovalRequest};
pub(crate) use identity::ToolIdentity;
pub use invocation::ToolCallResult;
#[cfg(any(feature = "mcp-server", feature = "realtime"))]
pub(crate) use invocation::Unobserved;
pub(crate) use invocation::{Approval, CallObserver, NOT_APPROVED, ToolCall};
pub use name::{ToolName, ToolNameError};
pub use options::{ToolFailure, ToolOptions};
pub use output::{IntoToolOutput, ToolOutput};
pub use policy::ToolOffer;
pub use registry::ToolRegistry;
pub(crate) use search::search;
pub use source::{ToolSource, ToolSourceError};
pub use spec::ToolSpec;
pub use traits::{IntoTool, IntoTools, Tool};
