//! What a tool knows about the call that it answers.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::{ToolError, ToolName};
use crate::context::{MissingState, RunContext, State};
use crate::future::BoxFuture;
use crate::item::{CallItem, History, Item};
use crate::usage::Usage;

/// Tells a tool which call it answers, and gives it access to the run.
///
/// A cheap handle, made by the runner for every call.
///
/// ```
/// use openai_agents::{ToolContext, tool};
///
/// /// Counts what was said so far.
/// #[tool]
/// async fn count_items(cx: &ToolContext) -> usize {
///     cx.progress(format!("call {} of agent {}", cx.call_id(), cx.agent())).await;
///     cx.items().len()
/// }
/// # let _ = count_items;
/// ```
#[derive(Clone)]
pub struct ToolContext {
    inner: Arc<ToolContextInner>,
    /// Whether this is the tool's own, so that state it asks for in vain is what it fails of.
    is_of_tool: bool,
}

/// What the engine gives a call to reach its run by.
pub(crate) trait CallLinks: Send + Sync {
    /// Shows the run what the call has come to.
    fn progress(&self, message: Value) -> BoxFuture<'_, ()>;

    /// The conversation in which the call was made.
    fn items(&self) -> &History;

    /// What the run has the model told of a failure.
    fn failure_text(&self, cx: &ToolContext, error: &ToolError) -> Option<String>;

    /// The engine's own value.
    fn as_any(&self) -> &(dyn Any + Send + Sync);
}

/// What the model wrote, or whoever else calls; it holds nothing of the run.
#[derive(Clone)]
pub(crate) enum CallTexts {
    Own { call_id: String, arguments: String },
    Item(CallItem),
}

impl CallTexts {
    pub(crate) fn call_id(&self) -> &str {
        match self {
            Self::Own { call_id, .. } => call_id,
            Self::Item(call) => &call.call_id,
        }
    }

    pub(crate) fn arguments(&self) -> &str {
        match self {
            Self::Own { arguments, .. } => arguments,
            Self::Item(call) => &call.arguments,
        }
    }
}

struct ToolContextInner {
    run: RunContext,
    agent: Arc<str>,
    tool_name: ToolName,
    call: CallTexts,
    links: Option<Arc<dyn CallLinks>>,
    /// The state that the tool asked for in vain.
    missing: OnceLock<MissingState>,
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
        let call = CallTexts::Own {
            call_id: call_id.into(),
            arguments: arguments.into(),
        };
        Self::with(run, agent.into(), tool_name, call)
    }

    /// Creates the context of a model's call, whose texts are not copied.
    pub(crate) fn of_call(
        run: RunContext,
        agent: Arc<str>,
        tool_name: ToolName,
        call: CallItem,
    ) -> Self {
        Self::with(run, agent, tool_name, CallTexts::Item(call))
    }

    fn with(run: RunContext, agent: Arc<str>, tool_name: ToolName, call: CallTexts) -> Self {
        let inner = Arc::new(ToolContextInner {
            run,
            agent,
            tool_name,
            call,
            links: None,
            missing: OnceLock::new(),
        });
        Self {
            inner,
            is_of_tool: false,
        }
    }

    /// Links a context that nobody has cloned yet to the engine.
    pub(crate) fn linked(mut self, links: Arc<dyn CallLinks>) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.links = Some(links);
        }
        self
    }

    pub(crate) fn links(&self) -> Option<&Arc<dyn CallLinks>> {
        self.inner.links.as_ref()
    }

    /// Reports progress to whoever watches the run, as a [`ToolProgress`](crate::RunEvent::ToolProgress) event.
    ///
    /// The model does not see it. It waits while the watcher is slow to read, and does nothing outside of a run.
    ///
    /// # Cancel safety
    ///
    /// The message of a dropped future may be lost.
    pub async fn progress(&self, message: impl Into<Value>) {
        if let Some(links) = &self.inner.links {
            links.progress(message.into()).await;
        }
    }

    /// Returns the context that the code of the tool gets.
    pub(super) fn for_tool(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            is_of_tool: true,
        }
    }

    /// Finds the application state of a type, which the tool needs.
    ///
    /// If the state is missing and the tool fails, the run ends with an error that names the type. The tool's own error and its options do
    /// not matter then, because the model can do nothing about it. For state that a tool can do without, use
    /// [`optional_state`](Self::optional_state).
    ///
    /// # Errors
    ///
    /// [`MissingState`] when no state of that type was given to the run.
    pub fn state<T: Send + Sync + 'static>(&self) -> Result<&T, MissingState> {
        let found = self.inner.run.state();
        self.note(found.as_ref().err());
        found
    }

    /// Finds the application state of a type, in a form that can be kept.
    ///
    /// So it can outlive the borrow of the context.
    ///
    /// # Errors
    ///
    /// As [`state`](Self::state).
    pub fn shared_state<T: Send + Sync + 'static>(&self) -> Result<State<T>, MissingState> {
        let found = self.inner.run.shared_state();
        self.note(found.as_ref().err());
        found
    }

    fn note(&self, missing: Option<&MissingState>) {
        if let (Some(missing), true) = (missing, self.is_of_tool) {
            // The first one is told.
            self.inner.missing.get_or_init(|| *missing);
        }
    }

    /// Finds the application state of a type, if it was given to the run.
    pub fn optional_state<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.inner.run.state().ok()
    }

    /// The state for want of which the tool failed with this error.
    pub(super) fn missing_state(&self, error: &(dyn Error + 'static)) -> Option<MissingState> {
        let causes = std::iter::successors(Some(error), |&error| error.source());
        let told = causes.filter_map(|error| error.downcast_ref::<MissingState>());
        self.inner.missing.get().or(told.last()).copied()
    }

    /// Returns the usage of the run so far.
    pub fn usage(&self) -> Usage {
        self.inner.run.usage()
    }

    /// Returns the context of the run, for runs and other work that the tool starts.
    pub fn run(&self) -> &RunContext {
        &self.inner.run
    }

    /// Returns the name of the agent whose model called.
    pub fn agent(&self) -> &str {
        &self.inner.agent
    }

    /// Returns the conversation in which the call was made, oldest first.
    ///
    /// The model's calls of this turn are at its end. It is empty outside of a run.
    ///
    /// Nothing is copied. If the server keeps the conversation, these are the items that this run knows.
    pub fn items(&self) -> &[Item] {
        self.inner.links.as_ref().map_or(&[], |links| links.items())
    }

    /// What the run has the model told of a failure, if it has anything.
    pub(super) fn failure_text(&self, error: &ToolError) -> Option<String> {
        self.inner.links.as_ref()?.failure_text(self, error)
    }

    pub(super) fn shared_agent(&self) -> Arc<str> {
        Arc::clone(&self.inner.agent)
    }

    /// Returns the name by which the tool was called.
    pub fn tool_name(&self) -> &ToolName {
        &self.inner.tool_name
    }

    /// Returns the id of the call.
    pub fn call_id(&self) -> &str {
        self.inner.call.call_id()
    }

    /// Returns the arguments as the model wrote them.
    pub fn arguments(&self) -> &str {
        self.inner.call.arguments()
    }

    /// Returns the texts of the call, for whoever keeps them longer than the run goes on.
    pub(crate) fn texts(&self) -> &CallTexts {
        &self.inner.call
    }
}

impl fmt::Debug for ToolContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolContext")
            .field("run", &self.inner.run)
            .field("agent", &self.inner.agent)
            .field("tool_name", &self.inner.tool_name)
            .field("call_id", &self.call_id())
            .field("arguments", &self.arguments())
            .finish_non_exhaustive()
    }
}
