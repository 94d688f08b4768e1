//! What stands around the steps of a run: the hooks of the application, and whatever else is to see or change what a run does.

mod hooks;
mod trace;

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::{FutureExt, StreamExt};

pub(super) use hooks::HookSet;
pub(super) use trace::{RunTrace, WatchedStep};

use super::graph::Graph;
use super::options::RunOptions;
use super::state::MachineState;
use super::turn::CallEnd;
use crate::agent::{Agent, HandoffHistory, Interruption};
use crate::context::RunContext;
use crate::error::RunFailure;
use crate::future::{BoxFuture, BoxStream};
use crate::guardrail::GuardrailResult;
use crate::item::Item;
use crate::journal::ToolOutcome;
use crate::kind::ErrorKind;
use crate::model::{Model, ModelEvent, ModelRequest};
use crate::session::{SessionError, SessionId, SessionItems, SessionVersion};
use crate::tools::{FunctionTool, ToolContext, ToolName};
use hooks::HookLayer;

/// Stands between a run and what it does.
///
/// Put on runs by [`Runner::layer`](crate::Runner::layer). Every step of a run passes every layer, the one that was added first being the
/// outermost; each tool call of a turn and each guardrail is a step of its own. A layer is given the step and its outcomes, of which nothing
/// happens before they are polled. It returns them as they are, watches them pass, or gives others; a step whose outcomes are dropped was
/// cancelled. It sees nothing of how a run decides, and must not block.
///
/// The runs of agents that are called as tools have the layers of the run around them.
///
/// ```
/// use std::sync::Mutex;
///
/// use openai_agents::agent::runner::{RunLayer, RunStep, StepOutcomes};
/// use openai_agents::testing::ScriptedModel;
/// use openai_agents::{Agent, Runner};
/// use std::sync::Arc;
///
/// #[derive(Clone, Default)]
/// struct Steps(Arc<Mutex<Vec<&'static str>>>);
///
/// impl RunLayer for Steps {
///     fn perform(&self, step: &RunStep, outcomes: StepOutcomes) -> StepOutcomes {
///         self.0.lock().unwrap().push(step.name());
///         outcomes
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let steps = Steps::default();
/// let runner = Runner::new(ScriptedModel::text("Paris.")).layer(steps.clone());
/// runner.run(&Agent::builder("Guide").build()?, "The capital of France?").await?;
/// assert_eq!(*steps.0.lock().unwrap(), ["start_agent", "call_model", "end_agent", "finish"]);
/// # Ok(())
/// # }
/// ```
pub trait RunLayer: Send + Sync {
    /// A run begins.
    ///
    /// Gives what stands around this run, if that is not the layer itself.
    ///
    /// What is given lives as long as the run: it is dropped when the run is over or dropped, and is itself asked when a run inside this
    /// one begins. So it can keep what belongs to one run.
    fn begin(&self, run: &RunIdentity<'_>) -> Option<Arc<dyn RunLayer>> {
        let _ = run;
        None
    }

    /// A step is about to be performed.
    fn perform(&self, step: &RunStep, outcomes: StepOutcomes) -> StepOutcomes;
}

/// Which run a layer is to stand around.
#[non_exhaustive]
pub struct RunIdentity<'a> {
    /// The run.
    pub cx: &'a RunContext,
    /// The agent that it begins with.
    pub agent: &'a Agent,
    /// The calls of agents as tools that lead to it, the outermost first.
    ///
    /// Each is written `turn/call id`. It is empty for a run of its own.
    pub path: &'a [Arc<str>],
    /// The session that it keeps.
    pub session: Option<&'a SessionId>,
    /// The name of a run that its journal keeps, which each of its executions has.
    pub durable_run: Option<&'a str>,
    pub(super) state: &'a MachineState,
    /// Whether side effects may be remembered ones.
    pub(super) has_journal: bool,
}

/// A step of a run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunStep {
    /// The run.
    pub cx: RunContext,
    /// The agent at work.
    pub agent: Agent,
    /// The turn, from 1; 0 before the first.
    pub turn: u32,
    /// What is done.
    pub kind: StepKind,
}

/// What is done in a step.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum StepKind {
    /// The session is read: [`StepOutcome::SessionRead`].
    ReadSession {
        /// The session.
        session: SessionId,
    },
    /// The application puts together what the session had and the new input: [`StepOutcome::InputMerged`].
    MergeInput,
    /// The session is changed: [`StepOutcome::SessionWritten`].
    WriteSession {
        /// The session.
        session: SessionId,
        /// What is written.
        items: Arc<[Item]>,
    },
    /// What the run had written to the session is taken out of it.
    WithdrawTurns {
        /// The session.
        session: SessionId,
    },
    /// The agent's sources are asked for their tools: [`StepOutcome::ToolsListed`].
    ListTools,
    /// The conditions of tools and handoffs are asked: [`StepOutcome::OffersChecked`].
    CheckOffers,
    /// A guardrail is asked about the input, maybe beside other steps: [`StepOutcome::Verdict`].
    CheckInput {
        /// The guardrail.
        guardrail: Arc<str>,
    },
    /// The agent is about to have its first turn.
    StartAgent,
    /// The application changes what is asked: [`StepOutcome::RequestPrepared`].
    PrepareRequest {
        /// What would be asked.
        request: Arc<ModelRequest>,
    },
    /// The model is called: [`StepOutcome::Model`], the last of them with [`ModelEvent::ResponseDone`].
    CallModel {
        /// What is asked.
        request: Arc<ModelRequest>,
        /// The model's name.
        model: Arc<str>,
        /// Its provider, as [`Model::provider_name`](crate::model::Model::provider_name) says.
        provider: Arc<str>,
    },
    /// A tool call is made, if nothing forbids it, beside others of its turn: [`StepOutcome::ToolCalled`].
    CallTool {
        /// The call.
        call: ToolContext,
    },
    /// The application decides whether the outputs of the turn's tools end the run: [`StepOutcome::ToolUseDecided`].
    DecideToolUse,
    /// The application is told of a handoff.
    HandOff {
        /// The agent that the conversation goes to.
        to: Agent,
        /// The id of the call by which the model asked for it.
        call_id: String,
    },
    /// The application changes what the next agent sees: [`StepOutcome::HistoryFiltered`].
    FilterHistory,
    /// The agent gave the final output.
    EndAgent {
        /// The final output.
        output: Arc<str>,
    },
    /// A guardrail is asked about the final output, beside others: [`StepOutcome::Verdict`].
    CheckOutput {
        /// The guardrail.
        guardrail: Arc<str>,
    },
    /// The run ends, because it waits for decisions.
    Pause {
        /// What they are about.
        interruptions: Vec<Interruption>,
        /// What is the same when the run goes on: [`RunIdentity::resumed_key`].
        pause_key: u64,
    },
    /// The run ends with its final output.
    Finish {
        /// The final output.
        output: Arc<str>,
    },
    /// The run ends with an error.
    Fail {
        /// The kind of the error.
        kind: ErrorKind,
        /// What it says.
        message: String,
    },
}

/// The outcomes of a step, in order.
///
/// Every step but a model call has one.
pub type StepOutcomes = BoxStream<'static, StepOutcome>;

/// An outcome of a step.
#[derive(Debug)]
#[non_exhaustive]
pub enum StepOutcome {
    /// It is done, and nothing came of it.
    Done,
    /// What was read from the session.
    SessionRead(SessionItems),
    /// What the model is to see of the session and the new input.
    InputMerged(Vec<Item>),
    /// The version of the session after a change.
    SessionWritten(SessionVersion),
    /// The session could not be read or changed.
    SessionFailed(SessionError),
    /// The tools of the agent's sources, one list for each.
    ToolsListed(Vec<Arc<[FunctionTool]>>),
    /// The tools and handoffs that are not offered in this turn.
    OffersChecked(Vec<ToolName>),
    /// The final output that the outputs of tools are, if the run ends with them.
    ToolUseDecided(Option<String>),
    /// What is to be asked.
    RequestPrepared(Box<ModelRequest>),
    /// An event of the model.
    Model(ModelEvent),
    /// How a tool call ended.
    ToolCalled(ToolCallEnd),
    /// What the next agent sees.
    HistoryFiltered(Box<HandoffHistory>),
    /// What a guardrail found.
    Verdict(GuardrailResult),
    /// It failed, and the run with it.
    Failed(RunFailure),
}

/// How a tool call ended.
#[derive(Debug)]
pub struct ToolCallEnd(pub(super) CallEnd);

impl RunIdentity<'_> {
    /// What the run itself is given, without what its session had before.
    pub fn input(&self) -> &[Item] {
        self.state.own_input()
    }

    /// Returns by what a run that goes on is known, as its [pause](StepKind::Pause) said.
    ///
    /// It is `None` for a run that begins.
    pub fn resumed_key(&self) -> Option<u64> {
        self.state.resumed_key()
    }
}

impl fmt::Debug for RunIdentity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunIdentity")
            .field("agent", &self.agent.name())
            .field("path", &self.path)
            .field("session", &self.session)
            .field("durable_run", &self.durable_run)
            .finish_non_exhaustive()
    }
}

impl RunStep {
    /// Names what is done, as `call_model`.
    pub const fn name(&self) -> &'static str {
        self.kind.name()
    }
}

impl StepKind {
    /// Names it, as `call_model`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ReadSession { .. } => "read_session",
            Self::MergeInput => "merge_input",
            Self::WriteSession { .. } => "write_session",
            Self::WithdrawTurns { .. } => "withdraw_turns",
            Self::ListTools => "list_tools",
            Self::CheckOffers => "check_offers",
            Self::DecideToolUse => "decide_tool_use",
            Self::CheckInput { .. } => "check_input",
            Self::StartAgent => "start_agent",
            Self::PrepareRequest { .. } => "prepare_request",
            Self::CallModel { .. } => "call_model",
            Self::CallTool { .. } => "call_tool",
            Self::HandOff { .. } => "hand_off",
            Self::FilterHistory => "filter_history",
            Self::EndAgent { .. } => "end_agent",
            Self::CheckOutput { .. } => "check_output",
            Self::Pause { .. } => "pause",
            Self::Finish { .. } => "finish",
            Self::Fail { .. } => "fail",
        }
    }
}

impl StepOutcome {
    /// Says whether it is the last of its step.
    ///
    /// All are, but for the events of a model before the end of its response.
    pub const fn is_last(&self) -> bool {
        match self {
            Self::Model(event) => matches!(event, ModelEvent::ResponseDone(_)),
            _ => true,
        }
    }
}

impl ToolCallEnd {
    /// Returns what the model is told; nothing if the call waits for a decision.
    pub const fn outcome(&self) -> Option<&ToolOutcome> {
        match &self.0 {
            CallEnd::Done(outcome) => Some(outcome),
            CallEnd::Asked(_) | CallEnd::Paused { .. } => None,
        }
    }
}

/// The layers of one run.
#[derive(Clone, Default)]
pub(super) struct Layers {
    /// The outermost: it sees what the layers make of a step.
    trace: Option<Arc<RunTrace>>,
    /// The others, the outermost first.
    others: Arc<[Arc<dyn RunLayer>]>,
    latest_names: Option<Arc<LatestNames>>,
}

/// The names of the model that was called last and of its provider, which nearly always are those of the next: so that they are shared by
/// the steps of a run, and whoever keeps one of them.
#[derive(Default)]
struct LatestNames(Mutex<Option<(Arc<str>, Arc<str>)>>);

impl Layers {
    /// Begins the layers of a run; hooks are the innermost, and there is no layer for them where nobody has any.
    pub(super) fn begin(options: &RunOptions, graph: &Graph, run: &RunIdentity<'_>) -> Self {
        let has_hooks =
            !options.hooks.is_empty() || graph.agents().any(|agent| !agent.hooks().is_empty());
        if options.layers.is_empty() && options.tracer.is_none() && !has_hooks {
            return Self::default();
        }
        let tracer = options.tracer.as_ref();
        let trace = tracer.map(|tracer| Arc::new(RunTrace::begin(tracer, run)));
        let layers = options.layers.iter().cloned();
        // A layer may give another for this run alone, which then keeps what belongs to the run.
        let begun = layers.map(|layer| layer.begin(run).unwrap_or(layer));
        let hooks = has_hooks.then(|| HookLayer::shared(&options.hooks));
        Self {
            trace,
            others: begun.chain(hooks).collect(),
            latest_names: Some(Arc::default()),
        }
    }

    /// What the run of an agent that is called as a tool begins with: its hooks are its own.
    pub(super) fn inherited(&self, n_layers: usize) -> Vec<Arc<dyn RunLayer>> {
        self.others.iter().take(n_layers).cloned().collect()
    }

    /// Puts the layers around what performs a step; where there is none, nothing is made.
    pub(super) fn around(&self, step: impl FnOnce() -> RunStep, inner: Performance) -> Performance {
        if self.is_empty() {
            return inner;
        }
        let (step, mut performance) = (step(), inner);
        if !self.others.is_empty() {
            // From the inside out: the last layer that is put around is the first of the list, and so
            // the outermost of them.
            let outcomes: StepOutcomes = Box::pin(performance);
            let layers = self.others.iter().rev();
            let outcomes = layers.fold(outcomes, |outcomes, layer| layer.perform(&step, outcomes));
            performance = Performance::Stream(outcomes);
        }
        match &self.trace {
            Some(trace) => trace.perform(&step, performance),
            None => performance,
        }
    }

    /// The trace, if it is all that stands around the steps: it needs no step of its own of what it can be told.
    pub(super) fn trace_alone(&self) -> Option<&RunTrace> {
        self.trace.as_deref().filter(|_| self.others.is_empty())
    }

    /// The names of a model and of its provider.
    pub(super) fn names_of(&self, model: &dyn Model) -> (Arc<str>, Arc<str>) {
        let (name, provider) = (model.name(), model.provider_name());
        let made = || (name.into(), provider.into());
        let Some(LatestNames(latest)) = self.latest_names.as_deref() else {
            return made();
        };
        let mut latest = latest.lock().unwrap_or_else(PoisonError::into_inner);
        match &*latest {
            Some((known, of)) if **known == *name && **of == *provider => {
                (Arc::clone(known), Arc::clone(of))
            }
            _ => latest.insert(made()).clone(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.trace.is_none() && self.others.is_empty()
    }
}

impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layers")
            .field("is_traced", &self.trace.is_some())
            .field("n_layers", &self.others.len())
            .finish_non_exhaustive()
    }
}

/// What performs a step; a stream of its outcomes.
///
/// Most steps need no box of their own: only where a layer stands around one is it put into a stream.
pub(super) enum Performance {
    /// There is nothing to do.
    Done,
    Future(BoxFuture<'static, StepOutcome>),
    Model(BoxStream<'static, Result<ModelEvent, crate::model::ModelError>>),
    Stream(StepOutcomes),
    /// It is recorded.
    Watched(Box<WatchedStep>),
    /// It has given its last outcome. What was needed for it is dropped by then, so that the run is alone with its conversation again.
    Over,
}

impl Stream for Performance {
    type Item = StepOutcome;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<StepOutcome>> {
        // Looked at where it is: an outcome is large to move.
        let polled = match &mut *self {
            Self::Done => Poll::Ready(Some(StepOutcome::Done)),
            Self::Over => Poll::Ready(None),
            Self::Future(future) => future.poll_unpin(cx).map(Some),
            Self::Stream(outcomes) => outcomes.poll_next_unpin(cx),
            Self::Watched(step) => step.poll_next(cx),
            Self::Model(call) => call.poll_next_unpin(cx).map(|event| {
                event.map(|event| match event {
                    Ok(event) => StepOutcome::Model(event),
                    Err(error) => StepOutcome::Failed(RunFailure::Model(error)),
                })
            }),
        };
        // Drop what performed the step now. A request still shares the history, and adding to a
        // shared history would copy it.
        if let Poll::Ready(outcome) = &polled
            && outcome.as_ref().is_none_or(StepOutcome::is_last)
        {
            *self = Self::Over;
        }
        polled
    }
}
