//! The decisions of a run, without any I/O.
//!
//! [`Run::next`] says what to do; whoever does it gives the outcome back. There is no clock, no socket and no `await` here.

use std::sync::Arc;

use super::graph::Graph;
use super::options::{LastTurn, RunOptions};
use super::prepare::{Offer, Prepared};
use super::request::{Beginning, Place};
use super::resolve::{Reading, answer, resolve};
use super::saved::{Restored, restore, save};
use super::state::{State, View};
use super::step::{
    CallAction, CallEnd, CallStatus, HandoffStep, Resolution, Step, Turn, TurnCall, decided,
    output_item,
};
use crate::agent::run_state::{Keeping, RunState};
use crate::agent::{Agent, HandoffHistory, ToolResult, ToolUse};
use crate::context::{Ledger, RunContext};
use crate::error::{GraphError, RunError, RunFailure, RunProgress};
use crate::guardrail::GuardrailResult;
use crate::item::{History, Item, ItemKind};
use crate::journal::ToolOutcome;
use crate::kind::ErrorKind;
use crate::model::{Delivery, Deviation, ModelError, ModelRequest, ModelResponse};
use crate::usage::Usage;

const NO_RESPONSE_ID: &str = "the response has no id, so that the next request cannot continue it";

/// What the model is told when its final output was taken by a tool call.
const OUTPUT_TAKEN: &str = "The final answer was taken.";

/// A run as a state machine.
pub(super) struct Run {
    pub(super) state: State,
    pub(super) graph: Graph,
    pub(super) prepared: Prepared,
    pub(super) options: Arc<RunOptions>,
    pub(super) delivery: Delivery,
    pub(super) keeping: Keeping,
    pub(super) cx: RunContext,
    pub(super) next: Next,
    /// Whether this turn's request offered tools.
    pub(super) offer: Offer,
    /// What a handoff whose agent was found leads to.
    pub(super) handing_to: Option<Agent>,
}

pub(super) enum Next {
    Model,
    Tools,
    Handoff(usize),
    Pause,
    Finish(String),
}

impl Run {
    /// Begins a run, or goes on with one; what does not fit together is told by the first step.
    pub(super) fn new(
        agent: &Agent,
        beginning: Beginning,
        (options, place): (Arc<RunOptions>, &Place),
        delivery: Delivery,
    ) -> (Self, Option<RunFailure>) {
        let (graph, mut failure) = match Graph::new(agent, &options.agents) {
            Ok(graph) => (graph, None),
            Err(error) => (Graph::default(), Some(RunFailure::Agents(error))),
        };
        let restored = match beginning {
            Beginning::Input(input) => Ok(fresh(agent, input, options.keeping.clone())),
            Beginning::State(state) => restore(*state, agent, &graph),
        };
        let Restored {
            state,
            ledger,
            keeping,
        } = restored.unwrap_or_else(|error| {
            failure.get_or_insert(error);
            fresh(agent, Vec::new(), Keeping::Run)
        });
        let outer = place
            .agents
            .split_last()
            .map_or(&[][..], |(_, outer)| outer);
        let is_recursive = outer.iter().any(|outer| outer.is_same(agent));
        if let Err(error) = check(&graph, &options, &keeping, is_recursive.then_some(agent)) {
            failure.get_or_insert(RunFailure::Agents(error));
        }
        let prepared = Prepared::new(&state.agent, &graph, &options, delivery);
        let cx = RunContext::of_run(
            options.states.clone(),
            options.limits,
            ledger,
            place.parent.clone(),
        );
        let mut run = Self {
            state,
            graph,
            prepared,
            options,
            delivery,
            keeping,
            cx,
            next: Next::Model,
            offer: Offer::Tools,
            handing_to: None,
        };
        run.resume();
        (run, failure)
    }

    /// Goes on with the calls about which was decided, if the run paused.
    fn resume(&mut self) {
        let State {
            pending: Some(turn),
            standing,
            agent,
            ..
        } = &mut self.state
        else {
            return;
        };
        for call in &mut turn.calls {
            let status = std::mem::replace(&mut call.status, CallStatus::Running);
            // What holds for all calls of a tool holds for those that wait, too.
            let key = || (agent.name().to_owned(), call.call.name.clone());
            call.status = match status {
                CallStatus::Asked { tool, decision } => {
                    match decision.or_else(|| standing.get(&key()).cloned()) {
                        Some(decision) => decided(&decision, &tool),
                        None => CallStatus::Asked {
                            tool,
                            decision: None,
                        },
                    }
                }
                CallStatus::Paused { tool, state } => CallStatus::Ready(CallAction::Invoke {
                    tool,
                    paused: Some(state),
                }),
                other => other,
            };
        }
        self.advance();
    }

    pub(super) fn agent(&self) -> &Agent {
        &self.state.agent
    }

    pub(super) fn cx(&self) -> &RunContext {
        &self.cx
    }

    pub(super) fn options(&self) -> &Arc<RunOptions> {
        &self.options
    }

    pub(super) fn turn(&self) -> u32 {
        self.state.turn
    }

    /// What the model sees of the conversation.
    pub(super) fn seen(&self) -> &History {
        self.state.seen()
    }

    /// Whether nothing is left to do but to finish.
    pub(super) fn has_final_output(&self) -> bool {
        matches!(self.next, Next::Finish(_))
    }

    /// Whether the next thing to do belongs to the turn that has begun.
    pub(super) fn is_inside_turn(&self) -> bool {
        matches!(self.next, Next::Tools | Next::Pause)
    }

    /// Whether the next model call begins a turn, so that the run can end before it.
    pub(super) fn is_between_turns(&self) -> bool {
        matches!(self.next, Next::Model)
    }

    /// Whether the agent has had no turn, and notes that it has one now.
    pub(super) fn take_fresh(&mut self) -> bool {
        std::mem::take(&mut self.state.is_fresh)
    }

    /// Says what to do next.
    pub(super) fn next(&mut self) -> Result<Step, RunFailure> {
        match std::mem::replace(&mut self.next, Next::Model) {
            Next::Model => self.model_call().map(Step::CallModel),
            Next::Tools => {
                let ready = self.state.pending.as_mut().map(Turn::take_ready);
                Ok(Step::RunTools(ready.unwrap_or_default()))
            }
            Next::Handoff(n) => self.handoff(n).map(|step| Step::Handoff(Box::new(step))),
            Next::Pause => Ok(Step::Pause),
            Next::Finish(output) => Ok(Step::Finish(output)),
        }
    }

    fn model_call(&mut self) -> Result<ModelRequest, RunFailure> {
        let limits = self.options.limits;
        limits
            .check_turn(self.state.turn)
            .map_err(RunFailure::Limit)?;
        self.cx.begin_request().map_err(RunFailure::Limit)?;
        self.state.turn += 1;
        self.state.n_before_turn = self.state.history.len();
        let is_last = limits.max_turns == Some(self.state.turn);
        self.offer = match self.options.last_turn {
            LastTurn::WithoutTools if is_last => Offer::Nothing,
            LastTurn::WithoutTools | LastTurn::Usual => Offer::Tools,
        };
        let conversation = (&self.graph, &self.keeping);
        Ok(self
            .prepared
            .request(&self.state, conversation, &self.cx, self.offer))
    }

    /// Takes the model's response.
    pub(super) fn accept_response(&mut self, response: ModelResponse) -> Result<(), RunFailure> {
        let ModelResponse { items, mut end } = response;
        let usage = end.usage.unwrap_or(Usage::UNREPORTED);
        self.cx.add_usage(usage);
        end.deviations.extend(self.reused_ids(&items));
        for deviation in &end.deviations {
            tracing::warn!(target: "openai_agents::wire", code = &*deviation.code, detail = %deviation.detail, "deviation tolerated");
        }
        let has_id = end.response_id.is_some();
        self.state.responses.push(end);
        let reading = Reading {
            state: &self.state,
            cx: &self.cx,
            unknown: self.options.unknown_tool,
            offer: self.offer,
            limits: &self.options.limits,
        };
        let resolved = resolve(&reading, &items);
        self.state.extend(items);
        self.state.n_known = self.state.history.len();
        match resolved {
            Ok(Resolution::Final(output)) => self.next = Next::Finish(output),
            Ok(Resolution::Work(_)) if !has_id && matches!(self.keeping, Keeping::Responses(_)) => {
                return Err(RunFailure::Model(ModelError::new(
                    ErrorKind::MissingField,
                    NO_RESPONSE_ID,
                )));
            }
            Ok(Resolution::Work(turn)) => self.begin_work(turn)?,
            Err(failure) => self.ask_again(failure)?,
        }
        Ok(())
    }

    fn begin_work(&mut self, mut turn: Turn) -> Result<(), RunFailure> {
        self.check_output_calls(&mut turn)?;
        let is_tool =
            |status: &CallStatus| !matches!(status, CallStatus::Handoff(_) | CallStatus::Output);
        let n_tools = turn
            .calls
            .iter()
            .filter(|call| is_tool(&call.status))
            .count();
        self.cx
            .begin_tool_calls(n_tools as u64)
            .map_err(RunFailure::Limit)?;
        // The provider's tools count: who must call a tool would otherwise search for ever.
        if turn.calls.is_empty() || n_tools > 0 {
            self.state.used_tools.insert(self.state.agent.shared_name());
        }
        self.state.pending = Some(turn);
        self.advance();
        Ok(())
    }

    /// Takes how the calls of a turn ended.
    pub(super) fn accept_outcomes(&mut self, ended: Vec<(usize, CallEnd)>) {
        self.keep_outcomes(ended);
        self.advance();
    }

    /// Keeps how calls ended before the run failed.
    pub(super) fn keep_outcomes(&mut self, ended: Vec<(usize, CallEnd)>) {
        if let Some(turn) = &mut self.state.pending {
            for (n, end) in ended {
                turn.end(n, end);
            }
        }
    }

    /// Finds what the turn needs next.
    fn advance(&mut self) {
        let Some(turn) = &mut self.state.pending else {
            self.next = Next::Model;
            return;
        };
        let is_ready = |call: &TurnCall| matches!(call.status, CallStatus::Ready(_));
        if turn.calls.iter().any(is_ready) {
            self.next = Next::Tools;
            return;
        }
        if turn.is_waiting() {
            self.next = Next::Pause;
            return;
        }
        let handoff = turn.calls.iter().find_map(|call| match call.status {
            CallStatus::Handoff(n) => Some(n),
            _ => None,
        });
        if let Some(n) = handoff {
            self.next = Next::Handoff(n);
            return;
        }
        let output = final_output(&self.state.agent, &self.cx, turn);
        self.end_turn(None);
        self.next = output.map_or(Next::Model, Next::Finish);
    }

    /// Puts the outputs of the turn into the conversation, in the order of the calls.
    pub(super) fn end_turn(&mut self, handoff_output: Option<&str>) {
        let Some(mut turn) = self.state.pending.take() else {
            return;
        };
        for call in &mut turn.calls {
            let text = match call.status {
                CallStatus::Handoff(_) => handoff_output,
                CallStatus::Output => Some(OUTPUT_TAKEN),
                _ => None,
            };
            if let Some(text) = text {
                call.status = CallStatus::Done(ToolOutcome::new(text.into(), None));
            }
        }
        let answers: Vec<Item> = turn.questions.iter().filter_map(answer).collect();
        self.state.extend(answers);
        self.state.extend(turn.done().map(output_item));
    }

    fn handoff(&mut self, n: usize) -> Result<HandoffStep, RunFailure> {
        let state = &self.state;
        let from = state.agent.clone();
        let handoff = from.bound_handoffs().get(n);
        let target = handoff.and_then(|handoff| Some((handoff, self.graph.target(handoff)?)));
        let turn = state.pending.as_ref();
        let is_it = |call: &&TurnCall| matches!(call.status, CallStatus::Handoff(_));
        let call = turn.and_then(|turn| turn.calls.iter().find(is_it));
        let (Some((handoff, to)), Some(call)) = (target, call) else {
            // The graph has every target, and the turn has the call that led here.
            return Err(RunFailure::Agents(GraphError::UnknownAgent {
                from: from.name().to_owned(),
                to: String::new(),
                known: Vec::new(),
            }));
        };
        let to = to.clone();
        let mut step = HandoffStep {
            call: call.call.clone(),
            tool: handoff.tool.clone(),
            filter: None,
            from: from.clone(),
            to: to.clone(),
        };
        let filter = handoff
            .filter
            .as_ref()
            .or(self.options.handoff_filter.as_ref());
        let filter = filter.cloned();
        self.end_turn(Some(&step.output()));
        step.filter = filter.map(|filter| (filter, self.handoff_history(&from, &to)));
        self.handing_to = Some(to);
        Ok(step)
    }

    /// The conversation in the parts that a filter sees.
    fn handoff_history(&self, from: &Agent, to: &Agent) -> HandoffHistory {
        let state = &self.state;
        let (items, n_input) = match &state.view {
            None => (&state.history, state.n_input),
            Some(view) => (&view.items, view.n_filtered),
        };
        let n_new = state.history.len().saturating_sub(state.n_before_turn);
        let n_before = items.len().saturating_sub(n_new).max(n_input);
        let part = |range: std::ops::Range<usize>| items.get(range).unwrap_or_default().to_vec();
        HandoffHistory {
            cx: self.cx.clone(),
            from: from.shared_name(),
            to: to.shared_name(),
            input: part(0..n_input),
            earlier: part(n_input..n_before),
            new: part(n_before..items.len()),
        }
    }

    /// Takes that the handoff happened, and what the new agent sees if a filter changed it.
    pub(super) fn accept_handoff(&mut self, filtered: Option<HandoffHistory>) {
        if let Some(history) = filtered {
            let parts = [history.input, history.earlier, history.new];
            let items: Vec<Item> = parts.into_iter().flatten().collect();
            self.state.view = Some(View {
                n_filtered: items.len(),
                items: items.into(),
            });
        }
        if let Some(agent) = self.handing_to.take() {
            self.state.agent = agent;
            self.state.is_fresh = true;
            self.prepared =
                Prepared::new(&self.state.agent, &self.graph, &self.options, self.delivery);
        }
        self.next = Next::Model;
    }

    /// Notes what a guardrail said.
    pub(super) fn note(&mut self, result: GuardrailResult) {
        self.state.guardrails.push(result);
    }

    /// Saves the run, which waits for decisions.
    pub(super) fn save(&self) -> RunState {
        let ledger = self.cx.ledger();
        save(&self.state, self.options.limits, ledger, &self.keeping)
    }

    pub(super) fn fail(&mut self, failure: RunFailure) -> RunError {
        if !matches!(failure, RunFailure::ApprovalRequired { .. }) {
            // What was done stays; calls without an output are left out of the progress.
            self.end_turn(None);
        }
        RunError::new(failure, self.progress())
    }

    pub(super) fn progress(&self) -> RunProgress {
        self.state.progress(&self.cx)
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

fn fresh(agent: &Agent, input: Vec<Item>, keeping: Keeping) -> Restored {
    Restored {
        state: State::new(agent.clone(), input),
        ledger: Ledger::default(),
        keeping,
    }
}

/// Finds what could not work, before anything is asked.
fn check(
    graph: &Graph,
    options: &RunOptions,
    keeping: &Keeping,
    recursive: Option<&Agent>,
) -> Result<(), GraphError> {
    if let Some(agent) = recursive {
        let agent = agent.name().to_owned();
        return Err(GraphError::Cycle { agent });
    }
    if *keeping == Keeping::Run {
        return Ok(());
    }
    let by_run = options
        .handoff_filter
        .as_ref()
        .and_then(|_| graph.first_with_handoffs());
    match graph.with_filter().or(by_run) {
        Some(agent) => Err(GraphError::FilterOnServer {
            agent: agent.name().to_owned(),
        }),
        None => Ok(()),
    }
}

/// The final output that a turn's calls give, if they end the run.
fn final_output(agent: &Agent, cx: &RunContext, turn: &Turn) -> Option<String> {
    let by_tool = turn
        .calls
        .iter()
        .find(|call| matches!(call.status, CallStatus::Output));
    if let Some(call) = by_tool {
        return Some(call.call.arguments.clone());
    }
    let results = turn.results();
    let output = |result: Option<&ToolResult>| result.map(|result| result.output.clone());
    match agent.tool_use() {
        ToolUse::RunAgain => None,
        _ if results.is_empty() => None,
        ToolUse::StopOnFirstTool => output(results.first()),
        ToolUse::StopAtTools(names) => {
            output(results.iter().find(|result| names.contains(&result.name)))
        }
        ToolUse::Custom(decide) => decide(cx, &results),
    }
}
