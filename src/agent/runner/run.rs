//! The decisions of a run, without any I/O.
//!
//! [`Run::next`] says what to do; whoever does it gives the outcome back. There is no clock, no socket and no `await` here.

use super::prepare::{Keeping, Prepared};
use super::resolve::resolve;
use super::step::{FinishedCall, PlannedCall, Resolution, Step};
use super::{RunOptions, state::RunState};
use crate::agent::{Agent, ToolResult, ToolUse};
use crate::context::RunContext;
use crate::error::{RunError, RunFailure, RunProgress};
use crate::item::{FunctionCallOutput, Item, ItemKind};
use crate::kind::ErrorKind;
use crate::model::{Delivery, Deviation, ModelError, ModelResponse};
use crate::usage::Usage;

const NO_RESPONSE_ID: &str = "the response has no id, so that the next request cannot continue it";

/// A run as a state machine.
pub(super) struct Run {
    state: RunState,
    prepared: Prepared,
    options: RunOptions,
    cx: RunContext,
    next: Next,
}

enum Next {
    Model,
    Tools(Vec<PlannedCall>),
    Finish(String),
}

impl Run {
    pub(super) fn new(
        agent: Agent,
        input: Vec<Item>,
        mut options: RunOptions,
        delivery: Delivery,
    ) -> Self {
        let state = RunState::new(agent, input);
        let prepared = Prepared::new(&state, &options, delivery);
        let cx = RunContext::new(std::mem::take(&mut options.states));
        Self {
            state,
            prepared,
            options,
            cx,
            next: Next::Model,
        }
    }

    pub(super) fn agent(&self) -> &Agent {
        &self.state.agent
    }

    pub(super) fn cx(&self) -> &RunContext {
        &self.cx
    }

    pub(super) fn turn(&self) -> u32 {
        self.state.turn
    }

    /// Whether nothing is left to do but to finish.
    pub(super) fn has_final_output(&self) -> bool {
        matches!(self.next, Next::Finish(_))
    }

    /// Says what to do next.
    pub(super) fn next(&mut self) -> Result<Step, RunFailure> {
        match std::mem::replace(&mut self.next, Next::Model) {
            Next::Model => {
                self.options
                    .limits
                    .check_model_call(self.state.turn, &self.state.usage)
                    .map_err(RunFailure::Limit)?;
                self.state.turn += 1;
                Ok(Step::CallModel(
                    self.prepared.request(&self.state, &self.cx),
                ))
            }
            Next::Tools(calls) => Ok(Step::RunTools(calls)),
            Next::Finish(output) => Ok(Step::Finish(output)),
        }
    }

    /// Takes the model's response.
    pub(super) fn accept_response(&mut self, response: ModelResponse) -> Result<(), RunFailure> {
        let ModelResponse { items, mut end } = response;
        let usage = end.usage.unwrap_or(Usage::UNREPORTED);
        self.state.usage += usage;
        self.cx.add_usage(usage);
        end.deviations.extend(self.reused_ids(&items));
        for deviation in &end.deviations {
            tracing::warn!(target: "openai_agents::wire", code = deviation.code, detail = %deviation.detail, "deviation tolerated");
        }
        let has_id = end.response_id.is_some();
        self.state.responses.push(end);
        let resolved = resolve(
            &self.state.agent,
            &self.cx,
            &items,
            self.options.unknown_tool,
        );
        self.state.extend(items);
        self.state.n_known = self.state.history.len();
        self.next = match resolved? {
            Resolution::Final(output) => Next::Finish(output),
            Resolution::Work { .. }
                if !has_id && matches!(self.options.keeping, Keeping::Responses(_)) =>
            {
                return Err(RunFailure::Model(ModelError::new(
                    ErrorKind::MissingField,
                    NO_RESPONSE_ID,
                )));
            }
            Resolution::Work { calls, answers } => {
                let n_calls = self.state.n_tool_calls + calls.len() as u64;
                self.options
                    .limits
                    .check_tool_calls(n_calls)
                    .map_err(RunFailure::Limit)?;
                self.state.n_tool_calls = n_calls;
                // The provider's tools count: who must call a tool would otherwise search for ever.
                self.state.used_tools = true;
                self.state.extend(answers);
                if calls.is_empty() {
                    Next::Model
                } else {
                    Next::Tools(calls)
                }
            }
        };
        Ok(())
    }

    /// Takes the outcomes of a turn's tool calls, in the order of the calls.
    pub(super) fn accept_outcomes(&mut self, finished: Vec<FinishedCall>) {
        let output = self.final_output(&finished);
        self.state.extend(finished.into_iter().map(output_item));
        self.next = output.map_or(Next::Model, Next::Finish);
    }

    /// Keeps the outputs of calls that finished before the run failed.
    pub(super) fn keep_outcomes(&mut self, finished: Vec<FinishedCall>) {
        self.state.extend(finished.into_iter().map(output_item));
    }

    pub(super) fn fail(&self, failure: RunFailure) -> RunError {
        RunError::new(failure, self.state.progress())
    }

    pub(super) fn progress(&self) -> RunProgress {
        self.state.progress()
    }

    fn final_output(&self, finished: &[FinishedCall]) -> Option<String> {
        match self.state.agent.tool_use() {
            ToolUse::RunAgain => None,
            ToolUse::StopOnFirstTool => finished.first().map(|call| call.outcome.output.text()),
            ToolUse::StopAtTools(names) => finished
                .iter()
                .find(|call| names.contains(&call.call.name))
                .map(|call| call.outcome.output.text()),
            ToolUse::Custom(decide) => {
                let results: Vec<ToolResult> = finished.iter().map(FinishedCall::result).collect();
                decide(&self.cx, &results)
            }
        }
    }

    /// Notes call ids that an earlier turn had for another call; outputs still go by their place.
    fn reused_ids(&mut self, items: &[Item]) -> Vec<Deviation> {
        let mut deviations = Vec::new();
        for item in items {
            let ItemKind::FunctionCall(call) = item.kind() else {
                continue;
            };
            let before = self.state.calls.insert(call.call_id.clone(), item.clone());
            if let Some(ItemKind::FunctionCall(before)) = before.as_ref().map(Item::kind)
                && (&before.name, &before.arguments) != (&call.name, &call.arguments)
            {
                // Deviations are logged, where arguments have no place.
                let detail = format!(
                    "the server gave the id {:?} to a call of `{}`, and to another call, of `{}`, before",
                    call.call_id, call.name, before.name
                );
                deviations.push(Deviation::new("reused_tool_call_id", detail));
            }
        }
        deviations
    }
}

fn output_item(finished: FinishedCall) -> Item {
    FunctionCallOutput::new(finished.call.call_id, finished.outcome.output).into()
}
