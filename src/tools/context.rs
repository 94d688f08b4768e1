//! What a tool knows about the call that it answers.

use std::sync::Arc;

use super::ToolName;
use crate::context::{MissingState, RunContext};
use crate::usage::Usage;

/// Tells a tool which call it answers, and gives it access to the run.
///
/// A cheap handle, made by the runner for every call.
#[derive(Debug, Clone)]
pub struct ToolContext(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    run: RunContext,
    agent: Arc<str>,
    tool_name: ToolName,
    call_id: String,
    arguments: String,
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
        }))
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
