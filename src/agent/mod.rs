//! Agents: who answers, with what instructions and tools, and whom they hand off to.

mod traits;
mod instructions;
mod handoff;
mod handoff_filter;
mod output;
mod partial;
mod trim;
mod run_state;
mod offer;
mod builder;
#[cfg(feature = "server")]
mod served;
pub mod runner;

use std::fmt;
use std::sync::Arc;

pub use builder::{AgentBuilder, AgentError};
pub use handoff::Handoff;
#[cfg(feature = "realtime")]
pub(crate) use handoff::describe_handoff;
#[cfg(feature = "testing")]
pub(crate) use handoff::handoff_name;
pub(crate) use handoff::{BoundHandoff, Target, function_name};
pub use handoff_filter::{HANDOFF_PROMPT, HandoffFilter, HandoffHistory};
pub(crate) use instructions::Instructions;
pub use instructions::{ModelInput, ModelInputFilter};
pub(crate) use output::read as read_output;
pub use output::{OutputError, OutputMode, OutputType};
pub use partial::PartialOutput;
#[cfg(feature = "seal")]
pub use run_state::StateKey;
pub use run_state::{Interruption, RunState, StateError};
#[cfg(feature = "server")]
pub(crate) use served::ChoiceHolds;
pub(crate) use traits::{DynHooks, HookFuture};
pub use traits::{HookResult, Hooks, RunEnd};
pub use trim::TrimToolOutputs;

use crate::context::{RunContext, StateType};
use crate::future::{BoxError, BoxFuture, IntoOutcome};
use crate::guardrail::{InputGuardrail, OutputGuardrail};
use crate::item::BuiltInTool;
use crate::limits::Limits;
use crate::model::{Model, ModelSettings, Prompt, ToolSet};
use crate::tools::{DeferralRule, FunctionTool, HostedTool, ToolRegistry, ToolSource};

/// An agent: instructions, tools, and how it uses them; plain data, cheap to clone.
///
/// ```
/// use openai_agents::Agent;
///
/// let agent = Agent::builder("Guide").instructions("Answer in one sentence.").build()?;
/// assert_eq!(agent.name(), "Guide");
/// # Ok::<(), openai_agents::agent::AgentError>(())
/// ```
#[derive(Clone)]
pub struct Agent(Arc<AgentParts>);

#[derive(Clone)]
struct AgentParts {
    name: Arc<str>,
    handoff_description: Option<String>,
    instructions: Option<Instructions>,
    prompt: Option<Arc<Prompt>>,
    model: Option<AgentModel>,
    settings: Arc<ModelSettings>,
    limits: Option<Limits>,
    tools: ToolRegistry,
    hosted: Vec<HostedTool>,
    sources: Vec<Arc<dyn ToolSource>>,
    handoffs: Vec<BoundHandoff>,
    input_guardrails: Vec<InputGuardrail>,
    output_guardrails: Vec<OutputGuardrail>,
    hooks: Vec<Arc<dyn DynHooks>>,
    /// What the model is told of all tools; encoded once. Nothing if an agent to hand off to has to be found first.
    tool_set: Option<Arc<ToolSet>>,
    tool_use_behavior: ToolUseBehavior,
    output: Option<OutputType>,
    keeps_tool_choice: bool,
    /// Which tools the model has to look for, and how.
    deferral: DeferralRule,
}

/// The model that was chosen for an agent or a run.
#[derive(Clone)]
pub(crate) enum AgentModel {
    Model(Arc<dyn Model>),
    /// To be found by the providers of the run.
    Named(Arc<str>),
}

/// What happens after an agent's tools gave their outputs.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum ToolUseBehavior {
    /// The model sees the outputs and goes on.
    #[default]
    RunAgain,
    /// The output of the first tool call is the final output.
    StopOnFirstTool,
    /// The output of the first call of one of these tools is the final output.
    ///
    /// Otherwise the model goes on.
    StopAtTools(Vec<String>),
    /// The function decides; made by [`custom`](Self::custom).
    Custom(ToolUseFn),
}

/// Decides whether a turn's tool results end the run.
pub type ToolUseFn = Arc<
    dyn Fn(RunContext, Arc<[ToolResult]>) -> BoxFuture<'static, Result<Option<String>, BoxError>>
        + Send
        + Sync,
>;

impl ToolUseBehavior {
    /// Lets an asynchronous function decide.
    ///
    /// The function gives `Some` as the final output, or `None` to show the outputs to the model.
    ///
    /// Its error ends the run with the error `callback_failed`.
    ///
    /// ```
    /// use openai_agents::Agent;
    /// use openai_agents::agent::ToolUseBehavior;
    ///
    /// let until_found = ToolUseBehavior::custom(async |_cx, results| {
    ///     let found = results.iter().find(|result| result.failure.is_none());
    ///     found.map(|result| result.output.clone())
    /// });
    /// let agent = Agent::builder("Searcher").tool_use_behavior(until_found).build()?;
    /// # let _ = agent;
    /// # Ok::<(), openai_agents::agent::AgentError>(())
    /// ```
    pub fn custom<F, R>(decide: F) -> Self
    where
        F: Fn(RunContext, Arc<[ToolResult]>) -> R + Send + Sync + 'static,
        R: Future<Output: IntoOutcome<Option<String>>> + Send + 'static,
    {
        Self::Custom(Arc::new(move |cx, results| {
            let output = decide(cx, results);
            Box::pin(async move { output.await.into_outcome() })
        }))
    }
}

/// What one tool call of a turn gave.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ToolResult {
    /// The tool.
    pub name: String,
    /// The call's id.
    pub call_id: String,
    /// The output as text; images and files are left out.
    pub output: String,
    /// What went wrong, if the tool failed.
    ///
    /// The output is then what the model is told of it.
    pub failure: Option<String>,
}

impl Agent {
    /// Begins an agent of this name.
    pub fn builder(name: impl Into<String>) -> AgentBuilder {
        AgentBuilder::new(name.into())
    }

    /// Begins a copy of this agent.
    ///
    /// What you set replaces what it has, and what you add comes behind it.
    ///
    /// Two agents that one run can reach must have different [names](AgentBuilder::name).
    ///
    /// ```
    /// use openai_agents::Agent;
    ///
    /// let guide = Agent::builder("Guide").instructions("Answer in one sentence.").build()?;
    /// let poet = guide.to_builder().name("Poet").instructions("Answer in verse.").build()?;
    /// assert_eq!((poet.name(), guide.instructions()), ("Poet", Some("Answer in one sentence.")));
    /// # Ok::<(), openai_agents::agent::AgentError>(())
    /// ```
    pub fn to_builder(&self) -> AgentBuilder {
        AgentBuilder::like(&self.0)
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns the instructions; `None` if there are none, or they are computed.
    pub fn instructions(&self) -> Option<&str> {
        self.0.instructions.as_ref()?.fixed().map(|text| &**text)
    }

    /// Returns the text that tells other agents' models when to hand off to this one.
    pub fn handoff_description(&self) -> Option<&str> {
        self.0.handoff_description.as_deref()
    }

    /// Returns the names of the agents that this one can hand off to, in order.
    pub fn handoffs(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.handoffs.iter().map(|handoff| handoff.target.name())
    }

    /// Returns the tools.
    pub fn tools(&self) -> &ToolRegistry {
        &self.0.tools
    }

    /// Returns the sources of further tools.
    pub fn tool_sources(&self) -> &[Arc<dyn ToolSource>] {
        &self.0.sources
    }

    /// Returns the tools that the provider runs.
    pub fn hosted_tools(&self) -> &[HostedTool] {
        &self.0.hosted
    }

    /// Whether the model was offered a tool that the Responses API defines, to be answered on this side.
    pub(crate) fn offers(&self, built_in: BuiltInTool) -> bool {
        let mut offered = self.hosted_tools().iter();
        offered.any(|tool| tool.answered_here() == Some(built_in))
    }

    /// Returns the agent's own model.
    ///
    /// It is `None` if the agent has none, or only the name of one.
    pub fn model(&self) -> Option<&Arc<dyn Model>> {
        match self.0.model.as_ref()? {
            AgentModel::Model(model) => Some(model),
            AgentModel::Named(_) => None,
        }
    }

    /// Returns the name of the agent's own model, if it has one.
    pub fn model_name(&self) -> Option<&str> {
        self.0.model.as_ref().map(AgentModel::name)
    }

    /// The model settings, to be passed on.
    pub(crate) fn shared_settings(&self) -> &Arc<ModelSettings> {
        &self.0.settings
    }

    /// Returns the model settings.
    pub fn model_settings(&self) -> &ModelSettings {
        &self.0.settings
    }

    /// Returns the limits of runs that begin with the agent, if it has its own.
    pub fn limits(&self) -> Option<Limits> {
        self.0.limits
    }

    /// Returns the type of the final output; `None` for text.
    pub fn output_type(&self) -> Option<&OutputType> {
        self.0.output.as_ref()
    }

    /// Says what happens after tools gave their outputs.
    pub fn tool_use_behavior(&self) -> &ToolUseBehavior {
        &self.0.tool_use_behavior
    }

    pub(crate) fn chosen_model(&self) -> Option<&AgentModel> {
        self.0.model.as_ref()
    }

    pub(crate) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.0.name)
    }

    pub(crate) fn instruction_source(&self) -> Option<&Instructions> {
        self.0.instructions.as_ref()
    }

    pub(crate) fn prompt(&self) -> Option<&Arc<Prompt>> {
        self.0.prompt.as_ref()
    }

    pub(crate) fn bound_handoffs(&self) -> &[BoundHandoff] {
        &self.0.handoffs
    }

    pub(crate) fn input_guardrails(&self) -> &[InputGuardrail] {
        &self.0.input_guardrails
    }

    pub(crate) fn output_guardrails(&self) -> &[OutputGuardrail] {
        &self.0.output_guardrails
    }

    pub(crate) fn hooks(&self) -> &[Arc<dyn DynHooks>] {
        &self.0.hooks
    }

    /// Which of its tools the model has to look for, and how.
    pub(crate) fn deferral(&self) -> DeferralRule {
        self.0.deferral
    }

    pub(crate) fn tool_set(&self) -> Option<&Arc<ToolSet>> {
        self.0.tool_set.as_ref()
    }

    /// Whether both are one agent, not only of one name.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The state that its tools need, and those of the agents that it hands off to; agents that are only named are not known yet.
    pub(crate) fn required_state(&self) -> Vec<StateType> {
        let (mut seen, mut waiting) = (Vec::new(), vec![self]);
        let mut needed = Vec::new();
        while let Some(agent) = waiting.pop() {
            if seen.iter().any(|known: &&Self| known.is_same(agent)) {
                continue;
            }
            seen.push(agent);
            let tools = agent.tools().iter().filter(|tool| tool.is_unconditional());
            needed.extend(tools.flat_map(FunctionTool::required_state));
            waiting.extend(agent.bound_handoffs().iter().filter_map(
                |handoff| match &handoff.target {
                    Target::Agent(agent) => Some(agent),
                    Target::Name(_) => None,
                },
            ));
        }
        needed
    }

    pub(crate) fn keeps_tool_choice(&self) -> bool {
        self.0.keeps_tool_choice
    }
}

impl AgentModel {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Model(model) => model.name(),
            Self::Named(name) => name,
        }
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent")
            .field("name", &self.0.name)
            .field("model", &self.model_name())
            .field(
                "tools",
                &self
                    .0
                    .tools
                    .specs()
                    .map(|spec| &spec.name)
                    .collect::<Vec<_>>(),
            )
            .field("handoffs", &self.handoffs().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ToolUseBehavior {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RunAgain => f.write_str("RunAgain"),
            Self::StopOnFirstTool => f.write_str("StopOnFirstTool"),
            Self::StopAtTools(names) => f.debug_tuple("StopAtTools").field(names).finish(),
            Self::Custom(_) => f.write_str("Custom(..)"),
        }
    }
}
