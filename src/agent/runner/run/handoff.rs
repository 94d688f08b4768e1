//! A run that goes from one agent to another.

use super::{Awaited, Next, Run};
use crate::agent::runner::model_request::RequestTemplate;
use crate::agent::runner::result::RunEvent;
use crate::agent::runner::state::FilteredView;
use crate::agent::runner::step::{HandoffStep, Step};
use crate::agent::runner::turn::{CallStatus, TurnCall};
use crate::agent::{Agent, HandoffHistory};
use crate::error::{RunFailure, SetupError};
use crate::item::Item;

impl Run {
    /// Finds the agent of a handoff, and what stands in the conversation for it.
    pub(super) fn hand_off(&mut self, n: usize) -> Result<Step, RunFailure> {
        let state = &self.state;
        let from = state.agent.clone();
        let handoff = from.bound_handoffs().get(n);
        let target = handoff.and_then(|handoff| Some((handoff, self.graph.target(handoff)?)));
        let turn = state.pending.as_ref();
        let is_it = |call: &&TurnCall| matches!(call.status, CallStatus::Handoff(_));
        let call = turn.and_then(|turn| turn.calls.iter().find(is_it));
        let (Some((handoff, to)), Some(call)) = (target, call) else {
            // The graph has every target, and the turn has the call that led here.
            return Err(RunFailure::Setup(SetupError::UnknownAgent {
                from: from.name().to_owned(),
                to: String::new(),
                known: Vec::new(),
            }));
        };
        let step = HandoffStep {
            to: to.clone(),
            call: call.call.clone(),
            handoff: handoff.clone(),
        };
        let filter = handoff
            .filter
            .as_ref()
            .or(self.setup.options.handoff_filter.as_ref());
        let filter = filter.cloned();
        // Before a filter sees the conversation, in which no call stands without its output.
        self.end_turn(Some(&step.output()));
        let filtering = filter.map(|filter| (filter, self.handoff_history(&from, &step.to)));
        self.filtering = filtering.map(Box::new);
        self.handing_to = Some(step.to.clone());
        self.next = Next::FilterHistory;
        self.awaited = Some(Awaited::Done);
        Ok(Step::HandOff(Box::new(step)))
    }

    /// Lets the application change what the next agent sees, if it wants to.
    pub(super) fn filter_history(&mut self) -> Option<Step> {
        let Some(filtering) = self.filtering.take() else {
            self.handed_off(None);
            return None;
        };
        self.awaited = Some(Awaited::Filtered);
        Some(Step::FilterHistory(filtering))
    }

    /// The conversation in the parts that a filter sees.
    fn handoff_history(&self, from: &Agent, to: &Agent) -> HandoffHistory {
        let state = &self.state;
        let (items, n_input) = match &state.view {
            None => (&state.history, state.n_input),
            Some(view) => (&view.items, view.n_filtered),
        };
        // A filter sees the conversation in three parts: the input, the turns before, and this
        // turn. After an earlier filter the parts are those of the view that it made.
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
    pub(super) fn handed_off(&mut self, filtered: Option<HandoffHistory>) {
        if let Some(history) = filtered {
            let parts = [history.input, history.earlier, history.new];
            let items: Vec<Item> = parts.into_iter().flatten().collect();
            self.state.view = Some(FilteredView {
                n_filtered: items.len(),
                items: items.into(),
            });
        }
        if let Some(agent) = self.handing_to.take() {
            let (from, to) = (self.state.agent.shared_name(), agent.shared_name());
            self.events
                .push_back(Ok(RunEvent::HandoffOccurred { from, to }));
            self.state.agent = agent;
            // The new agent has sources, a request and hooks of its own. What belonged to the one
            // before goes.
            self.state.sourced = None;
            self.state.is_fresh = true;
            self.template = RequestTemplate::new(
                &self.state,
                &self.graph,
                self.options(),
                self.setup.delivery,
            );
        }
        self.next = Next::BeginTurn;
    }
}

impl HandoffStep {
    /// What the transcript has as the output of the handoff's call; the Python SDK's form.
    pub(super) fn output(&self) -> String {
        let json = serde_json::Value::from(self.to.name()).to_string();
        let escape = |c: char| {
            if c.is_ascii() {
                return c.to_string();
            }
            let mut units = [0; 2];
            let units = c.encode_utf16(&mut units).iter();
            let units: Vec<String> = units.map(|unit| format!("\\u{unit:04x}")).collect();
            units.concat()
        };
        let name: String = json.chars().map(escape).collect();
        format!("{{\"assistant\": {name}}}")
    }
}
