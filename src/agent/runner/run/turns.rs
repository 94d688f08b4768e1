//! A turn: what is asked, what the response wants, and what its tools gave.

use super::{Awaited, Next, Run};
use crate::agent::run_state::HistoryOwner;
use crate::agent::runner::model_request::ToolOffer;
use crate::agent::runner::options::{LastTurn, ReasoningItemIds};
use crate::agent::runner::resolve::{ResolveContext, answer, resolve};
use crate::agent::runner::result::RunEvent;
use crate::agent::runner::step::{InputAfter, ModelStep, PrepareStep, Step};
use crate::agent::runner::to_run_events::to_run_events;
use crate::agent::runner::tool_calls::ToolEvent;
use crate::agent::runner::tool_search::find_tools;
use crate::agent::runner::turn::{CallEnd, CallStatus, PendingTurn, Resolution, output_item};
use crate::agent::{Agent, Instructions, ToolUseBehavior, ToolUseFn};
use crate::error::{RunFailure, SetupError};
use crate::guardrail::{GuardrailTiming, OutputGuardrail};
use crate::item::{CallItem, Item};
use crate::journal::ToolOutcome;
use crate::kind::ErrorKind;
use crate::model::{
    Deviation, ModelError, ModelEvent, ModelRequest, ModelResponse, ResponseAccumulator,
};
use crate::usage::Usage;

const NO_RESPONSE_ID: &str = "the response has no id, so that the next request cannot continue it";

/// What the model is told when its final output was taken by a tool call.
const OUTPUT_TAKEN: &str = "The final answer was taken.";

impl Run {
    /// Saves the turn before and asks for tools, before it is decided whether there is a further turn.
    ///
    /// In this order: what was done is kept even if the run ends here, and tools are those that the sources have after it.
    pub(super) fn begin_turn(&mut self) -> Result<Option<Step>, RunFailure> {
        self.next = Next::BeginTurn;
        let unsaved = self.unsaved();
        if !unsaved.is_empty() {
            return Ok(self.save(unsaved));
        }
        if let Some(step) = self.list_tools() {
            return Ok(Some(step));
        }
        // `Cancel::AfterTurn` takes effect here, once the turn is saved. A run that is cancelled
        // before its first turn still makes that one.
        if self.requested_cancel.is_some() && self.state.turn > 0 {
            return Err(RunFailure::Cancelled);
        }
        self.next = Next::CheckOffers;
        self.awaited = Some(Awaited::Input);
        Ok(Some(Step::TakeInput(InputAfter::Taken)))
    }

    /// Asks the conditions of tools and handoffs that have to be waited for.
    pub(super) fn check_offers(&mut self) -> Option<Step> {
        self.next = Next::AskModel;
        // Conditions are asked again in each turn, so the last answers are forgotten.
        self.state.withheld.clear();
        let handoffs = self.state.agent.bound_handoffs().iter();
        let all = self.state.tools().iter();
        let all = all.chain(handoffs.map(|handoff| &handoff.tool));
        let asked: Vec<_> = all
            .filter(|tool| tool.awaits_conditions())
            .cloned()
            .collect();
        if asked.is_empty() {
            return None;
        }
        self.awaited = Some(Awaited::Offers);
        Some(Step::CheckOffers(asked))
    }

    /// Takes what was sent to the run, behind all that is there; a run that had its final output goes on with it.
    pub(super) fn take_input(&mut self, items: Vec<Item>) {
        let added = std::mem::take(&mut self.state.added_input);
        if added.is_empty() && items.is_empty() {
            return;
        }
        self.state.extend(added.into_iter().chain(items));
        // Set by `take_last_input`: this was the last look before the end. With new input the
        // output is no longer final, and the run goes on with a further turn.
        if matches!(self.next, Next::EndAgent) {
            self.state.final_output = None;
            self.holds_output = false;
            self.next = Next::BeginTurn;
        }
    }

    /// Counts the turn, if the limits allow it, and makes its request.
    pub(super) fn ask_model(&mut self) -> Result<Option<Step>, RunFailure> {
        let limits = self.options().limits;
        // The run's own limit before those that it shares: a turn that may not begin does not count for the runs around it.
        limits
            .check_turn(self.state.turn)
            .map_err(RunFailure::Limit)?;
        if self.cx.has_cost_limit() {
            self.check_price()?;
        }
        self.cx.begin_request().map_err(RunFailure::Limit)?;
        if let Some(sourced) = &mut self.state.sourced {
            // They are asked again for the next turn.
            sourced.is_current = false;
        }
        // The limits allow the turn. From here on it counts, whatever becomes of it.
        self.state.turn += 1;
        self.state.n_before_turn = self.state.history.len();
        let is_last = limits.max_turns == Some(self.state.turn);
        self.offer = match self.options().last_turn {
            LastTurn::WithoutTools if is_last => ToolOffer::Nothing,
            LastTurn::WithoutTools | LastTurn::Usual => ToolOffer::Tools,
        };
        let conversation = (&self.graph, &self.history_owner);
        let request = self
            .template
            .request(&self.state, conversation, &self.cx, self.offer);
        if std::mem::take(&mut self.state.is_fresh) {
            self.next = Next::PrepareRequest(Box::new(request));
            self.awaited = Some(Awaited::Done);
            return Ok(Some(Step::StartAgent));
        }
        self.prepare_request(request).map(Some)
    }

    /// Checks that the model about to be asked has a price: what it costs must not count as nothing.
    fn check_price(&self) -> Result<(), RunFailure> {
        let agent = &self.state.agent;
        let model = self.options().model_of(agent, &self.setup.model)?;
        if self.options().prices.price(model.name()).is_some() {
            return Ok(());
        }
        Err(RunFailure::Setup(SetupError::NoPrice {
            agent: agent.name().to_owned(),
            model: model.name().to_owned(),
        }))
    }

    /// Lets the application change the request, if it wants to.
    pub(super) fn prepare_request(&mut self, request: ModelRequest) -> Result<Step, RunFailure> {
        let instructions = self.state.agent.instruction_source();
        let is_computed = |source: &&Instructions| matches!(source, Instructions::Computed(_));
        let instructions = instructions.filter(is_computed).cloned();
        let filter = self.options().model_input_filter.clone();
        if instructions.is_none() && filter.is_none() {
            return self.call_model(request);
        }
        self.awaited = Some(Awaited::Request);
        Ok(Step::PrepareRequest(Box::new(PrepareStep {
            request,
            instructions,
            filter,
        })))
    }

    /// Calls the model; in the first turn the guardrails that do not block are asked beside it.
    pub(super) fn call_model(&mut self, request: ModelRequest) -> Result<Step, RunFailure> {
        let agent = &self.state.agent;
        let model = self.options().model_of(agent, &self.setup.model)?;
        let (turn, agent) = (self.state.turn, agent.shared_name());
        self.show(|| RunEvent::TurnStarted { turn, agent });
        let holds_output = self.output_guardrails().any(OutputGuardrail::holds);
        self.holds_output = holds_output;
        // Only in the first turn: input guardrails judge what the run was given.
        let checks = if self.state.turn == 1 {
            self.input_checks(|timing| timing != GuardrailTiming::Blocking)
        } else {
            Vec::new()
        };
        self.awaited = Some(Awaited::Response(ResponseAccumulator::default()));
        Ok(Step::CallModel(ModelStep {
            model,
            request,
            checks,
        }))
    }

    /// Shows an event of the model, and understands the response with the last.
    pub(super) fn take_model_event(
        &mut self,
        mut fold: ResponseAccumulator,
        event: ModelEvent,
    ) -> Result<(), RunFailure> {
        // The accumulator was moved out of `awaited` with this event. It goes back until the
        // response is whole.
        let is_last = matches!(event, ModelEvent::ResponseDone(_));
        if self.is_watched {
            to_run_events(event, &mut fold, &self.state, &mut self.events);
        } else {
            fold.push(event);
        }
        if !is_last {
            self.awaited = Some(Awaited::Response(fold));
            return Ok(());
        }
        let response = fold.finish().map_err(RunFailure::Model)?;
        self.accept_response(response)
    }

    pub(super) fn accept_response(&mut self, response: ModelResponse) -> Result<(), RunFailure> {
        let ModelResponse { items, mut meta } = response;
        let items = match self.options().reasoning_item_ids {
            ReasoningItemIds::Keep => items,
            ReasoningItemIds::Omit => items.into_iter().map(Item::without_reasoning_id).collect(),
        };
        // Before the answer is understood: it was paid for, whatever it turns out to be.
        let usage = meta.usage.unwrap_or(Usage::UNREPORTED);
        self.cx.add_usage(usage);
        meta.deviations.extend(self.reused_ids(&items));
        for deviation in &meta.deviations {
            tracing::warn!(target: "openai_agents::wire", code = &*deviation.code, detail = %deviation.detail, "deviation tolerated");
        }
        let has_id = meta.response_id.is_some();
        self.state.responses.push(meta);
        let resolved = resolve(&self.resolve_context(), &items);
        // Even if it was not understood, so that whoever gets the error sees what the model said.
        self.state.extend(items);
        self.state.n_known = self.state.history.len();
        match resolved {
            Ok(Resolution::Final(output)) => self.finish_with(output),
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
        // What it said is no final output, so that no guardrail can withhold it.
        self.holds_output &= self.state.final_output.is_some();
        Ok(())
    }

    /// What a response is understood by.
    pub(super) fn resolve_context(&self) -> ResolveContext<'_> {
        ResolveContext {
            state: &self.state,
            cx: &self.cx,
            unknown: self.options().unknown_tool,
            unknown_text: self.options().unknown_tool_text.as_deref(),
            offer: self.offer,
            limits: &self.options().limits,
        }
    }

    fn begin_work(&mut self, mut turn: PendingTurn) -> Result<(), RunFailure> {
        self.check_output_calls(&mut turn)?;
        // All calls of the turn are allowed or none is: a model that is given half of the outputs would be refused by most servers.
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
        if !self.state.used_tools() {
            let agent = self.state.agent.shared_name();
            self.state.used_tools.insert(agent);
        }
        self.load_found(&turn);
        self.state.pending = Some(turn);
        self.advance();
        Ok(())
    }

    /// Shows the model from the next turn on the tools that it has looked for.
    fn load_found(&mut self, turn: &PendingTurn) {
        let calls = turn.calls.iter();
        let found = calls.filter_map(|call| find_tools(&self.state, &self.cx, &call.call));
        let found: Vec<_> = found.flat_map(|found| found.tools).collect();
        let n_before = self.state.loaded.len();
        for name in found {
            if !self.state.loaded.contains(&name) {
                self.state.loaded.push(name);
            }
        }
        if self.state.loaded.len() > n_before {
            self.template.offer(&self.state, &self.graph);
        }
    }

    pub(super) fn run_tools(&mut self) -> Step {
        // Calls that wait for a decision stay in the turn. When these are done, `advance` pauses
        // the run for them.
        let ready = self.state.pending.as_mut().map(PendingTurn::take_ready);
        self.next = Next::RunTools;
        self.awaited = Some(Awaited::Outputs);
        Step::RunTools(ready.unwrap_or_default())
    }

    /// Takes what happened in the tool calls: something to show, or how one ended.
    ///
    /// Each end is kept at once, so that a run which fails meanwhile knows what was done.
    pub(super) fn take_tool_event(&mut self, event: ToolEvent) -> Result<(), RunFailure> {
        let (n, end) = match event {
            ToolEvent::Shown(event) => {
                self.show(|| *event);
                return Ok(());
            }
            ToolEvent::Ended { n, end } => (n, end.map_err(RunFailure::Tool)?),
            ToolEvent::Failed(failure) => return Err(failure),
        };
        let turn = self.state.pending.as_mut();
        let Some(called) = turn.and_then(|turn| turn.calls.get_mut(n)) else {
            return Ok(());
        };
        // A call that has to wait shows nothing now. `pause` names it later, together with the
        // others.
        if let CallEnd::Done(outcome) = &end {
            self.state
                .guardrails
                .extend(outcome.guardrails.iter().cloned());
            if self.is_watched {
                let verdicts = outcome.guardrails.iter().cloned();
                let verdicts = verdicts.map(|result| Ok(RunEvent::GuardrailDone { result }));
                self.events.extend(verdicts);
                self.events.push_back(Ok(RunEvent::ToolOutputDone {
                    call_id: called.call.call_id.clone(),
                    name: called.call.name.clone(),
                    output: outcome.output.text(),
                    failure: outcome.failure.clone(),
                }));
            }
        }
        called.status = end.into();
        Ok(())
    }

    /// Finds what comes next: the end, if there is a final output; a further turn, if nothing of this one is left.
    pub(super) fn advance(&mut self) {
        // The order of these questions is the order of a turn: final output, tools, approvals,
        // handoff, and then what the outputs mean.
        if self.state.final_output.is_some() {
            self.next = Next::TakeLastInput;
            return;
        }
        let Some(turn) = &mut self.state.pending else {
            self.next = Next::BeginTurn;
            return;
        };
        // What can be done is done before anybody is asked, so that a pause is as late and as seldom as it can be.
        if turn.has_ready() {
            self.next = Next::RunTools;
            return;
        }
        if turn.is_waiting() {
            self.next = Next::Pause;
            return;
        }
        // After the tools, whose outputs the next agent is to see.
        let handoff = turn.calls.iter().find_map(|call| match call.status {
            CallStatus::Handoff(n) => Some(n),
            _ => None,
        });
        if let Some(n) = handoff {
            self.next = Next::HandOff(n);
            return;
        }
        // The application is asked only about outputs of tools. An output given by a call is final
        // already, and what the runner answered itself is no result.
        let is_decided = turn.has_output() || !turn.has_results();
        if !is_decided
            && matches!(
                self.state.agent.tool_use_behavior(),
                ToolUseBehavior::Custom(_)
            )
        {
            self.next = Next::DecideToolUse;
            return;
        }
        let output = final_output(&self.state.agent, turn);
        self.tool_use_decided(output);
    }

    /// Lets the application decide what the outputs of the turn mean.
    pub(super) fn decide_tool_use(&mut self) -> Option<Step> {
        let turn = self.state.pending.as_ref();
        let results = turn.map(|turn| turn.results().collect());
        let results = results.unwrap_or_default();
        let ToolUseBehavior::Custom(decide) = self.state.agent.tool_use_behavior() else {
            self.tool_use_decided(None);
            return None;
        };
        let decide = ToolUseFn::clone(decide);
        self.next = Next::DecideToolUse;
        self.awaited = Some(Awaited::ToolUse);
        Some(Step::DecideToolUse(decide, results))
    }

    /// Ends the turn, and the run if the outputs of its tools are the final output.
    pub(super) fn tool_use_decided(&mut self, output: Option<String>) {
        self.end_turn(None);
        match output {
            Some(output) => self.finish_with(output),
            None => self.next = Next::BeginTurn,
        }
    }

    /// Puts the outputs of the turn into the conversation, in the order of the calls.
    pub(super) fn end_turn(&mut self, handoff_output: Option<&str>) {
        let Some(mut turn) = self.state.pending.take() else {
            return;
        };
        // No tool has run for a handoff or for the final output. Their calls need an output as
        // well, because servers refuse a conversation in which a call has none.
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
        self.state
            .extend(answers.into_iter().chain(turn.done().map(output_item)));
    }

    /// Notes call ids that an earlier turn had for another call; outputs still go by their place.
    fn reused_ids(&mut self, items: &[Item]) -> Vec<Deviation> {
        let mut deviations = Vec::new();
        for call in items.iter().filter_map(CallItem::new) {
            if let Some(before) = self.state.calls.replace(call.clone())
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

    /// The guardrails of the final output: the agent's, and the run's.
    pub(super) fn output_guardrails(&self) -> impl Iterator<Item = &OutputGuardrail> {
        let of_agent = self.state.agent.output_guardrails();
        of_agent.iter().chain(&self.setup.options.output_guardrails)
    }
}

/// The final output that a turn's calls give, if they end the run.
fn final_output(agent: &Agent, turn: &PendingTurn) -> Option<String> {
    let by_tool = turn
        .calls
        .iter()
        .find(|call| matches!(call.status, CallStatus::Output));
    if let Some(call) = by_tool {
        return Some(call.call.arguments.clone());
    }
    let mut results = turn.results();
    let result = match agent.tool_use_behavior() {
        // The application decides in a step of its own.
        ToolUseBehavior::RunAgain | ToolUseBehavior::Custom(_) => None,
        ToolUseBehavior::StopOnFirstTool => results.next(),
        ToolUseBehavior::StopAtTools(names) => results.find(|result| names.contains(&result.name)),
    };
    result.map(|result| result.output)
}
