//! Handoffs: the model gives the conversation to another agent.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{Agent, HandoffFilter};
use crate::context::RunContext;
use crate::future::{BoxError, BoxFuture, IntoOutcome};
use crate::item::FunctionCall;
use crate::tools::{
    FunctionTool, ToolContext, ToolDefinitionError, ToolName, ToolOffer, ToolOptions, ToolSpec,
};

/// An agent that another agent can give the conversation to.
///
/// The model sees it as a tool named `transfer_to_` and the agent's name in lower case, where all but `a-z`, `0-9` and `_` is `_`: an
/// agent `Refund Desk` is `transfer_to_refund_desk`, as in the Python SDK. It has no parameters unless [`with_input`](Self::with_input)
/// adds some; arguments that a model writes without being asked are ignored. The new agent sees the whole conversation, unless a
/// [filter](Self::filter) changes it.
///
/// An agent has to be built before the agents that hand off to it. For a way back, use its name ([`Handoff::to_name`]). The name is looked
/// up when a run begins, among the agents that the run can reach and those that are [registered](crate::Runner::register_agent).
///
/// ```
/// use openai_agents::Agent;
/// use openai_agents::agent::Handoff;
///
/// let billing = Agent::builder("Billing")
///     .handoff_description("Knows invoices.")
///     .handoff(Handoff::to_name("Triage"))
///     .build()?;
/// let triage = Agent::builder("Triage").handoff(&billing).build()?;
/// assert_eq!(triage.handoffs().next(), Some("Billing"));
/// # Ok::<(), openai_agents::agent::AgentError>(())
/// ```
#[derive(Clone)]
pub struct Handoff {
    target: Target,
    tool_name: Option<String>,
    description: Option<String>,
    make: Arc<Make>,
    input: HandoffInput,
    filter: Option<HandoffFilter>,
    condition: Option<Arc<Condition>>,
    awaited_condition: Option<Arc<AwaitedCondition>>,
}

/// What the model can say with a handoff.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HandoffInput {
    /// Nothing; what it says all the same is not looked at.
    Nothing,
    /// A value of the type that [`Handoff::with_input`] names.
    Typed,
}

#[derive(Clone)]
pub(crate) enum Target {
    Agent(Agent),
    Name(Arc<str>),
}

type Make = dyn Fn(&str, String) -> Result<FunctionTool, ToolDefinitionError> + Send + Sync;
type Condition = dyn Fn(&RunContext) -> bool + Send + Sync;
type AwaitedCondition =
    dyn Fn(ToolOffer) -> BoxFuture<'static, Result<bool, BoxError>> + Send + Sync;

/// A handoff as its agent holds it.
#[derive(Clone)]
pub(crate) struct BoundHandoff {
    pub(crate) target: Target,
    /// What the model is told, and what checks the arguments and tells the application.
    pub(crate) tool: FunctionTool,
    pub(crate) filter: Option<HandoffFilter>,
    input: HandoffInput,
    /// Whether the description has to be completed by that of the agent, which is only named.
    is_open: bool,
    /// What it was made of, for another agent that is made of this one.
    pub(super) declared: Handoff,
}

impl Handoff {
    /// Hands off to this agent.
    pub fn to(agent: &Agent) -> Self {
        Self::new(Target::Agent(agent.clone()))
    }

    /// Hands off to the agent of this name.
    ///
    /// The agent is looked up when a run begins.
    pub fn to_name(agent: impl Into<Arc<str>>) -> Self {
        Self::new(Target::Name(agent.into()))
    }

    fn new(target: Target) -> Self {
        Self {
            target,
            tool_name: None,
            description: None,
            make: Arc::new(without_input),
            input: HandoffInput::Nothing,
            filter: None,
            condition: None,
            awaited_condition: None,
        }
    }

    /// Names the tool that the model sees, in place of `transfer_to_` and the agent's name.
    #[must_use]
    pub fn tool_name(mut self, name: impl Into<String>) -> Self {
        self.tool_name = Some(name.into());
        self
    }

    /// Sets the text that tells the model when to hand off.
    ///
    /// It takes the place of the usual sentence and the agent's own description.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Calls a function when the handoff happens.
    ///
    /// Its error ends the run with the error `callback_failed`.
    #[must_use]
    pub fn on_handoff<F, R>(mut self, function: F) -> Self
    where
        F: Fn(ToolContext) -> R + Send + Sync + 'static,
        R: Future<Output: IntoOutcome<()>> + Send + 'static,
    {
        let function = Arc::new(function);
        self.input = HandoffInput::Nothing;
        self.make = Arc::new(move |name, description| {
            let function = Arc::clone(&function);
            let options = ToolOptions::default();
            FunctionTool::dynamic(name, description, no_arguments(), options, move |cx, _| {
                let called = function(cx);
                async move { called.await.into_outcome() }
            })
        });
        self
    }

    /// Asks the model for a value of this type, and gives it to a function.
    ///
    /// The model gives the value with the handoff.
    ///
    /// Arguments that do not fit the type end the run with the error `bad_tool_arguments`.
    #[must_use]
    pub fn with_input<T, F, R>(mut self, function: F) -> Self
    where
        T: DeserializeOwned + JsonSchema + Send + 'static,
        F: Fn(ToolContext, T) -> R + Send + Sync + 'static,
        R: Future<Output: IntoOutcome<()>> + Send + 'static,
    {
        let function = Arc::new(function);
        self.input = HandoffInput::Typed;
        self.make = Arc::new(move |name, description| {
            let function = Arc::clone(&function);
            FunctionTool::new(name, description, move |cx, input: T| {
                let called = function(cx, input);
                async move { called.await.into_outcome() }
            })
        });
        self
    }

    /// Changes what the new agent sees of the conversation.
    ///
    /// It takes the place of the run's own filter.
    #[must_use]
    pub fn filter(mut self, filter: HandoffFilter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Offers the handoff only while a condition holds, which is asked before every turn.
    #[must_use]
    pub fn enabled_if(
        mut self,
        condition: impl Fn(&RunContext) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.condition = Some(Arc::new(condition));
        self
    }

    /// Offers the handoff only while an asynchronous condition holds.
    ///
    /// The condition is given the agent and the run.
    ///
    /// It is asked before every turn; its error ends the run with the error `callback_failed`.
    #[must_use]
    pub fn enabled_when<F, R>(mut self, condition: F) -> Self
    where
        F: Fn(ToolOffer) -> R + Send + Sync + 'static,
        R: Future<Output: IntoOutcome<bool>> + Send + 'static,
    {
        self.awaited_condition = Some(Arc::new(move |offer| {
            let answer = condition(offer);
            Box::pin(async move { answer.await.into_outcome() })
        }));
        self
    }

    pub(super) fn bind(self) -> Result<BoundHandoff, ToolDefinitionError> {
        let declared = self.clone();
        let name = match self.tool_name {
            Some(name) => name,
            None => handoff_name(self.target.name()),
        };
        let is_open = self.description.is_none() && matches!(self.target, Target::Name(_));
        let own = match &self.target {
            Target::Agent(agent) => agent.handoff_description(),
            Target::Name(_) => None,
        };
        let description = self
            .description
            .unwrap_or_else(|| describe_handoff(self.target.name(), own));
        let mut tool = (self.make)(&name, description)?;
        if let Some(condition) = self.condition {
            tool = tool.enabled_if(move |cx| condition(cx));
        }
        if let Some(condition) = self.awaited_condition {
            tool = tool.enabled_when(move |offer| condition(offer));
        }
        Ok(BoundHandoff {
            target: self.target,
            tool,
            filter: self.filter,
            input: self.input,
            is_open,
            declared,
        })
    }
}

impl BoundHandoff {
    pub(crate) fn tool_name(&self) -> &ToolName {
        self.tool.name()
    }

    /// What the tool is given of the arguments that the model wrote.
    ///
    /// Small models write a reason, nothing, or half an object where nothing is asked for. The handoff happens all the same, as in the
    /// Python SDK: nothing of it depends on what they wrote.
    pub(crate) const fn arguments<'a>(&self, call: &'a FunctionCall) -> &'a str {
        match self.input {
            HandoffInput::Nothing => "{}",
            HandoffInput::Typed => call.arguments.as_str(),
        }
    }

    /// What the model is told, once the agent that is only named is known.
    pub(crate) fn spec(&self, target: &Agent) -> ToolSpec {
        let mut spec = self.tool.spec().clone();
        if self.is_open {
            spec.description = describe_handoff(target.name(), target.handoff_description());
        }
        spec
    }

    pub(crate) const fn is_open(&self) -> bool {
        self.is_open
    }
}

impl Target {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Agent(agent) => agent.name(),
            Self::Name(name) => name,
        }
    }
}

/// The name under which the model sees a handoff to an agent.
pub(crate) fn handoff_name(agent: &str) -> String {
    format!("transfer_to_{}", function_name(agent))
}

/// An agent's name as that of a function: white space and all but `A-Z a-z 0-9 _` to `_`, in lower case.
pub(crate) fn function_name(agent: &str) -> String {
    let to_safe = |c: char| {
        if c.is_ascii_alphanumeric() { c } else { '_' }
    };
    agent
        .chars()
        .map(to_safe)
        .collect::<String>()
        .to_ascii_lowercase()
}

/// What the model of an agent is told of a handoff to another.
pub(crate) fn describe_handoff(agent: &str, own: Option<&str>) -> String {
    let own = own.unwrap_or_default();
    format!("Handoff to the {agent} agent to handle the request. {own}")
}

fn without_input(name: &str, description: String) -> Result<FunctionTool, ToolDefinitionError> {
    let nothing = async |_cx, _input: Map<String, Value>| Ok::<(), BoxError>(());
    FunctionTool::dynamic(
        name,
        description,
        no_arguments(),
        ToolOptions::default(),
        nothing,
    )
}

fn no_arguments() -> Value {
    json!({ "type": "object", "properties": {} })
}

impl From<&Agent> for Handoff {
    fn from(agent: &Agent) -> Self {
        Self::to(agent)
    }
}

impl From<Agent> for Handoff {
    fn from(agent: Agent) -> Self {
        Self::new(Target::Agent(agent))
    }
}

impl fmt::Debug for Handoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handoff")
            .field("to", &self.target.name())
            .field("tool_name", &self.tool_name)
            .finish_non_exhaustive()
    }
}
