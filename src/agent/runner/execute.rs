//! Tool calls, side by side.
//!
//! Time-outs, output limits and what a failure means are decided here and nowhere else. A panic is contained by the tool itself.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_util::stream::FuturesUnordered;
use serde::Deserialize;

use super::step::{CallAction, FinishedCall, PlannedCall};
use crate::context::RunContext;
use crate::future::BoxFuture;
use crate::item::{FunctionCall, OutputContent};
use crate::journal::{EffectKey, Journal, ToolEffect, ToolOutcome};
use crate::tools::{FunctionTool, ToolContext, ToolError, ToolFailure, ToolOutput};

/// What the model is told of a failure whose details are kept from it; the Python SDK's words.
const FAILURE_TEXT: &str = "An error occurred while running the tool. Please try again.";

/// The tool calls of one turn; a stream of them as each one ends.
pub(super) struct ToolPool {
    running: FuturesUnordered<RunningCall>,
    waiting: VecDeque<(usize, FunctionCall, ToolEffect)>,
    max_running: usize,
    finished: Vec<Option<FinishedCall>>,
}

/// A call that runs; it gives its place among the calls back with its result.
type RunningCall = BoxFuture<'static, (usize, FunctionCall, Result<ToolOutcome, ToolError>)>;

/// A tool call that ended, or that ends the run.
pub(super) enum ToolEvent {
    Done {
        call: FunctionCall,
        outcome: ToolOutcome,
    },
    Fatal(ToolError),
}

/// What the calls of a turn share.
pub(super) struct TurnTools<'a> {
    pub(super) cx: &'a RunContext,
    pub(super) agent: Arc<str>,
    pub(super) turn: u32,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) max_concurrency: Option<usize>,
}

impl ToolPool {
    /// Takes the calls; none begins before the pool is polled.
    pub(super) fn new(calls: Vec<PlannedCall>, turn: &TurnTools<'_>) -> Self {
        let n_calls = calls.len();
        let mut pool = Self {
            running: FuturesUnordered::new(),
            waiting: VecDeque::with_capacity(n_calls),
            max_running: turn.max_concurrency.unwrap_or(usize::MAX).max(1),
            finished: Vec::new(),
        };
        pool.finished.resize_with(n_calls, || None);
        for (n, PlannedCall { call, action }) in calls.into_iter().enumerate() {
            let effect: ToolEffect = match action {
                CallAction::Answer(outcome) => Box::pin(async move { Ok(outcome) }),
                CallAction::Invoke(tool) => {
                    let key = EffectKey::tool_call(turn.turn, &*call.call_id);
                    let cx = ToolContext::new(
                        turn.cx.clone(),
                        Arc::clone(&turn.agent),
                        tool.name().clone(),
                        &*call.call_id,
                        &*call.arguments,
                    );
                    turn.journal.tool_call(key, Box::pin(invoke(tool, cx)))
                }
            };
            pool.waiting.push_back((n, call, effect));
        }
        pool
    }

    /// Gives the calls that ended, in the order of the calls.
    pub(super) fn into_finished(self) -> Vec<FinishedCall> {
        self.finished.into_iter().flatten().collect()
    }
}

impl Stream for ToolPool {
    type Item = ToolEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ToolEvent>> {
        let pool = &mut *self;
        while pool.running.len() < pool.max_running {
            let Some((n, call, effect)) = pool.waiting.pop_front() else {
                break;
            };
            pool.running
                .push(Box::pin(async move { (n, call, effect.await) }));
        }
        let Some((n, call, result)) = ready!(Pin::new(&mut pool.running).poll_next(cx)) else {
            return Poll::Ready(None);
        };
        Poll::Ready(Some(match result {
            Ok(outcome) => {
                if let Some(slot) = pool.finished.get_mut(n) {
                    *slot = Some(FinishedCall {
                        call: call.clone(),
                        outcome: outcome.clone(),
                    });
                }
                ToolEvent::Done { call, outcome }
            }
            Err(error) => ToolEvent::Fatal(error),
        }))
    }
}

/// Calls a tool once and turns a failure into what its options say.
async fn invoke(tool: FunctionTool, cx: ToolContext) -> Result<ToolOutcome, ToolError> {
    let result = within_limits(&tool, cx).await;
    let options = tool.options();
    let error = match result.and_then(|output| content(&tool, &output)) {
        Ok(output) => {
            return Ok(ToolOutcome {
                output,
                failure: None,
            });
        }
        Err(error) => error,
    };
    let (policy, text) = match &error {
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
    Ok(ToolOutcome {
        output: told.into(),
        failure: Some(detail),
    })
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
