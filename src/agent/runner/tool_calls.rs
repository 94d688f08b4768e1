//! The tool calls of a turn, side by side: with what was decided about them, through the journal.
//!
//! What belongs to a call whoever makes it is in `tools/invocation`.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc;

use super::RunEvent;
use super::call_scope::{CallScope, EventSlot, TurnScope};
use super::layer::{HookSet, Performance, RunStep, StepKind, StepOutcome, ToolCallEnd};
use super::run::Run;
use super::turn::{CallAction, CallEnd, Permission, PlannedCall};
use crate::agent::run_state::{AskedCall, Decision, ExecutionCertainty};
use crate::error::{RunFailure, error_chain};
use crate::future::BoxFuture;
use crate::guardrail::GuardrailResult;
use crate::journal::{
    EffectKey, OnUncertain, OutcomeSource, ToolCallEffect, ToolEffect, ToolOutcome,
};
use crate::tools::{Approval, FunctionTool, ToolCall, ToolCallResult, ToolContext, ToolError};
use crate::trace;

/// The tool calls of one turn; a stream of what happens in them, and of them as each one ends.
pub(super) struct ToolPool {
    running: Running,
    waiting: VecDeque<RunningCall>,
    max_running: usize,
    shared: Arc<TurnScope>,
    /// What the calls show, once one of them has shown something.
    events: Option<mpsc::Receiver<Box<RunEvent>>>,
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
        let options = &run.setup().options;
        let turn = TurnTools {
            run,
            shared: Arc::new(TurnScope {
                number: run.turn(),
                setup: Arc::clone(run.setup()),
                history: run.seen().clone(),
                layers: run.layers().clone(),
                events: EventSlot::default(),
            }),
            hooks: HookSet::of(options, run.agent()),
        };
        // One call needs no set, and `FuturesUnordered` allocates for each future that it holds.
        let is_only = calls.len() == 1;
        let mut calls = calls.into_iter().map(|planned| turn.start(planned));
        let (running, waiting) = if is_only {
            (
                calls.next().map_or(Running::None, Running::One),
                VecDeque::new(),
            )
        } else {
            (Running::Many(FuturesUnordered::new()), calls.collect())
        };
        Self {
            running,
            waiting,
            // None at once would never end.
            max_running: options.max_tool_concurrency.unwrap_or(usize::MAX).max(1),
            events: None,
            last: None,
            shared: turn.shared,
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
        // The tool gets its run through this scope: to show progress, to see the conversation, and,
        // for an agent as a tool, to begin its own run.
        let scope = Arc::new(CallScope {
            turn: Arc::clone(&self.shared),
            call: call.clone(),
            paused: Mutex::new(None),
        });
        let agent = self.run.agent().shared_name();
        let cx = ToolContext::of_call(self.run.cx().clone(), agent, tool.name().clone(), call);
        let cx = cx.linked(Arc::<CallScope>::clone(&scope));
        let attempt = Attempt {
            call: ToolCall::new(&tool, cx.clone()),
            tool,
            hooks: self.hooks.clone(),
            scope,
            on_uncertain,
        };
        // Without layers the call is polled as it is: a step made for nobody costs an allocation for each call.
        let layers = self.run.layers();
        // Mapped and not awaited in a block: a block would hold all that goes into the call a second time.
        let made = attempt.make(permission);
        if layers.is_empty() {
            return Box::pin(made.map(move |end| ToolEvent::Ended { n, end }));
        }
        let inner = made.map(|made| match made {
            Ok(end) => StepOutcome::ToolCalled(ToolCallEnd(end)),
            Err(error) => StepOutcome::Failed(RunFailure::Tool(error)),
        });
        let (agent, turn) = (self.run.agent(), self.run.turn());
        let step = || RunStep {
            cx: self.run.cx().clone(),
            agent: agent.clone(),
            turn,
            kind: StepKind::CallTool { call: cx.clone() },
        };
        let inner = Performance::Future(Box::pin(inner));
        let mut performance = match layers.trace_alone() {
            Some(trace) => trace.tool_call((agent, turn), &cx, inner),
            None => layers.around(step, inner),
        };
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

impl ToolPool {
    /// Waits for something that a call shows; pending also while none has shown anything.
    fn poll_shown(&mut self, cx: &mut Context<'_>) -> Poll<ToolEvent> {
        if self.events.is_none() {
            self.events = self.shared.events.take_receiver(cx);
        }
        match self.events.as_mut().map(|events| events.poll_recv(cx)) {
            Some(Poll::Ready(Some(event))) => Poll::Ready(ToolEvent::Shown(event)),
            Some(Poll::Ready(None) | Poll::Pending) | None => Poll::Pending,
        }
    }
}

impl Stream for ToolPool {
    type Item = ToolEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ToolEvent>> {
        let pool = &mut *self;
        loop {
            // What a call has shown comes before its end.
            if let Poll::Ready(event) = pool.poll_shown(cx) {
                return Poll::Ready(Some(event));
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
            match pool.running.poll(cx) {
                Poll::Ready(Some(ended)) => pool.last = Some(ended),
                Poll::Ready(None) => return Poll::Ready(None),
                // The poll may have shown something; its wake-up brings us back here.
                Poll::Pending => return pool.poll_shown(cx).map(Some),
            }
        }
    }
}

/// The calls that run. One alone, as most turns have it, needs no set.
enum Running {
    One(RunningCall),
    Many(FuturesUnordered<RunningCall>),
    None,
}

impl Running {
    fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::One(_) => 1,
            Self::Many(calls) => calls.len(),
        }
    }

    fn push(&mut self, call: RunningCall) {
        if let Self::Many(calls) = self {
            calls.push(call);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<ToolEvent>> {
        match self {
            Self::None => Poll::Ready(None),
            Self::One(call) => {
                let ended = std::task::ready!(call.as_mut().poll(cx));
                *self = Self::None;
                Poll::Ready(Some(ended))
            }
            Self::Many(calls) => calls.poll_next_unpin(cx),
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
    async fn make(self, permission: Permission) -> Result<CallEnd, ToolError> {
        // A call comes to its end in this order: permission, then `tools/invocation` with its
        // guardrails and time-out, around that the journal, and last what the result means for the
        // turn.
        let (decision, changed) = self.decide(permission).await?;
        let waits = WaitingCall {
            tool: self.tool.clone(),
            changed,
            scope: Arc::clone(&self.scope),
        };
        let approval = match decision {
            CallDecision::Make(approval) => approval,
            CallDecision::Refuse {
                message,
                failure,
                guardrails,
            } => {
                let refused = self.call.refuse(message, failure, guardrails);
                return waits.end(refused.await);
            }
        };
        let is_effect = approval != Approval::Required && !self.tool.is_composite();
        let TurnScope { setup, number, .. } = &*self.scope.turn;
        // A call that waits has no effect yet, and the effects inside a call of an agent pass the journal one by one.
        let Some(journal) = setup.options.journal.as_ref().filter(|_| is_effect) else {
            return waits.end(self.call.make(approval, self.hooks).await);
        };
        let call = &self.scope.call;
        let made = self.call.make(approval, self.hooks);
        let effect: ToolEffect = Box::pin(async move {
            trace::note_effect();
            outcome(made.await)
        });
        // From here the journal decides whether the tool is called. It may give a remembered
        // outcome, or say that an earlier execution may have made the call.
        let passed = journal.tool_call(ToolCallEffect {
            key: EffectKey::tool_call(*number, &*call.call_id).within(&setup.scope.path),
            tool: self.tool.name().clone(),
            arguments: call.arguments.clone(),
            on_uncertain: self.on_uncertain,
            effect,
        });
        let passed = passed.await;
        trace::note_replay();
        match passed {
            Ok(outcome) => Ok(CallEnd::Done(outcome)),
            Err(ToolError::InDoubt { tool }) => waits.end(ToolCallResult::InDoubt { tool }),
            Err(error) => Err(error),
        }
    }

    /// Finds what becomes of the call, by what is known of it and by what its tool says.
    ///
    /// Beside it, what of the tool changed since someone decided about it.
    async fn decide(
        &self,
        permission: Permission,
    ) -> Result<(CallDecision, Option<String>), ToolError> {
        let tool = || self.tool.name().clone();
        let mut tool_changed = None;
        let (decision, guardrails) = match permission {
            Permission::Disabled { message } => {
                let refused = CallDecision::Refuse {
                    message,
                    failure: ToolError::Disabled { tool: tool() },
                    guardrails: Vec::new(),
                };
                return Ok((refused, None));
            }
            Permission::GoesOn { state, guardrails } => {
                self.scope.pause(state);
                return Ok((CallDecision::Make(Approval::GoesOn(guardrails)), None));
            }
            Permission::Decided {
                decision,
                guardrails,
            } => (Some(decision), guardrails),
            Permission::AskAgain { changed } => {
                tool_changed = Some(changed);
                (None, None)
            }
            // The tool is asked first. A standing decision only answers its question; it does not
            // ask for approval where the tool needs none.
            Permission::Open { standing, changed } => {
                if !self.call.needs_approval().await? {
                    return Ok((CallDecision::Make(Approval::Given), None));
                }
                tool_changed = changed;
                (standing, None)
            }
        };
        let decision = match (decision, guardrails) {
            (None, _) => CallDecision::Make(Approval::Required),
            (Some(Decision::Approved), None) => CallDecision::Make(Approval::Given),
            // The input guardrails looked at the call before the run paused. They are not asked
            // again about what a person has approved since.
            (Some(Decision::Approved), Some(before)) => {
                CallDecision::Make(Approval::GivenAfter(before))
            }
            (Some(Decision::Rejected { message }), before) => CallDecision::Refuse {
                message,
                failure: ToolError::NotApproved { tool: tool() },
                guardrails: before.unwrap_or_default(),
            },
        };
        Ok((decision, tool_changed))
    }
}

/// What is needed if the call has to wait; it is put together only then.
struct WaitingCall {
    tool: FunctionTool,
    changed: Option<String>,
    scope: Arc<CallScope>,
}

impl WaitingCall {
    /// What the result of a call means for the turn.
    fn end(self, result: ToolCallResult) -> Result<CallEnd, ToolError> {
        match result {
            ToolCallResult::ApprovalRequired { guardrails, .. } => {
                let mut asked = self.asked(ExecutionCertainty::Certain);
                asked.guardrails = Some(guardrails);
                Ok(CallEnd::Asked(Box::new(asked)))
            }
            ToolCallResult::InDoubt { .. } => {
                let asked = self.asked(ExecutionCertainty::MayHaveRun);
                Ok(CallEnd::Asked(Box::new(asked)))
            }
            ToolCallResult::Paused { tool, guardrails } => match self.scope.take_paused() {
                Some(state) => Ok(CallEnd::Paused { state, guardrails }),
                // Who pauses leaves the state there.
                None => Err(ToolError::ApprovalRequired { tool }),
            },
            made => outcome(made).map(CallEnd::Done),
        }
    }

    fn asked(self, certainty: ExecutionCertainty) -> AskedCall {
        let mut asked = AskedCall::new(&self.tool, certainty);
        asked.changed = self.changed;
        asked
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
            ..ToolOutcome::new(message.into(), failure.map(|error| error_chain(&error)))
        }),
        ToolCallResult::ApprovalRequired { tool, .. } | ToolCallResult::Paused { tool, .. } => {
            Err(ToolError::ApprovalRequired { tool })
        }
        ToolCallResult::InDoubt { tool } => Err(ToolError::InDoubt { tool }),
        ToolCallResult::Fatal(error) => Err(error),
    }
}
