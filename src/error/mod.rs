//! Why a run failed, and how far it came.

mod any;

use std::collections::{HashMap, HashSet};
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use crate::agent::{Agent, Interruption, OutputError, RunState, StateError};
use crate::context::MissingState;
use crate::future::BoxError;
use crate::guardrail::GuardrailResult;
use crate::item::{CallItem, Item, answered_call_id};
use crate::journal::JournalError;
use crate::kind::ErrorKind;
use crate::limits::LimitReached;
use crate::model::{Deviation, ModelError, ResponseMeta};
use crate::session::SessionError;
use crate::tools::{ToolError, ToolSourceError};
use crate::usage::Usage;

pub use crate::error_chain::error_chain;
pub use any::Error;

/// A run that failed, with everything that was done before.
///
/// `Display` says what failed. The cause is the error's `source`.
///
/// ```
/// use openai_agents::testing::ScriptedModel;
/// use openai_agents::{Agent, ErrorKind, Runner};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runner = Runner::new(ScriptedModel::text("The Seine."));
/// let agent = Agent::builder("Guide").build()?;
/// let error = runner.run(&agent, "The river of Paris?").max_turns(0).await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::MaxTurns);
/// assert_eq!(error.to_string(), "the run used all its 0 turns (max_turns)");
/// assert_eq!(error.progress().turns, 0);
/// # Ok(())
/// # }
/// ```
pub struct RunError(Box<(RunFailure, RunProgress)>);

/// What made a run fail.
///
/// ```
/// use openai_agents::testing::ScriptedModel;
/// use openai_agents::{Agent, InputGuardrail, RunFailure, Runner, Verdict};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runner = Runner::new(ScriptedModel::text("Paris?"));
/// let agent = Agent::builder("Guide")
///     .input_guardrail(InputGuardrail::new("no cities", async |_| Verdict::trip("a city")))
///     .build()?;
/// let error = runner.run(&agent, "Paris?").await.unwrap_err();
/// match error.failure() {
///     RunFailure::GuardrailTripped { result } => assert_eq!(&*result.guardrail, "no cities"),
///     other => println!("{other}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunFailure {
    /// The model call failed.
    #[error("{0}")]
    Model(ModelError),
    /// A limit was reached.
    #[error("{0}")]
    Limit(LimitReached),
    /// The model called a tool that the agent does not have.
    #[error("the model called the tool `{tool}`, which agent `{agent}` does not have (it has: {})", list(.known))]
    UnknownTool {
        /// The tool that was called.
        tool: String,
        /// The agent.
        agent: String,
        /// The tools that it has.
        known: Vec<String>,
    },
    /// The model called a tool that is disabled.
    #[error("the model called the tool `{tool}` of agent `{agent}`, which is disabled")]
    DisabledTool {
        /// The tool that was called.
        tool: String,
        /// The agent.
        agent: String,
    },
    /// Calls wait for approval; the run can go on from its state.
    #[error("{} approval: {}", calls_need(.state), waiting(.state))]
    ApprovalRequired {
        /// From where the run can go on.
        state: Box<RunState>,
    },
    /// A saved state does not fit the agents that are there.
    #[error("{0}")]
    State(StateError),
    /// The run cannot begin, because its parts do not fit together.
    #[error("{0}")]
    Setup(SetupError),
    /// A tool source of the agent could not list its tools.
    #[error("{0}")]
    ToolSource(ToolSourceError),
    /// A guardrail tripped.
    #[error("the {} guardrail `{}` tripped: {}", .result.stage.as_str(), .result.guardrail, .result.info)]
    GuardrailTripped {
        /// Its verdict.
        result: Box<GuardrailResult>,
    },
    /// A hook, a guardrail or another callback of the application failed.
    ///
    /// If it failed because of a run that it made, the kind is that of the inner run's error.
    #[error("{callback} failed")]
    CallbackFailed {
        /// What failed, such as ``the guardrail `no secrets` ``.
        callback: String,
        /// Its own error.
        #[source]
        source: BoxError,
    },
    /// The arguments that the model wrote for a handoff do not fit.
    #[error("the handoff to agent `{agent}`: {error}")]
    HandoffArguments {
        /// The agent that would be next.
        agent: String,
        /// What is wrong with them.
        error: Box<ToolError>,
    },
    /// The session could not be read or written.
    ///
    /// The run can be resumed from its state, and what it did is not done again.
    #[error("{error}")]
    Session {
        /// What went wrong.
        error: SessionError,
        /// From where the run can go on.
        state: Box<RunState>,
        /// The failure that had ended the run before, if there was one.
        after: Option<Box<Self>>,
    },
    /// Another run or program has written to the session since this run read it.
    ///
    /// Nothing of this run stays in the session.
    ///
    /// What a [compactor](crate::session::Compactor) has already put into its summary stays there.
    #[error(
        "session `{session}` was changed by another run or program in between{}",
        if .left.is_some() { ", and what this run had written could not be taken out again" } else { "; nothing of this run is in it" }
    )]
    SessionConflict {
        /// The session.
        session: String,
        /// Why the items of this run could not be removed, if they could not.
        left: Option<SessionError>,
        /// The failure that had ended the run before, if there was one.
        after: Option<Box<Self>>,
    },
    /// The state was resumed before, or its session went on without it.
    #[error(
        "the run state was resumed before, or session `{session}` went on without it (already_resumed)"
    )]
    AlreadyResumed {
        /// The session.
        session: String,
    },
    /// The run was cancelled by its handle.
    #[error("the run was cancelled")]
    Cancelled,
    /// A tool failed in a way that ends the run.
    #[error("{0}")]
    Tool(ToolError),
    /// The model refused.
    #[error("the model refused: {refusal}")]
    Refusal {
        /// Its words.
        refusal: String,
    },
    /// The final output is not of the agent's output type.
    #[error("agent `{agent}`: {error}")]
    InvalidOutput {
        /// The agent.
        agent: String,
        /// What is wrong with it.
        error: OutputError,
        /// The text as the model wrote it.
        text: String,
    },
    /// A [layer](crate::agent::runner::RunLayer) gave a step no outcome, or one of another step.
    #[error("a layer gave no outcome of the step `{step}`")]
    Layer {
        /// The step.
        step: &'static str,
    },
    /// The model's answer has neither text nor calls.
    #[error("the model's answer holds neither text nor a tool call")]
    EmptyResponse,
}

/// Says why a run cannot begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// A handoff names an agent that is not there.
    #[error("agent `{from}` hands off to `{to}`, which is not among the agents of this run ({})", .known.join(", "))]
    UnknownAgent {
        /// The agent with the handoff.
        from: String,
        /// The name that was not found.
        to: String,
        /// The agents that there are.
        known: Vec<String>,
    },
    /// Two agents that are not the same have one name.
    #[error("two different agents of this run are named `{name}`")]
    SameName {
        /// The name.
        name: String,
    },
    /// A handoff filter would change a conversation that the server keeps.
    #[error("agent `{agent}` has a handoff with a filter, but the server keeps the conversation")]
    FilterOnServer {
        /// The agent.
        agent: String,
    },
    /// A conversation would be kept both in a session and by the server.
    #[error("the server keeps the conversation, so session `{session}` cannot keep it too")]
    SessionOnServer {
        /// The session.
        session: String,
    },
    /// A tool of a source has a name that the agent already uses.
    ///
    /// Another tool or handoff of the agent has that name.
    #[error("agent `{agent}` would have two tools named `{tool}`")]
    SameTool {
        /// The agent.
        agent: String,
        /// The name.
        tool: String,
    },
    /// The run was not given application state that a tool needs.
    #[error("tool `{tool}` of agent `{agent}` needs the state of type `{}`, which was not given: give it by `.state(..)` of the runner or the run", .missing.type_name())]
    MissingState {
        /// The agent.
        agent: String,
        /// The tool.
        tool: String,
        /// What it needs.
        missing: MissingState,
    },
    /// The cost of a run is limited, and a model has no price.
    ///
    /// The run is about to ask that model.
    #[error(
        "the cost of the run is limited (max_cost), and the model `{model}` of agent `{agent}` has no price: set `prices.{model}` in the configuration, or `.prices(..)` of the runner"
    )]
    NoPrice {
        /// The agent.
        agent: String,
        /// The model.
        model: String,
    },
    /// `run_blocking` was called inside of an asynchronous program.
    #[error(
        "this thread belongs to an asynchronous program and must not wait: await the run in place of `run_blocking()`"
    )]
    InsideRuntime,
    /// No runtime can be made on this thread.
    #[error("this thread cannot wait for a run: {detail}")]
    NoRuntime {
        /// Why not.
        detail: String,
    },
    /// An agent would be its own tool, through agents that are named.
    #[error("agent `{agent}` is called as a tool inside of its own run")]
    Cycle {
        /// The agent.
        agent: String,
    },
}

/// What a run has done.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunProgress {
    /// The input.
    pub input: Vec<Item>,
    /// The items that the run added, in order.
    ///
    /// Every tool call among them has its output.
    pub items: Vec<Item>,
    /// The metadata of each model response, such as its id and its usage.
    pub responses: Vec<ResponseMeta>,
    /// What the model calls cost.
    pub usage: Usage,
    /// The turns begun.
    pub turns: u32,
    /// The agent that was last at work.
    pub last_agent: Agent,
    /// The verdicts of all guardrails that were asked, in the order in which they came.
    pub guardrails: Vec<GuardrailResult>,
}

impl RunError {
    pub(crate) fn new(failure: RunFailure, mut progress: RunProgress) -> Self {
        progress.drop_open_calls();
        Self(Box::new((failure, progress)))
    }

    /// Says what went wrong, by a stable name.
    pub fn kind(&self) -> ErrorKind {
        self.0.0.kind()
    }

    /// Returns the failure with its data.
    pub fn failure(&self) -> &RunFailure {
        &self.0.0
    }

    /// Returns what was done before.
    pub fn progress(&self) -> &RunProgress {
        &self.0.1
    }

    /// Returns the state to resume from, if there is one.
    ///
    /// There is one if the run paused or its session could not be written.
    ///
    /// # Errors
    ///
    /// The error itself, when the run cannot be resumed.
    pub fn into_state(self) -> Result<RunState, Self> {
        let (failure, progress) = *self.0;
        match failure {
            RunFailure::ApprovalRequired { state } | RunFailure::Session { state, .. } => {
                Ok(*state)
            }
            failure => Err(Self(Box::new((failure, progress)))),
        }
    }

    /// Returns the calls that wait for a decision, if the run paused.
    pub fn interruptions(&self) -> Vec<Interruption> {
        match self.failure() {
            RunFailure::ApprovalRequired { state } => state.interruptions(),
            _ => Vec::new(),
        }
    }

    /// Returns the model's error, if a model call failed.
    ///
    /// That includes calls in a run that a guardrail, a hook or another callback made.
    pub fn model_error(&self) -> Option<&ModelError> {
        match self.failure() {
            RunFailure::Model(error) => Some(error),
            RunFailure::CallbackFailed { source, .. } => {
                source.downcast_ref::<Self>()?.model_error()
            }
            _ => None,
        }
    }

    /// Returns the journal's error, if the journal did not let a side effect pass.
    pub fn journal_error(&self) -> Option<&JournalError> {
        let source: &(dyn StdError + 'static) = match self.failure() {
            RunFailure::Model(error) => error.source()?,
            RunFailure::Tool(ToolError::NotJournaled { source, .. })
            | RunFailure::Session {
                error: SessionError::NotJournaled { source, .. },
                ..
            } => &**source,
            RunFailure::Tool(ToolError::Failed { source, .. }) => {
                return source.downcast_ref::<Self>()?.journal_error();
            }
            _ => return None,
        };
        source.downcast_ref()
    }

    /// Returns the status of the HTTP response, if an error status was the reason.
    pub fn status(&self) -> Option<u16> {
        self.model_error().and_then(ModelError::status)
    }

    /// Says how long the server asks to wait before another try.
    pub fn retry_after(&self) -> Option<Duration> {
        self.model_error().and_then(ModelError::retry_after)
    }
}

impl RunFailure {
    /// What a failed handoff means: the model's words were wrong, or the application's callback failed.
    pub(crate) fn of_handoff(error: ToolError, to: &Agent) -> Self {
        let agent = to.name().to_owned();
        match error {
            ToolError::Failed { source, .. } => Self::CallbackFailed {
                callback: format!("the callback of the handoff to agent `{agent}`"),
                source,
            },
            error => Self::HandoffArguments {
                agent,
                error: Box::new(error),
            },
        }
    }

    /// Says what went wrong, by a stable name.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Model(error) => error.kind(),
            Self::Limit(LimitReached::Turns { .. }) => ErrorKind::MaxTurns,
            Self::Limit(_) => ErrorKind::BudgetExceeded,
            Self::UnknownTool { .. } => ErrorKind::UnknownTool,
            Self::DisabledTool { .. } => ErrorKind::DisabledTool,
            Self::ApprovalRequired { .. } => ErrorKind::ApprovalRequired,
            Self::State(error) => error.kind(),
            Self::Setup(_) => ErrorKind::Config,
            Self::ToolSource(error) => error.kind(),
            Self::GuardrailTripped { .. } => ErrorKind::GuardrailTripped,
            Self::CallbackFailed { source, .. } => {
                let inner = source.downcast_ref().map(RunError::kind);
                inner.unwrap_or(ErrorKind::CallbackFailed)
            }
            Self::HandoffArguments { error, .. } => error.kind(),
            Self::Session { error, .. } => error.kind(),
            Self::SessionConflict { .. } => ErrorKind::SessionConflict,
            Self::AlreadyResumed { .. } => ErrorKind::AlreadyResumed,
            Self::Cancelled => ErrorKind::Cancelled,
            Self::Tool(error) => error.kind(),
            Self::Refusal { .. } => ErrorKind::Refusal,
            Self::InvalidOutput { .. } => ErrorKind::InvalidOutput,
            Self::Layer { .. } => ErrorKind::CallbackFailed,
            Self::EmptyResponse => ErrorKind::EmptyResponse,
        }
    }
}

impl RunProgress {
    /// Returns the deviations from the protocol that were tolerated.
    pub fn deviations(&self) -> impl Iterator<Item = &Deviation> {
        self.responses
            .iter()
            .flat_map(|response| &response.deviations)
    }

    /// Leaves out calls that have no output.
    pub(crate) fn drop_open_calls(&mut self) {
        drop_open_calls(&mut self.items);
    }
}

/// Leaves out calls that have no output.
pub(crate) fn drop_open_calls(items: &mut Vec<Item>) {
    // By place, not by id alone: a server may give the id of an earlier call again.
    let mut waiting: HashMap<String, usize> = HashMap::new();
    let mut open: HashSet<usize> = HashSet::new();
    for (n, item) in items.iter().enumerate() {
        if let Some(call) = CallItem::new(item) {
            open.extend(waiting.insert(call.call_id.clone(), n));
        } else if let Some(id) = answered_call_id(item) {
            waiting.remove(&id);
        }
    }
    open.extend(waiting.into_values());
    let mut n_seen = 0..;
    items.retain(|_| n_seen.next().is_none_or(|n| !open.contains(&n)));
}

fn calls_need(state: &RunState) -> String {
    match state.interruptions().len() {
        1 => "1 call needs".to_owned(),
        n_calls => format!("{n_calls} calls need"),
    }
}

fn waiting(state: &RunState) -> String {
    let tools: Vec<String> = state
        .interruptions()
        .into_iter()
        .map(|call| call.tool)
        .collect();
    list(&tools)
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.0.fmt(f)
    }
}

/// Short, since a `main` that fails prints it: the conversation stays out of logs. [`failure`](RunError::failure) and
/// [`progress`](RunError::progress) have the rest.
impl fmt::Debug for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, progress) = (self.kind(), self.progress());
        let (turns, agent) = (progress.turns, progress.last_agent.name());
        let causes = error_chain(self);
        write!(f, "{kind}: {causes} (turn {turns}, agent `{agent}`)")
    }
}

impl StdError for RunError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self.failure() {
            RunFailure::Model(error) => error.source(),
            RunFailure::Tool(error) => error.source(),
            RunFailure::ToolSource(error) => error.source(),
            RunFailure::HandoffArguments { error, .. } => error.source(),
            RunFailure::CallbackFailed { source, .. } => Some(&**source),
            RunFailure::Session { error, .. } => error.source(),
            RunFailure::SessionConflict { left, .. } => left.as_ref().map(|error| error as _),
            _ => None,
        }
    }
}
