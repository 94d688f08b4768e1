//! The decisions of a run, without any I/O.
//!
//! [`Run::next`] says what to do; whoever does it gives the outcome back. There is no clock, no socket and no `await` here.

use std::sync::Arc;

use super::graph::Graph;
use super::model_request::{RequestTemplate, ToolOffer};
use super::options::{LastTurn, RunOptions};
use super::request::{RunScope, RunStart};
use super::resolve::{ResolveContext, answer, resolve};
use super::snapshot::{Restored, missing, restore, save};
use super::state::State;
use super::step::{
    CallEnd, CallStatus, Permission, Resolution, Step, Turn, TurnCall, invoke, output_item,
};
use super::tool_sources::SourcedTools;
use crate::agent::run_state::{
    AskedCall, ExecutionCertainty, HistoryOwner, RunState, SavedSession,
};
use crate::agent::{Agent, ToolResult, ToolUseBehavior};
use crate::context::{Ledger, RunContext};
use crate::error::{RunError, RunFailure, RunProgress, SetupError};
use crate::guardrail::GuardrailResult;
use crate::item::{FunctionCall, History, Item, ItemKind};
use crate::journal::ToolOutcome;
use crate::kind::ErrorKind;
use crate::model::{Delivery, Deviation, ModelError, ModelRequest, ModelResponse};
use crate::tools::{FunctionTool, ToolSource};
use crate::usage::Usage;

const NO_RESPONSE_ID: &str = "the response has no id, so that the next request cannot continue it";

/// What the model is told when its final output was taken by a tool call.
const OUTPUT_TAKEN: &str = "The final answer was taken.";

/// A run as a state machine.
pub(super) struct Run {
    pub(super) state: State,
    pub(super) graph: Graph,
    pub(super) prepared: RequestTemplate,
    pub(super) options: Arc<RunOptions>,
    pub(super) delivery: Delivery,
    pub(super) history_owner: HistoryOwner,
    pub(super) cx: RunContext,
    pub(super) next: Next,
    /// Whether this turn's request offered tools.
    pub(super) offer: ToolOffer,
    /// What a handoff whose agent was found leads to.
    pub(super) handing_to: Option<Agent>,
    /// The session of a run that goes on.
    pub(super) session: Option<SavedSession>,
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
        beginning: RunStart,
        (options, scope): (Arc<RunOptions>, &RunScope),
        delivery: Delivery,
    ) -> (Self, Option<RunFailure>) {
        let (graph, mut failure) = match Graph::new(agent, &options.agents) {
            Ok(graph) => (graph, None),
            Err(error) => (Graph::default(), Some(RunFailure::Setup(error))),
        };
        let restored = match beginning {
            RunStart::Input(input) => Ok(fresh(agent, input, options.history_owner.clone())),
            RunStart::State(state) => restore(*state, agent, &graph),
        };
        let Restored {
            state,
            ledger,
            history_owner,
            final_output,
            session,
        } = restored.unwrap_or_else(|error| {
            failure.get_or_insert(error);
            fresh(agent, Vec::new(), HistoryOwner::Run)
        });
        let outer = scope
            .agents
            .split_last()
            .map_or(&[][..], |(_, outer)| outer);
        let is_recursive = outer.iter().any(|outer| outer.is_same(agent));
        if let Err(error) = check(
            &graph,
            &options,
            &history_owner,
            is_recursive.then_some(agent),
        ) {
            failure.get_or_insert(RunFailure::Setup(error));
        }
        if let Err(error) = options.check_models(graph.agents()) {
            failure.get_or_insert(error);
        }
        let prepared = RequestTemplate::new(&state.agent, &graph, &options, delivery);
        let cx = RunContext::of_run(
            options.states.clone(),
            options.limits,
            ledger,
            scope.parent.clone(),
        );
        let mut run = Self {
            state,
            graph,
            prepared,
            options,
            delivery,
            history_owner,
            cx,
            next: Next::Model,
            offer: ToolOffer::Tools,
            handing_to: None,
            session,
        };
        if let Some(output) = final_output {
            run.next = Next::Finish(output);
        }
        (run, failure)
    }

    /// Goes on with the calls about which was decided, if the run paused.
    pub(super) fn resume(&mut self) -> Result<(), RunFailure> {
        let Some(mut turn) = self.state.pending.take() else {
            return Ok(());
        };
        for call in &mut turn.calls {
            let status = std::mem::replace(&mut call.status, CallStatus::Running);
            call.status = self.resumed(&call.call, status)?;
        }
        self.state.pending = Some(turn);
        self.advance();
        Ok(())
    }

    fn resumed(&self, call: &FunctionCall, status: CallStatus) -> Result<CallStatus, RunFailure> {
        let agent = &self.state.agent;
        let what = || format!("the tool `{}` of agent `{}`", call.name, agent.name());
        let tool = || {
            let tool = self.state.tools().get(&call.name);
            tool.ok_or_else(|| missing(what()))
        };
        Ok(match status {
            CallStatus::Asked(asked) => self.resume_asked(tool()?, call, asked),
            CallStatus::Paused { state, guardrails } => {
                let permission = Permission::GoesOn { state, guardrails };
                invoke(tool()?, permission, ExecutionCertainty::Certain)
            }
            other => other,
        })
    }

    fn resume_asked(
        &self,
        tool: &FunctionTool,
        call: &FunctionCall,
        asked: Box<AskedCall>,
    ) -> CallStatus {
        // What was decided about is not what would be called.
        if let Some(changed) = asked.changes(tool) {
            return match asked.certainty {
                ExecutionCertainty::Certain => invoke(
                    tool,
                    Permission::AskAgain { changed },
                    ExecutionCertainty::Certain,
                ),
                certainty @ ExecutionCertainty::MayHaveRun => {
                    let mut again = AskedCall::new(tool, certainty);
                    again.changed = Some(changed);
                    CallStatus::Asked(Box::new(again))
                }
            };
        }
        // What holds for all calls of a tool holds for those that wait, too.
        let (standing, _) = self.state.standing_decision(tool, call);
        let standing = standing.filter(|_| asked.certainty == ExecutionCertainty::Certain);
        let Some(decision) = asked.decision.clone().or(standing) else {
            return CallStatus::Asked(asked);
        };
        let guardrails = asked.guardrails;
        let permission = Permission::Decided {
            decision,
            guardrails,
        };
        invoke(tool, permission, asked.certainty)
    }

    /// The sources that have to be asked for their tools before the run goes on.
    pub(super) fn sources(&self) -> &[Arc<dyn ToolSource>] {
        let is_current = self
            .state
            .sourced
            .as_ref()
            .is_some_and(|sourced| sourced.is_current);
        if is_current {
            &[]
        } else {
            self.state.agent.tool_sources()
        }
    }

    /// Whether calls of an earlier execution wait, whose tools have to be found.
    pub(super) fn has_waiting_calls(&self) -> bool {
        self.state.pending.is_some()
    }

    /// Takes the tools of the sources.
    pub(super) fn accept_tools(
        &mut self,
        lists: Vec<Arc<[FunctionTool]>>,
    ) -> Result<(), RunFailure> {
        match &mut self.state.sourced {
            Some(sourced) if sourced.is_of(&lists) => sourced.is_current = true,
            _ => {
                self.state.sourced = Some(SourcedTools::new(&self.state.agent, lists)?);
                self.prepared.offer(&self.state, &self.graph);
            }
        }
        Ok(())
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
    pub(super) fn take_first_turn(&mut self) -> bool {
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
        if let Some(sourced) = &mut self.state.sourced {
            // They are asked again for the next turn.
            sourced.is_current = false;
        }
        self.state.turn += 1;
        self.state.n_before_turn = self.state.history.len();
        let is_last = limits.max_turns == Some(self.state.turn);
        self.offer = match self.options.last_turn {
            LastTurn::WithoutTools if is_last => ToolOffer::Nothing,
            LastTurn::WithoutTools | LastTurn::Usual => ToolOffer::Tools,
        };
        let conversation = (&self.graph, &self.history_owner);
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
        let reading = ResolveContext {
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
            Ok(Resolution::Work(_))
                if !has_id && matches!(self.history_owner, HistoryOwner::Responses(_)) =>
            {
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
        // All work counts, as in the Python SDK: a handoff, or two agents that must call a tool would hand off to each other for ever;
        // and the provider's tools, or an agent that must call one would search for ever.
        self.state.used_tools.insert(self.state.agent.shared_name());
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

    /// Notes what a guardrail said.
    pub(super) fn note(&mut self, result: GuardrailResult) {
        self.state.guardrails.push(result);
    }

    /// Puts what the session had before the input.
    pub(super) fn begin_with(&mut self, items: Vec<Item>, own_input: Vec<Item>) {
        self.state.begin_with(items, own_input);
    }

    /// How many items of the history are input, with what a session had before it.
    pub(super) fn n_input(&self) -> usize {
        self.state.n_input
    }

    /// The run's own input, without what a session had before it.
    pub(super) fn input(&self) -> &[Item] {
        match &self.state.own_input {
            Some(input) => input,
            None => self
                .state
                .history
                .get(..self.state.n_input)
                .unwrap_or_default(),
        }
    }

    pub(super) fn history(&self) -> &[Item] {
        &self.state.history
    }

    /// The session of a run that goes on.
    pub(super) fn take_session(&mut self) -> Option<SavedSession> {
        self.session.take()
    }

    /// Whether nothing can be done before someone decides.
    pub(super) fn is_paused(&self) -> bool {
        matches!(self.next, Next::Pause)
    }

    /// Lets the run end with an output that it had come to.
    pub(super) fn finish_with(&mut self, output: String) {
        self.next = Next::Finish(output);
    }

    /// Saves the run, which waits for decisions or for its session.
    pub(super) fn save(&self, session: Option<SavedSession>) -> RunState {
        let kept = (self.options.limits, self.cx.ledger(), &self.history_owner);
        let output = match &self.next {
            Next::Finish(output) => Some(output.clone()),
            Next::Model | Next::Tools | Next::Handoff(_) | Next::Pause => None,
        };
        save(&self.state, kept, output, session)
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

fn fresh(agent: &Agent, input: Vec<Item>, history_owner: HistoryOwner) -> Restored {
    Restored {
        state: State::new(agent.clone(), input),
        ledger: Ledger::default(),
        history_owner,
        final_output: None,
        session: None,
    }
}

/// Finds what could not work, before anything is asked.
fn check(
    graph: &Graph,
    options: &RunOptions,
    history_owner: &HistoryOwner,
    recursive: Option<&Agent>,
) -> Result<(), SetupError> {
    if let Some(agent) = recursive {
        let agent = agent.name().to_owned();
        return Err(SetupError::Cycle { agent });
    }
    if *history_owner == HistoryOwner::Run {
        return Ok(());
    }
    if let Some(session) = &options.session {
        let session = session.id().to_string();
        return Err(SetupError::SessionOnServer { session });
    }
    let by_run = options
        .handoff_filter
        .as_ref()
        .and_then(|_| graph.first_with_handoffs());
    match graph.with_filter().or(by_run) {
        Some(agent) => Err(SetupError::FilterOnServer {
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
    match agent.tool_use_behavior() {
        ToolUseBehavior::RunAgain => None,
        _ if results.is_empty() => None,
        ToolUseBehavior::StopOnFirstTool => output(results.first()),
        ToolUseBehavior::StopAtTools(names) => {
            output(results.iter().find(|result| names.contains(&result.name)))
        }
        ToolUseBehavior::Custom(decide) => decide(cx, &results),
    }
}
