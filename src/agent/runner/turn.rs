//! What the response of a turn asked for, and how far it is.

use crate::agent::ToolResult;
use crate::agent::run_state::{AskedCall, Decision, ExecutionCertainty, RunState};
use crate::guardrail::GuardrailResult;
use crate::item::{CallItem, Item};
use crate::journal::{OnUncertain, OutcomeSource, ToolOutcome};
use crate::tools::{FunctionTool, McpApprovalRequest};

/// A tool call to be made now.
pub(super) struct PlannedCall {
    /// Its place among the calls of its turn.
    pub(super) n: usize,
    pub(super) call: CallItem,
    pub(super) action: CallAction,
}

/// What is to become of a tool call.
pub(super) enum CallAction {
    /// The tool is called, if that is permitted.
    Invoke {
        tool: FunctionTool,
        permission: Permission,
        /// What to do if the call may have taken place already.
        on_uncertain: OnUncertain,
    },
    /// The model is answered without a call.
    Answer(ToolOutcome),
}

/// What is known about whether a call may be made.
pub(super) enum Permission {
    /// Nothing was decided about this call. If its tool wants a decision, that for all calls of the tool is taken, if there is one.
    Open {
        standing: Option<Decision>,
        /// What of the tool changed since a decision for all its calls.
        changed: Option<String>,
    },
    /// Someone decided about this call.
    Decided {
        decision: Decision,
        /// The verdicts of the input guardrails, if they looked at it before.
        guardrails: Option<Vec<GuardrailResult>>,
    },
    /// Someone was asked about this call of a tool that has changed since.
    AskAgain { changed: String },
    /// It was made, and the run of an agent inside it paused.
    GoesOn {
        state: Box<RunState>,
        guardrails: Vec<GuardrailResult>,
    },
    /// The tool is disabled; the model is told this.
    Disabled { message: String },
}

/// What the response of a turn asked for.
#[derive(Default)]
pub(super) struct PendingTurn {
    pub(super) calls: Vec<TurnCall>,
    /// What the provider asks about its own MCP servers.
    pub(super) questions: Vec<HostedQuestion>,
}

/// A call of a turn and how far it is.
pub(super) struct TurnCall {
    pub(super) call: CallItem,
    pub(super) status: CallStatus,
}

/// How far a call is.
pub(super) enum CallStatus {
    /// To be made, once the tools of a run that was saved before are known again.
    Planned,
    /// To be made.
    Ready(CallAction),
    /// Being made.
    Running,
    /// Not to be made before it is approved.
    Asked(Box<AskedCall>),
    /// The agent that was called as a tool waits for decisions.
    Paused {
        state: Box<RunState>,
        /// The verdicts of the input guardrails of that tool.
        guardrails: Vec<GuardrailResult>,
    },
    /// Made, or answered without being made.
    Done(ToolOutcome),
    /// The handoff that is taken when everything else is done; its place among those of the agent.
    Handoff(usize),
    /// The final output, given by a tool call.
    Output,
}

/// A question of the provider whether a tool of a hosted MCP server may be called.
pub(super) struct HostedQuestion {
    pub(super) request: McpApprovalRequest,
    pub(super) decision: Option<Decision>,
}

/// A model response, understood.
pub(super) enum Resolution {
    /// The response is not the end: there is work, or the provider's own tools did something.
    Work(PendingTurn),
    /// The response is the answer.
    Final(String),
}

/// How a tool call ended.
#[derive(Debug)]
pub(super) enum CallEnd {
    Done(ToolOutcome),
    Asked(Box<AskedCall>),
    Paused {
        state: Box<RunState>,
        guardrails: Vec<GuardrailResult>,
    },
}

/// What the model is told of handoffs behind the first of a turn; the Python SDK's words.
pub(super) const IGNORED_HANDOFF: &str = "Multiple handoffs detected, ignoring this one.";

impl PendingTurn {
    /// Whether nothing was asked for.
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.questions.is_empty()
    }

    /// Takes the calls that can be made now.
    pub(super) fn take_ready(&mut self) -> Vec<PlannedCall> {
        let mut ready = Vec::with_capacity(self.calls.len());
        for (n, turn_call) in self.calls.iter_mut().enumerate() {
            if !matches!(turn_call.status, CallStatus::Ready(_)) {
                continue;
            }
            // From here until its end the call counts as running. A state that is saved meanwhile
            // says that it may have taken place.
            let status = std::mem::replace(&mut turn_call.status, CallStatus::Running);
            if let CallStatus::Ready(action) = status {
                ready.push(PlannedCall {
                    n,
                    call: turn_call.call.clone(),
                    action,
                });
            }
        }
        ready
    }

    /// Whether there are calls that can be made now.
    pub(super) fn has_ready(&self) -> bool {
        let is_ready = |call: &TurnCall| matches!(call.status, CallStatus::Ready(_));
        self.calls.iter().any(is_ready)
    }

    /// Whether something waits for a decision.
    pub(super) fn is_waiting(&self) -> bool {
        let waits = |call: &TurnCall| {
            matches!(
                call.status,
                CallStatus::Asked(_) | CallStatus::Paused { .. }
            )
        };
        self.calls.iter().any(waits)
            || self
                .questions
                .iter()
                .any(|question| question.decision.is_none())
    }

    /// Whether the final output was given by a call.
    pub(super) fn has_output(&self) -> bool {
        let is_output = |call: &TurnCall| matches!(call.status, CallStatus::Output);
        self.calls.iter().any(is_output)
    }

    /// Whether a tool gave something.
    pub(super) fn has_results(&self) -> bool {
        self.calls.iter().any(|call| {
            matches!(&call.status, CallStatus::Done(outcome) if outcome.source == OutcomeSource::Tool)
        })
    }

    /// What tools gave, in the order of the calls; what the runner answered itself is no result.
    pub(super) fn results(&self) -> impl Iterator<Item = ToolResult> {
        let result = |call: &TurnCall| match &call.status {
            CallStatus::Done(outcome) if outcome.source == OutcomeSource::Tool => {
                Some(ToolResult {
                    name: call.call.name.clone(),
                    call_id: call.call.call_id.clone(),
                    output: outcome.output.text(),
                    failure: outcome.failure.clone(),
                })
            }
            _ => None,
        };
        self.calls.iter().filter_map(result)
    }

    /// The outputs of calls that are done, in the order of the calls.
    pub(super) fn done(self) -> impl Iterator<Item = (CallItem, ToolOutcome)> {
        self.calls.into_iter().filter_map(|call| match call.status {
            CallStatus::Done(outcome) => Some((call.call, outcome)),
            _ => None,
        })
    }
}

/// A call of a tool that is to be made, if that is permitted.
pub(super) fn invoke(
    tool: &FunctionTool,
    permission: Permission,
    certainty: ExecutionCertainty,
) -> CallStatus {
    CallStatus::Ready(CallAction::Invoke {
        tool: tool.clone(),
        permission,
        on_uncertain: match certainty {
            // Whoever declared the tool idempotent has decided for all of its calls.
            _ if tool.options().is_idempotent => OnUncertain::Again,
            // Someone has decided to make it again, which holds for one attempt: that can be interrupted as well.
            ExecutionCertainty::MayHaveRun => OnUncertain::Once,
            ExecutionCertainty::Certain => OnUncertain::Ask,
        },
    })
}

/// The item of a call's output.
pub(super) fn output_item((call, outcome): (CallItem, ToolOutcome)) -> Item {
    call.output_item(outcome.output, outcome.failure.as_deref())
}

impl From<CallEnd> for CallStatus {
    fn from(end: CallEnd) -> Self {
        match end {
            CallEnd::Done(outcome) => Self::Done(outcome),
            CallEnd::Asked(asked) => Self::Asked(asked),
            CallEnd::Paused { state, guardrails } => Self::Paused { state, guardrails },
        }
    }
}
