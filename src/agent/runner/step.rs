//! What a run wants done next, and what it is told of it: the table of contents of a run.

use std::sync::Arc;

use super::RunEvent;
use super::layer::StepOutcome;
use super::session::{SessionChangeStep, SessionReadStep};
use super::session_writes::SessionWrites;
use super::tool_calls::ToolEvent;
use super::turn::PlannedCall;
use crate::agent::{
    Agent, BoundHandoff, HandoffFilter, HandoffHistory, Interruption, RunState, ToolResult,
    ToolUseFn,
};
use crate::agent::{Instructions, ModelInputFilter};
use crate::context::Cancel;
use crate::error::{RunError, RunFailure};
use crate::guardrail::{GuardrailInput, GuardrailResult, InputGuardrail, OutputGuardrail};
use crate::item::{CallItem, Item};
use crate::model::{Model, ModelRequest};
use crate::session::{Session, SessionInput};
use crate::tools::{FunctionTool, ToolSource};

/// The next thing to do for a run. Between any two of them the run can be saved.
///
/// In the order in which a run comes to them. Whoever performs a step gives its outcome to [`Run::accept`](super::run::Run::accept), and
/// asks again. A step takes the place of the one before, which has ended or is dropped; input guardrails go on beside the steps that
/// follow, and their verdicts are given whenever they come.
pub(super) enum Step {
    /// Reads the conversation so far; for a run that goes on, to see that nobody else has changed it.
    LoadSession(SessionReadStep),
    /// Lets the application put together what the session had and the new input.
    MergeInput(SessionInput, Vec<Item>, Vec<Item>),
    /// Changes the session's version and nothing else, so that no other run goes on from the same state.
    ClaimSession(SessionChangeStep),
    /// Asks the sources of the agent for their tools, all at once; before each turn, since a server may have others by now.
    ListTools(Arc<[Arc<dyn ToolSource>]>),
    /// Asks the conditions of tools and handoffs that have to be waited for; gives the names of those that are not offered.
    CheckOffers(Vec<FunctionTool>),
    /// Asks guardrails about the input; nothing else happens until all have answered.
    CheckInput(Vec<InputCheck>),
    /// Writes what the session does not have yet, the input with what comes first.
    SaveTurn(SessionChangeStep),
    /// Takes what was sent to the run since the last turn.
    TakeInput(InputAfter),
    /// The agent is about to have its first turn.
    StartAgent,
    /// Lets the application change what is asked.
    PrepareRequest(Box<PrepareStep>),
    /// Calls the model, and asks these guardrails about the input beside it.
    ///
    /// Those that hold let nothing out before their verdict: the run keeps the model's events back, and comes to no other step.
    CallModel(ModelStep),
    /// Makes all of these calls, side by side.
    RunTools(Vec<PlannedCall>),
    /// Tells the application of a handoff, which has its own callback.
    HandOff(Box<HandoffStep>),
    /// Lets the application change what the next agent sees of the conversation.
    FilterHistory(Box<(HandoffFilter, HandoffHistory)>),
    /// The agent gave the final output, of which its guardrails do not know yet.
    EndAgent(Arc<str>),
    /// Asks guardrails about the final output, all at once; the first that trips is the last that is heard.
    CheckOutput(Arc<str>, Vec<OutputGuardrail>),
    /// Takes out of the session what the run has written to it, since another has written in between.
    WithdrawTurns(Arc<dyn Session>, SessionWrites),
    /// Lets the application decide whether the outputs of a turn's tools end the run.
    DecideToolUse(ToolUseFn, Vec<ToolResult>),
    /// The run waits for decisions about these calls.
    Pause(Vec<Interruption>),
    /// The run has its final output, and the session has all of it.
    Finish(Arc<str>),
    /// The run failed, and the session has what it is to have.
    Fail(FailureNote),

    /// What was begun goes on.
    Proceed,
    /// Gives the state of the run, which somebody has asked for, as it stands between two steps.
    GiveState(Box<RunState>),
    /// Something is shown to whoever watches the run.
    Emit(Result<RunEvent, RunError>),
    /// What is in progress is dropped, guardrails too: the run has failed, and only its end is left to do.
    Stop,
    /// Nothing is left to do.
    Over,
}

/// What became of a step, or of what goes on beside it.
pub(super) enum Outcome {
    /// An outcome of the step.
    Step(StepOutcome),
    /// Something happened in the tool calls of the step.
    Tool(ToolEvent),
    /// A verdict on the input.
    InputVerdict(Holds, Result<GuardrailResult, RunFailure>),
    /// A verdict on the final output.
    OutputVerdict(Result<GuardrailResult, RunFailure>),
    /// What was sent to the run.
    Input(Vec<Item>),
    /// The step has no further outcome.
    Ended,
    /// Someone asks for the end of the run.
    Cancelled(Cancel),
    /// The run's time is over.
    TimeOver,
}

/// Whether a guardrail lets anything out before its verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    Everything,
    Nothing,
}

/// Whether the run takes input after this, if there is none now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InputAfter {
    Taken,
    /// It has its final output: without more input it ends.
    Refused,
}

/// A guardrail to be asked about the input.
pub(super) struct InputCheck {
    pub(super) guardrail: InputGuardrail,
    pub(super) subject: GuardrailInput,
}

/// A request before the application has changed it.
pub(super) struct PrepareStep {
    pub(super) request: ModelRequest,
    /// What computes the instructions, unless they are fixed.
    pub(super) instructions: Option<Instructions>,
    pub(super) filter: Option<ModelInputFilter>,
}

/// A model call about to happen.
pub(super) struct ModelStep {
    pub(super) model: Arc<dyn Model>,
    pub(super) request: ModelRequest,
    pub(super) checks: Vec<InputCheck>,
}

/// A handoff about to happen.
pub(super) struct HandoffStep {
    pub(super) to: Agent,
    pub(super) call: CallItem,
    pub(super) handoff: BoundHandoff,
}

/// What is said of a failure before the run is over.
pub(super) struct FailureNote {
    pub(super) kind: crate::kind::ErrorKind,
    pub(super) message: String,
}
