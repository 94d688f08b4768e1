//! What a tool knows about the call that it answers.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::ToolName;
use crate::context::{MissingState, RunContext};
use crate::future::BoxFuture;
use crate::usage::Usage;

/// Tells a tool which call it answers, and gives it access to the run.
///
/// A cheap handle, made by the runner for every call.
#[derive(Clone)]
pub struct ToolContext(Arc<Inner>);

/// What the engine gives a call to reach its run by.
pub(crate) trait CallLinks: Send + Sync {
    /// Shows the run what the call has come to.
    fn progress(&self, message: Value) -> BoxFuture<'_, ()>;

    /// The engine's own value.
    fn as_any(&self) -> &(dyn Any + Send + Sync);
}

struct Inner {
    run: RunContext,
    agent: Arc<str>,
    tool_name: ToolName,
    call_id: String,
    arguments: String,
    links: Option<Arc<dyn CallLinks>>,
}

impl ToolContext {
    /// Creates the context of one call.
    pub fn new(
        run: RunContext,
        agent: impl Into<Arc<str>>,
        tool_name: ToolName,
        call_id: impl Into<String>,
        arguments: impl Into<String>,
    ) -> Self {
        Self(Arc::new(Inner {
            run,
            agent: agent.into(),
            tool_name,
            call_id: call_id.into(),
            arguments: arguments.into(),
            links: None,
        }))
    }

    /// Links a context that nobody has cloned yet to the engine.
    pub(crate) fn linked(mut self, links: Arc<dyn CallLinks>) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            inner.links = Some(links);
        }
        self
    }

    pub(crate) fn links(&self) -> Option<&Arc<dyn CallLinks>> {
        self.0.links.as_ref()
    }

    /// Shows whoever watches the run what the call has come to, as a [`ToolProgress`](crate::RunEvent::ToolProgress) event.
    ///
    /// The model sees nothing of it. It waits while the watcher reads slowly; outside of a run it does nothing.
    ///
    /// # Cancel safety
    ///
    /// The message of a dropped future may be lost.
    pub async fn progress(&self, message: impl Into<Value>) {
        if let Some(links) = &self.0.links {
            links.progress(message.into()).await;
        }
    }

    /// Finds the application state of a type.
    ///
    /// # Errors
    ///
    /// [`MissingState`] when no state of that type was given to the run.
    pub fn state<T: Send + Sync + 'static>(&self) -> Result<&T, MissingState> {
        self.0.run.state()
    }

    /// Gives the usage of the run so far.
    pub fn usage(&self) -> Usage {
        self.0.run.usage()
    }

    /// Gives the context of the run, for what the tool starts itself.
    pub fn run(&self) -> &RunContext {
        &self.0.run
    }

    /// Gives the name of the agent whose model called.
    pub fn agent(&self) -> &str {
        &self.0.agent
    }

    /// Gives the name by which the tool was called.
    pub fn tool_name(&self) -> &ToolName {
        &self.0.tool_name
    }

    /// Gives the id of the call.
    pub fn call_id(&self) -> &str {
        &self.0.call_id
    }

    /// Gives the arguments as the model wrote them.
    pub fn arguments(&self) -> &str {
        &self.0.arguments
    }
}

impl fmt::Debug for ToolContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolContext")
            .field("run", &self.0.run)
            .field("agent", &self.0.agent)
            .field("tool_name", &self.0.tool_name)
            .field("call_id", &self.0.call_id)
            .field("arguments", &self.0.arguments)
            .finish_non_exhaustive()
    }
}
