//! The tool calls of a turn, side by side: with what was decided about them, through the journal.
//!
//! What belongs to a call whoever makes it is in `tools/invocation`.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;

use super::RunEvent;
use super::call_scope::{CallScope, TurnScope};
use super::layer::{HookSet, Performance, RunStep, StepKind, StepOutcome, ToolCallEnd};
use super::run::Run;
use super::turn::{CallAction, CallEnd, Permission, PlannedCall};
use crate::agent::run_state::{AskedCall, Decision, ExecutionCertainty};
use crate::error::RunFailure;
use crate::future::BoxFuture;
use crate::guardrail::GuardrailResult;
use crate::item::FunctionCall;
use crate::journal::{
    EffectKey, OnUncertain, OutcomeSource, ToolCallEffect, ToolEffect, ToolOutcome,
};
use crate::tools::{Approval, FunctionTool, ToolCall, ToolCallResult, ToolContext, ToolError};

/// How many events of its tools a run takes before it must be read; then the tools wait.
const MAX_WAITING_EVENTS: usize = 64;

/// The tool calls of one turn; a stream of what happens in them, and of them as each one ends.
pub(super) struct ToolPool {
    running: FuturesUnordered<RunningCall>,
    waiting: VecDeque<RunningCall>,
    max_running: usize,
    events: mpsc::Receiver<Box<RunEvent>>,
    /// A call that ended, while what it had shown before is read.
    last: Option<ToolEvent>,
}

/// A call that runs.
type RunningCall = BoxFuture<'static, ToolEvent>;

/// What happened in the calls.
pub(super) enum ToolEvent {
    /// A call shows something.
    Shown(Box<RunEvent>),
    /// A call ended.
    Ended {
        /// Its place among the calls of the turn.
        n: usize,
        end: Result<CallEnd, ToolError>,
    },
    /// Something that stands around a call failed.
    Failed(RunFailure),
}

/// What the calls of a turn share.
struct TurnTools<'a> {
    run: &'a Run,
    shared: Arc<TurnScope>,
    hooks: HookSet,
}

impl ToolPool {
    /// Takes the calls; none begins before the pool is polled.
    pub(super) fn new(calls: Vec<PlannedCall>, run: &Run) -> Self {
        let (sender, events) = mpsc::channel(MAX_WAITING_EVENTS);
        let options = &run.setup().options;
        let turn = TurnTools {
            run,
            shared: Arc::new(TurnScope {
                number: run.turn(),
                setup: Arc::clone(run.setup()),
                history: run.seen().clone(),
                layers: run.layers().clone(),
                events: sender,
            }),
            hooks: HookSet::of(options, run.agent()),
        };
        let calls = calls.into_iter();
        Self {
            running: FuturesUnordered::new(),
            waiting: calls.map(|planned| turn.start(planned)).collect(),
            max_running: options.max_tool_concurrency.unwrap_or(usize::MAX).max(1),
            events,
            last: None,
        }
    }
}

impl TurnTools<'_> {
    fn start(&self, planned: PlannedCall) -> RunningCall {
        let PlannedCall { n, call, action } = planned;
        let (tool, permission, on_uncertain) = match action {
            CallAction::Answer(outcome) => {
                let end = Ok(CallEnd::Done(outcome));
                return Box::pin(std::future::ready(ToolEvent::Ended { n, end }));
            }
            CallAction::Invoke {
                tool,
                permission,
                on_uncertain,
            } => (tool, permission, on_uncertain),
        };
        let scope = Arc::new(CallScope {
            turn: Arc::clone(&self.shared),
            call_id: call.call_id.clone(),
            name: call.name.clone(),
            paused: Mutex::new(None),
        });
        let cx = ToolContext::new(
            self.run.cx().clone(),
            self.run.agent().shared_name(),
            tool.name().clone(),
            &*call.call_id,
            &*call.arguments,
        );
        let cx = cx.linked(Arc::<CallScope>::clone(&scope));
        let attempt = Attempt {
            call: ToolCall::new(&tool, cx.clone()),
            tool,
            hooks: self.hooks.clone(),
            scope,
            on_uncertain,
        };
        let layers = self.run.layers();
        if layers.is_empty() {
            return Box::pin(async move {
                let end = attempt.make(permission, &call).await;
                ToolEvent::Ended { n, end }
            });
        }
        let inner = async move {
            match attempt.make(permission, &call).await {
                Ok(end) => StepOutcome::ToolCalled(ToolCallEnd(end)),
                Err(error) => StepOutcome::Failed(RunFailure::Tool(error)),
            }
        };
        let step = || RunStep {
            cx: self.run.cx().clone(),
            agent: self.run.agent().clone(),
            turn: self.run.turn(),
            kind: StepKind::CallTool { call: cx },
        };
        let mut performance = layers.around(step, Performance::Future(Box::pin(inner)));
        Box::pin(async move {
            match performance.next().await {
                Some(StepOutcome::ToolCalled(ToolCallEnd(end))) => {
                    ToolEvent::Ended { n, end: Ok(end) }
                }
                Some(StepOutcome::Failed(failure)) => ToolEvent::Failed(failure),
                Some(_) | None => ToolEvent::Failed(RunFailure::Layer { step: "call_tool" }),
            }
        })
    }
}

impl Stream for ToolPool {
    type Item = ToolEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ToolEvent>> {
        let pool = &mut *self;
        loop {
            // What a call has shown comes before its end.
            match pool.events.poll_recv(cx) {
                Poll::Ready(Some(event)) => return Poll::Ready(Some(ToolEvent::Shown(event))),
                Poll::Ready(None) | Poll::Pending => {}
            }
            if let Some(event) = pool.last.take() {
                return Poll::Ready(Some(event));
            }
            while pool.running.len() < pool.max_running {
                let Some(call) = pool.waiting.pop_front() else {
                    break;
                };
                pool.running.push(call);
            }
            match Pin::new(&mut pool.running).poll_next(cx) {
                Poll::Ready(Some(ended)) => pool.last = Some(ended),
                Poll::Ready(None) => return Poll::Ready(None),
                // The poll may have shown something; its wake-up brings us back here.
                Poll::Pending => match pool.events.poll_recv(cx) {
                    Poll::Ready(Some(event)) => return Poll::Ready(Some(ToolEvent::Shown(event))),
                    Poll::Ready(None) | Poll::Pending => return Poll::Pending,
                },
            }
        }
    }
}

/// A call on its way to its end.
struct Attempt {
    call: ToolCall,
    tool: FunctionTool,
    hooks: HookSet,
    scope: Arc<CallScope>,
    on_uncertain: OnUncertain,
}

/// What becomes of a call.
enum CallDecision {
    Make(Approval),
    Refuse {
        message: String,
        failure: ToolError,
        guardrails: Vec<GuardrailResult>,
    },
}

impl Attempt {
    async fn make(self, permission: Permission, call: &FunctionCall) -> Result<CallEnd, ToolError> {
        let mut asked = AskedCall::new(&self.tool, ExecutionCertainty::Certain);
        let approval = match self.decide(permission, &mut asked).await? {
            CallDecision::Make(approval) => approval,
            CallDecision::Refuse {
                message,
                failure,
                guardrails,
            } => {
                let refused = self.call.refuse(message, failure, guardrails);
                return end(refused.await, asked, &self.scope);
            }
        };
        let made = self.call.make(approval.clone(), self.hooks);
        // A call that waits has no effect yet, and the effects inside a call of an agent pass the journal one by one.
        if approval == Approval::Required || self.tool.is_composite() {
            return end(made.await, asked, &self.scope);
        }
        let effect: ToolEffect = Box::pin(async move { outcome(made.await) });
        let TurnScope { setup, number, .. } = &*self.scope.turn;
        let key = EffectKey::tool_call(*number, &*call.call_id).within(&setup.scope.path);
        let passed = setup.options.journal.tool_call(ToolCallEffect {
            key,
            tool: self.tool.name().clone(),
            arguments: call.arguments.clone(),
            on_uncertain: self.on_uncertain,
            effect,
        });
        match passed.await {
            Ok(outcome) => Ok(CallEnd::Done(outcome)),
            Err(ToolError::InDoubt { tool }) => {
                end(ToolCallResult::InDoubt { tool }, asked, &self.scope)
            }
            Err(error) => Err(error),
        }
    }

    /// Finds what becomes of the call, by what is known of it and by what its tool says.
    async fn decide(
        &self,
        permission: Permission,
        asked: &mut AskedCall,
    ) -> Result<CallDecision, ToolError> {
        let tool = || self.tool.name().clone();
        let (decision, guardrails) = match permission {
            Permission::Disabled { message } => {
                return Ok(CallDecision::Refuse {
                    message,
                    failure: ToolError::Disabled { tool: tool() },
                    guardrails: Vec::new(),
                });
            }
            Permission::GoesOn { state, guardrails } => {
                self.scope.pause(state);
                return Ok(CallDecision::Make(Approval::GoesOn(guardrails)));
            }
            Permission::Decided {
                decision,
                guardrails,
            } => (Some(decision), guardrails),
            Permission::AskAgain { changed } => {
                asked.changed = Some(changed);
                (None, None)
            }
            Permission::Open { standing, changed } => {
                if !self.call.needs_approval().await? {
                    return Ok(CallDecision::Make(Approval::Given));
                }
                asked.changed = changed;
                (standing, None)
            }
        };
        Ok(match (decision, guardrails) {
            (None, _) => CallDecision::Make(Approval::Required),
            (Some(Decision::Approved), None) => CallDecision::Make(Approval::Given),
            (Some(Decision::Approved), Some(before)) => {
                CallDecision::Make(Approval::GivenAfter(before))
            }
            (Some(Decision::Rejected { message }), before) => CallDecision::Refuse {
                message,
                failure: ToolError::NotApproved { tool: tool() },
                guardrails: before.unwrap_or_default(),
            },
        })
    }
}

/// What the result of a call means for the turn.
fn end(
    result: ToolCallResult,
    mut asked: AskedCall,
    scope: &CallScope,
) -> Result<CallEnd, ToolError> {
    match result {
        ToolCallResult::ApprovalRequired { guardrails, .. } => {
            asked.guardrails = Some(guardrails);
            Ok(CallEnd::Asked(Box::new(asked)))
        }
        ToolCallResult::InDoubt { .. } => {
            asked.certainty = ExecutionCertainty::MayHaveRun;
            Ok(CallEnd::Asked(Box::new(asked)))
        }
        ToolCallResult::Paused { tool, guardrails } => match scope.take_paused() {
            Some(state) => Ok(CallEnd::Paused { state, guardrails }),
            // Who pauses leaves the state there.
            None => Err(ToolError::ApprovalRequired { tool }),
        },
        made => outcome(made).map(CallEnd::Done),
    }
}

/// What the model is given for a call that was made or refused.
fn outcome(result: ToolCallResult) -> Result<ToolOutcome, ToolError> {
    match result {
        ToolCallResult::Output { output, guardrails } => Ok(ToolOutcome {
            guardrails,
            ..ToolOutcome::new(output.into_content(), None)
        }),
        ToolCallResult::Refused {
            message,
            failure,
            guardrails,
        } => Ok(ToolOutcome {
            source: match &failure {
                // The tool is not there for the model.
                Some(ToolError::Disabled { .. }) => OutcomeSource::Runner,
                _ => OutcomeSource::Tool,
            },
            guardrails,
            ..ToolOutcome::new(message.into(), failure.map(|error| error.error_chain()))
        }),
        ToolCallResult::ApprovalRequired { tool, .. } | ToolCallResult::Paused { tool, .. } => {
            Err(ToolError::ApprovalRequired { tool })
        }
        ToolCallResult::InDoubt { tool } => Err(ToolError::InDoubt { tool }),
        ToolCallResult::Fatal(error) => Err(error),
    }
}
