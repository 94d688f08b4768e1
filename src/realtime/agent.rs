//! Who speaks in a realtime session: instructions, tools, handoffs and guardrails; plain data.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, json};

use super::RealtimeError;
use crate::agent::{describe_handoff, function_name};
use crate::context::RunContext;
use crate::error::error_chain;
use crate::future::{BoxError, BoxFuture};
use crate::guardrail::OutputGuardrail;
use crate::kind::ErrorKind;
use crate::model::ModelError;
use crate::tools::{
    FunctionTool, IntoTool, ToolContext, ToolDefinitionError, ToolOptions, ToolRegistry,
    ToolSource, ToolSpec,
};

/// An agent of a realtime session; cheap to clone.
///
/// It has no model of its own: the session's model speaks for all its agents, in one voice.
///
/// ```
/// use openai_agents::realtime::RealtimeAgent;
///
/// let billing = RealtimeAgent::builder("Billing").instructions("Knows invoices.").build()?;
/// let clerk = RealtimeAgent::builder("Clerk").instructions("Be brief.").handoff(&billing).build()?;
/// assert_eq!(clerk.name(), "Clerk");
/// # Ok::<(), openai_agents::realtime::RealtimeError>(())
/// ```
#[derive(Clone)]
pub struct RealtimeAgent(Arc<RealtimeAgentParts>);

/// An agent that begins to speak: what it is told, and with the tools that its sources have now.
#[derive(Debug, Clone)]
pub(super) struct Briefing {
    pub(super) agent: RealtimeAgent,
    pub(super) instructions: Option<Arc<str>>,
}

#[derive(Clone)]
struct RealtimeAgentParts {
    name: Arc<str>,
    handoff_description: Option<String>,
    instructions: Option<Instructions>,
    /// Those of the agent itself.
    own_tools: ToolRegistry,
    /// The same, and behind them what the sources gave when the agent began to speak.
    tools: ToolRegistry,
    sources: Vec<Arc<dyn ToolSource>>,
    handoffs: Vec<Handoff>,
    output_guardrails: Vec<OutputGuardrail>,
}

#[derive(Clone)]
enum Instructions {
    Fixed(Arc<str>),
    Computed(Arc<Compute>),
}

type Compute =
    dyn Fn(RunContext, RealtimeAgent) -> BoxFuture<'static, Result<String, BoxError>> + Send + Sync;

/// An agent that another agent can give the conversation to, as its agent holds it.
#[derive(Clone)]
pub(super) struct Handoff {
    pub(super) target: Target,
    /// What the model is told, and what tells the application.
    pub(super) tool: FunctionTool,
}

#[derive(Clone)]
pub(super) enum Target {
    Agent(RealtimeAgent),
    Name(Arc<str>),
}

/// A handoff with options of its own; begun by [`to`](Self::to) or [`to_name`](Self::to_name).
///
/// The model sees it as a tool named `transfer_to_` and the agent's name. The conversation stays where it is: the server has it.
#[derive(Clone)]
pub struct RealtimeHandoff {
    target: Target,
    tool_name: Option<String>,
    description: Option<String>,
    callback: Option<Arc<Callback>>,
}

type Callback = dyn Fn(ToolContext) -> BoxFuture<'static, Result<(), BoxError>> + Send + Sync;

/// Builds a [`RealtimeAgent`]; begun by [`RealtimeAgent::builder`].
#[must_use = "an agent is made by build()"]
pub struct RealtimeAgentBuilder {
    name: String,
    handoff_description: Option<String>,
    instructions: Option<Instructions>,
    tools: ToolRegistry,
    sources: Vec<Arc<dyn ToolSource>>,
    handoffs: Vec<RealtimeHandoff>,
    output_guardrails: Vec<OutputGuardrail>,
    error: Option<ToolDefinitionError>,
}

impl RealtimeAgent {
    /// Begins an agent of this name.
    pub fn builder(name: impl Into<String>) -> RealtimeAgentBuilder {
        RealtimeAgentBuilder {
            name: name.into(),
            handoff_description: None,
            instructions: None,
            tools: ToolRegistry::new(),
            sources: Vec::new(),
            handoffs: Vec::new(),
            output_guardrails: Vec::new(),
            error: None,
        }
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns the tools.
    pub fn tools(&self) -> &ToolRegistry {
        &self.0.tools
    }

    /// Returns the names of the agents that this one can hand off to, in order.
    pub fn handoffs(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.handoffs.iter().map(|handoff| handoff.target.name())
    }

    pub(super) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.0.name)
    }

    pub(super) fn output_guardrails(&self) -> &[OutputGuardrail] {
        &self.0.output_guardrails
    }

    pub(super) fn bound_handoffs(&self) -> &[Handoff] {
        &self.0.handoffs
    }

    pub(super) fn handoff(&self, tool: &str) -> Option<&Handoff> {
        let mut handoffs = self.0.handoffs.iter();
        handoffs.find(|handoff| handoff.tool.name().as_str() == tool)
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Describes what the model can call: the tools that are enabled, and the handoffs.
    pub(super) fn specs(&self, cx: &RunContext) -> Arc<[ToolSpec]> {
        let handoffs = self.0.handoffs.iter().map(|handoff| &handoff.tool);
        let tools = self.0.tools.iter().chain(handoffs);
        let enabled = tools.filter(|tool| tool.is_enabled(cx));
        enabled.map(|tool| tool.spec().clone()).collect()
    }

    /// Finds out what the agent is told and which tools its sources have.
    ///
    /// # Errors
    ///
    /// Why the instructions could not be computed, or the tools not be had.
    pub(super) async fn brief(&self, cx: &RunContext) -> Result<Briefing, ModelError> {
        Ok(Briefing {
            agent: self.with_tools_of_sources().await?,
            instructions: self.instructions(cx).await?,
        })
    }

    async fn instructions(&self, cx: &RunContext) -> Result<Option<Arc<str>>, ModelError> {
        match &self.0.instructions {
            None => Ok(None),
            Some(Instructions::Fixed(text)) => Ok(Some(Arc::clone(text))),
            Some(Instructions::Computed(compute)) => {
                let text = compute(cx.clone(), self.clone()).await.map_err(|source| {
                    let name = self.name();
                    let message = format!(
                        "the instructions of agent `{name}` could not be computed: {source}"
                    );
                    ModelError::new(ErrorKind::CallbackFailed, message)
                })?;
                Ok(Some(text.into()))
            }
        }
    }

    async fn with_tools_of_sources(&self) -> Result<Self, ModelError> {
        if self.0.sources.is_empty() {
            return Ok(self.clone());
        }
        let mut tools = self.0.own_tools.clone();
        for source in &self.0.sources {
            let listed = source.tools().await.map_err(|error| {
                let message = format!("agent `{}`: {}", self.name(), error_chain(&error));
                ModelError::new(error.kind(), message)
            })?;
            for tool in &*listed {
                let name = tool.name().as_str();
                let is_taken = self.handoff(name).is_some();
                let registered = tools.register(tool.clone()).map(|_| ());
                let mistake = match registered {
                    Ok(()) if is_taken => format!("a handoff is named `{name}` too"),
                    Ok(()) => continue,
                    Err(error) => error.to_string(),
                };
                let (agent, source) = (self.name(), source.name());
                let message =
                    format!("agent `{agent}` cannot have the tools of `{source}`: {mistake}");
                return Err(ModelError::new(ErrorKind::Config, message));
            }
        }
        let mut parts = (*self.0).clone();
        parts.tools = tools;
        Ok(Self(Arc::new(parts)))
    }
}

impl RealtimeAgentBuilder {
    /// Sets what the model is told before the conversation.
    pub fn instructions(mut self, text: impl Into<Arc<str>>) -> Self {
        self.instructions = Some(Instructions::Fixed(text.into()));
        self
    }

    /// Computes the instructions when the agent begins to speak in a session.
    ///
    /// That is at the session's start, or at a handoff.
    pub fn instructions_with<F, R, E>(mut self, compute: F) -> Self
    where
        F: Fn(RunContext, RealtimeAgent) -> R + Send + Sync + 'static,
        R: Future<Output = Result<String, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.instructions = Some(Instructions::Computed(Arc::new(move |cx, agent| {
            let text = compute(cx, agent);
            Box::pin(async move { text.await.map_err(Into::into) })
        })));
        self
    }

    /// Says to other agents' models when to hand off to this one.
    pub fn handoff_description(mut self, description: impl Into<String>) -> Self {
        self.handoff_description = Some(description.into());
        self
    }

    /// Adds a tool.
    pub fn tool(mut self, tool: impl IntoTool) -> Self {
        if let Err(error) = self.tools.register(tool) {
            self.error.get_or_insert(error);
        }
        self
    }

    /// Adds tools that come from outside and may change, such as those of MCP servers.
    ///
    /// They are asked for when the agent begins to speak in a session: at its start, at a handoff, and when a lost connection stands again.
    pub fn tool_source(self, source: impl ToolSource + 'static) -> Self {
        self.shared_tool_source(Arc::new(source))
    }

    pub(crate) fn shared_tool_source(mut self, source: Arc<dyn ToolSource>) -> Self {
        self.sources.push(source);
        self
    }

    /// Adds an agent that this one can hand off to.
    pub fn handoff(mut self, handoff: impl Into<RealtimeHandoff>) -> Self {
        self.handoffs.push(handoff.into());
        self
    }

    /// Adds a guardrail on what the agent says.
    ///
    /// It is asked while the model speaks, about the words so far, and about all of them at their end. If it trips, the audio stops,
    /// what waits to be played is cleared, and the model is asked for one correction.
    pub fn output_guardrail(mut self, guardrail: OutputGuardrail) -> Self {
        self.output_guardrails.push(guardrail);
        self
    }

    /// Makes the agent.
    ///
    /// # Errors
    ///
    /// [`RealtimeError::Tool`] if a tool or a handoff cannot be offered to a model, or two have one name.
    pub fn build(self) -> Result<RealtimeAgent, RealtimeError> {
        if let Some(source) = self.error {
            return Err(RealtimeError::Tool { source });
        }
        let mut names = self.tools.clone();
        let mut handoffs = Vec::with_capacity(self.handoffs.len());
        for handoff in self.handoffs {
            let handoff = handoff.bind()?;
            names.register(handoff.tool.clone())?;
            handoffs.push(handoff);
        }
        Ok(RealtimeAgent(Arc::new(RealtimeAgentParts {
            name: self.name.into(),
            handoff_description: self.handoff_description,
            instructions: self.instructions,
            tools: self.tools.clone(),
            own_tools: self.tools,
            sources: self.sources,
            handoffs,
            output_guardrails: self.output_guardrails,
        })))
    }
}

impl RealtimeHandoff {
    /// Hands off to this agent.
    pub fn to(agent: &RealtimeAgent) -> Self {
        Self::new(Target::Agent(agent.clone()))
    }

    /// Hands off to the agent of this name.
    ///
    /// The agent is found when a session begins, so agents can hand off to each other.
    pub fn to_name(agent: impl Into<Arc<str>>) -> Self {
        Self::new(Target::Name(agent.into()))
    }

    const fn new(target: Target) -> Self {
        Self {
            target,
            tool_name: None,
            description: None,
            callback: None,
        }
    }

    /// Names the tool that the model sees, in place of `transfer_to_` and the agent's name.
    #[must_use]
    pub fn tool_name(mut self, name: impl Into<String>) -> Self {
        self.tool_name = Some(name.into());
        self
    }

    /// Says to the model when to hand off, in place of the usual sentence.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Calls a function when the handoff happens.
    ///
    /// If it fails, the model is told so and the agent stays.
    #[must_use]
    pub fn on_handoff<F, R, E>(mut self, function: F) -> Self
    where
        F: Fn(ToolContext) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.callback = Some(Arc::new(move |cx| {
            let called = function(cx);
            Box::pin(async move { called.await.map_err(Into::into) })
        }));
        self
    }

    fn bind(self) -> Result<Handoff, ToolDefinitionError> {
        let agent = self.target.name();
        let name = match self.tool_name {
            Some(name) => name,
            None => format!("transfer_to_{}", function_name(agent)),
        };
        let own = match &self.target {
            Target::Agent(agent) => agent.0.handoff_description.as_deref(),
            Target::Name(_) => None,
        };
        let description = match self.description {
            Some(description) => description,
            None => describe_handoff(agent, own),
        };
        let no_arguments = json!({ "type": "object", "properties": {} });
        let callback = self.callback;
        let call = move |cx: ToolContext, _: Map<String, serde_json::Value>| {
            let called = callback.as_ref().map(|callback| callback(cx));
            async move {
                match called {
                    Some(called) => called.await,
                    None => Ok(()),
                }
            }
        };
        let options = ToolOptions::default();
        let tool = FunctionTool::dynamic(name, description, no_arguments, options, call)?;
        Ok(Handoff {
            target: self.target,
            tool,
        })
    }
}

impl Target {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Agent(agent) => agent.name(),
            Self::Name(name) => name,
        }
    }
}

impl From<&RealtimeAgent> for RealtimeHandoff {
    fn from(agent: &RealtimeAgent) -> Self {
        Self::to(agent)
    }
}

impl fmt::Debug for RealtimeAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tools = self.0.tools.specs().map(|spec| &spec.name);
        f.debug_struct("RealtimeAgent")
            .field("name", &self.0.name)
            .field("tools", &tools.collect::<Vec<_>>())
            .field("handoffs", &self.handoffs().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RealtimeAgentBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RealtimeAgentBuilder")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RealtimeHandoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RealtimeHandoff")
            .field("to", &self.target.name())
            .finish_non_exhaustive()
    }
}
