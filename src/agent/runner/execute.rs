//! Tool calls, side by side.
//!
//! Guardrails, time-outs, output limits and what a failure means are decided here and nowhere else. A panic is contained by the tool
//! itself.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::stream::FuturesUnordered;
use serde::Deserialize;
use tokio::sync::mpsc;

use super::RunEvent;
use super::agent_tool::NestedPause;
use super::around::HookSet;
use super::call::{Links, TurnLinks};
use super::options::RunOptions;
use super::request::Place;
use super::step::{CallAction, CallEnd, PlannedCall};
use crate::agent::{Agent, RunState};
use crate::context::RunContext;
use crate::error::{RunError, RunFailure};
use crate::future::BoxFuture;
use crate::guardrail::{GuardrailResult, GuardrailStage, Verdict};
use crate::item::{FunctionCall, OutputContent};
use crate::journal::{EffectKey, Repeat, ToolCallEffect, ToolEffect, ToolOutcome};
use crate::model::{Delivery, Model};
use crate::tools::{FunctionTool, ToolContext, ToolError, ToolFailure, ToolOutput, ToolVerdict};

/// What the model is told of a failure whose details are kept from it; the Python SDK's words.
const FAILURE_TEXT: &str = "An error occurred while running the tool. Please try again.";

/// How many events of its tools a run takes before it must be read; then the tools wait.
const MAX_WAITING_EVENTS: usize = 64;

/// The tool calls of one turn; a stream of what happens in them, and of them as each one ends.
pub(super) struct ToolPool {
    running: FuturesUnordered<RunningCall>,
    waiting: VecDeque<RunningCall>,
    max_running: usize,
    events: mpsc::Receiver<Box<RunEvent>>,
    ended: Vec<(usize, CallEnd)>,
    /// A call that ended, while what it had shown before is read.
    last: Option<ToolEvent>,
}

/// A call that runs.
type RunningCall = BoxFuture<'static, EndedCall>;

struct EndedCall {
    /// Its place among the calls of the turn.
    n: usize,
    call: FunctionCall,
    result: Result<ToolOutcome, ToolError>,
}

/// What happened in the calls.
pub(super) enum ToolEvent {
    /// A call shows something.
    Shown(Box<RunEvent>),
    Done {
        call: FunctionCall,
        outcome: ToolOutcome,
    },
    Fatal(ToolError),
}

/// What the calls of a turn share.
pub(super) struct TurnTools<'a> {
    pub(super) cx: &'a RunContext,
    pub(super) agent: &'a Agent,
    pub(super) turn: u32,
    pub(super) options: &'a Arc<RunOptions>,
    pub(super) model: &'a Arc<dyn Model>,
    pub(super) delivery: Delivery,
    pub(super) place: &'a Place,
}

impl ToolPool {
    /// Takes the calls; none begins before the pool is polled.
    pub(super) fn new(calls: Vec<PlannedCall>, turn: &TurnTools<'_>) -> Self {
        let (sender, events) = mpsc::channel(MAX_WAITING_EVENTS);
        let shared = Arc::new(TurnLinks {
            number: turn.turn,
            model: Arc::clone(turn.model),
            options: Arc::clone(turn.options),
            delivery: turn.delivery,
            place: turn.place.clone(),
            events: sender,
        });
        let hooks = HookSet::of(turn.options, turn.agent);
        let calls = calls.into_iter();
        Self {
            running: FuturesUnordered::new(),
            waiting: calls
                .map(|planned| turn.start(planned, &shared, &hooks))
                .collect(),
            max_running: turn
                .options
                .max_tool_concurrency
                .unwrap_or(usize::MAX)
                .max(1),
            events,
            ended: Vec::new(),
            last: None,
        }
    }

    /// Gives the calls that ended.
    pub(super) fn into_ended(self) -> Vec<(usize, CallEnd)> {
        self.ended
    }

    fn end(&mut self, ended: EndedCall) -> Option<ToolEvent> {
        let EndedCall { n, call, result } = ended;
        let error = match result {
            Ok(outcome) => {
                self.ended.push((n, CallEnd::Done(outcome.clone())));
                return Some(ToolEvent::Done { call, outcome });
            }
            Err(error) => error,
        };
        let end = match (paused(&error), &error) {
            (Some(state), _) => CallEnd::Paused(state),
            (None, ToolError::InDoubt { .. }) => CallEnd::InDoubt,
            (None, _) => return Some(ToolEvent::Fatal(error)),
        };
        self.ended.push((n, end));
        None
    }
}

/// The run inside a call, if that is why the call has no output.
fn paused(error: &ToolError) -> Option<Box<RunState>> {
    match error {
        ToolError::Failed { source, .. } => source.downcast_ref::<NestedPause>()?.take(),
        _ => None,
    }
}

impl TurnTools<'_> {
    fn start(&self, planned: PlannedCall, shared: &Arc<TurnLinks>, hooks: &HookSet) -> RunningCall {
        let PlannedCall { n, call, action } = planned;
        let effect: ToolEffect = match action {
            CallAction::Answer(outcome) => Box::pin(async move { Ok(outcome) }),
            CallAction::Invoke {
                tool,
                paused,
                repeat,
            } => {
                let links = Links {
                    turn: Arc::clone(shared),
                    call_id: call.call_id.clone(),
                    name: call.name.clone(),
                    paused: Mutex::new(paused),
                };
                let cx = ToolContext::new(
                    self.cx.clone(),
                    self.agent.shared_name(),
                    tool.name().clone(),
                    &*call.call_id,
                    &*call.arguments,
                )
                .linked(Arc::new(links));
                let effect = Box::pin(invoke(tool.clone(), hooks.clone(), cx));
                self.through_journal(&tool, &call, (effect, repeat))
            }
        };
        Box::pin(async move {
            let result = effect.await;
            EndedCall { n, call, result }
        })
    }

    /// The effects inside a call of an agent pass the journal one by one.
    fn through_journal(
        &self,
        tool: &FunctionTool,
        call: &FunctionCall,
        (effect, repeat): (ToolEffect, Repeat),
    ) -> ToolEffect {
        if tool.is_composite() {
            return effect;
        }
        self.options.journal.tool_call(ToolCallEffect {
            key: EffectKey::tool_call(self.turn, &*call.call_id).within(&self.place.path),
            tool: tool.name().clone(),
            arguments: call.arguments.clone(),
            repeat,
            effect,
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
                Poll::Ready(Some(ended)) => pool.last = pool.end(ended),
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

/// Calls a tool once, with everything around it, and turns a failure into what its options say.
async fn invoke(
    tool: FunctionTool,
    hooks: HookSet,
    cx: ToolContext,
) -> Result<ToolOutcome, ToolError> {
    let mut verdicts = Vec::new();
    if let Some(message) = guard(&tool, &cx, None, &mut verdicts).await? {
        return Ok(outcome(message.into(), None, verdicts));
    }
    hooks
        .tell_of_call(&cx, "on_tool_start", |hooks| hooks.on_tool_start(&cx))
        .await?;
    let result = within_limits(&tool, cx.clone()).await;
    let (output, failure) = match result {
        Ok(output) => match guard(&tool, &cx, Some(&output), &mut verdicts).await? {
            Some(message) => (message.into(), None),
            None => match content(&tool, &output) {
                Ok(content) => (content, None),
                Err(error) => told(&tool, error)?,
            },
        },
        Err(error) => told(&tool, error)?,
    };
    let text = output.text();
    hooks
        .tell_of_call(&cx, "on_tool_end", |hooks| hooks.on_tool_end(&cx, &text))
        .await?;
    Ok(outcome(output, failure, verdicts))
}

fn outcome(
    output: OutputContent,
    failure: Option<String>,
    guardrails: Vec<GuardrailResult>,
) -> ToolOutcome {
    ToolOutcome {
        output,
        failure,
        guardrails,
    }
}

/// Asks the guardrails of a call, or of its output; gives what the model is told instead, if one rejects.
async fn guard(
    tool: &FunctionTool,
    cx: &ToolContext,
    output: Option<&ToolOutput>,
    verdicts: &mut Vec<GuardrailResult>,
) -> Result<Option<String>, ToolError> {
    let (guardrails, stage) = match output {
        None => (tool.input_guardrails(), GuardrailStage::ToolInput),
        Some(_) => (tool.output_guardrails(), GuardrailStage::ToolOutput),
    };
    for guardrail in guardrails {
        let name = guardrail.name();
        let verdict = guardrail.check(cx.clone(), output.cloned()).await;
        let verdict = verdict.map_err(|source| ToolError::CallbackFailed {
            tool: tool.name().clone(),
            callback: format!("the guardrail `{name}`"),
            source,
        })?;
        match verdict {
            ToolVerdict::Allow => {
                verdicts.push(GuardrailResult::new(
                    name,
                    stage,
                    cx.agent(),
                    Verdict::pass(),
                ));
            }
            ToolVerdict::Reject { message } => {
                let info = message.as_str().into();
                let verdict = Verdict::Pass { info };
                verdicts.push(GuardrailResult::new(name, stage, cx.agent(), verdict));
                return Ok(Some(message));
            }
            ToolVerdict::Trip { info } => {
                return Err(ToolError::GuardrailTripped {
                    tool: tool.name().clone(),
                    guardrail: name.to_owned(),
                    is_output: output.is_some(),
                    info,
                });
            }
        }
    }
    Ok(None)
}

/// What the model is told of a failure, and the failure in full, unless it ends the run.
fn told(
    tool: &FunctionTool,
    error: ToolError,
) -> Result<(OutputContent, Option<String>), ToolError> {
    let options = tool.options();
    let (policy, text) = match &error {
        ToolError::Failed { source, .. } if is_of_run(&**source) => {
            (ToolFailure::Raise, String::new())
        }
        ToolError::AmbiguousArguments { .. } => (ToolFailure::Raise, String::new()),
        ToolError::TimedOut { tool, after } => (
            options.timeout_failure,
            format!(
                "Tool '{tool}' timed out after {} seconds.",
                after.as_secs_f64()
            ),
        ),
        _ => (options.failure, FAILURE_TEXT.to_owned()),
    };
    let detail = with_causes(&error);
    let told = match policy {
        ToolFailure::Raise => return Err(error),
        ToolFailure::TellModelDetail => detail.clone(),
        _ => text,
    };
    tracing::debug!(target: "openai_agents::tools", tool = %tool.name(), error = %detail, "tool failed");
    Ok((told.into(), Some(detail)))
}

/// Whether a failure is none of the tool: a run inside paused, its agents do not fit together, or the journal let something not
/// pass.
fn is_of_run(source: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    if source.is::<NestedPause>() {
        return true;
    }
    let Some(error) = source.downcast_ref::<RunError>() else {
        return false;
    };
    if error.journal_error().is_some() {
        return true;
    }
    match error.failure() {
        RunFailure::Setup(_) | RunFailure::State(_) => true,
        RunFailure::Tool(ToolError::Failed { source, .. }) => is_of_run(&**source),
        _ => false,
    }
}

async fn within_limits(tool: &FunctionTool, cx: ToolContext) -> Result<ToolOutput, ToolError> {
    let options = tool.options();
    let arguments = cx.arguments().to_owned();
    let call = tool.invoke(cx, &arguments);
    let output = match options.timeout {
        None => call.await?,
        Some(after) => {
            let name = || tool.name().clone();
            tokio::time::timeout(after, call)
                .await
                .map_err(|_| ToolError::TimedOut {
                    tool: name(),
                    after,
                })??
        }
    };
    let (n_bytes, max_bytes) = (output.n_bytes(), options.max_output_bytes);
    if n_bytes > max_bytes {
        return Err(ToolError::OutputTooLarge {
            tool: tool.name().clone(),
            n_bytes,
            max_bytes,
        });
    }
    Ok(output)
}

fn content(tool: &FunctionTool, output: &ToolOutput) -> Result<OutputContent, ToolError> {
    match output {
        ToolOutput::Text(text) => Ok(OutputContent::Text(text.clone())),
        parts => OutputContent::deserialize(parts.to_json()).map_err(|error| ToolError::Failed {
            tool: tool.name().clone(),
            source: Box::new(error),
        }),
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
