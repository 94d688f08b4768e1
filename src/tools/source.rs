//! The trait of what brings tools in from outside.

use std::error::Error;
use std::sync::Arc;

use super::FunctionTool;
use crate::future::BoxFuture;
use crate::kind::ErrorKind;

/// Offers tools that come from outside the program and may change while it runs.
///
/// # Who implements it
///
/// Whatever keeps a connection to a place where tools live: an MCP server, a plugin host. Tools that are known when an agent is built
/// need none of this; they go to the agent directly.
///
/// # Who calls it, and when
///
/// The run asks before every turn, and several runs may ask at once. What it gets is what the model is told of in that turn and
/// what its calls are looked up in.
///
/// # What it may do
///
/// Answer from a cache while nothing changed: the answer is then the *same* [`Arc`], so that a caller sees by
/// [`Arc::ptr_eq`] that whatever it made of the tools is still good. It may await when something did change, within a time-out
/// of its own: a run waits for it. It starts nothing that was not started before, and repeats no request that failed.
///
/// # What an error means
///
/// That the tools cannot be had now. The run decides what follows; an outdated list is never passed off as the present one.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
///
/// use openai_agents::FunctionTool;
/// use openai_agents::future::BoxFuture;
/// use openai_agents::tools::{ToolSource, ToolSourceError};
///
/// /// Tools that are loaded once and never change.
/// struct Bundle {
///     tools: Arc<[FunctionTool]>,
/// }
///
/// impl ToolSource for Bundle {
///     fn name(&self) -> &str {
///         "bundle"
///     }
///
///     fn tools(&self) -> BoxFuture<'_, Result<Arc<[FunctionTool]>, ToolSourceError>> {
///         Box::pin(async { Ok(Arc::clone(&self.tools)) })
///     }
/// }
/// ```
pub trait ToolSource: Send + Sync {
    /// Returns the name of the source, for messages.
    fn name(&self) -> &str;

    /// Returns the tools that can be called now.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any time, since the run it serves may be cancelled; the next call begins anew.
    fn tools(&self) -> BoxFuture<'_, Result<Arc<[FunctionTool]>, ToolSourceError>>;
}

/// Says that the tools of a source cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("the tools of `{source_name}` cannot be listed")]
pub struct ToolSourceError {
    source_name: String,
    kind: ErrorKind,
    source: Box<dyn Error + Send + Sync>,
}

impl ToolSourceError {
    /// Says which source failed, how by a stable name, and why.
    pub fn new(
        source_name: impl Into<String>,
        kind: ErrorKind,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self {
            source_name: source_name.into(),
            kind,
            source: source.into(),
        }
    }

    /// Returns the stable kind.
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns the name of the source.
    pub fn source_name(&self) -> &str {
        &self.source_name
    }
}
