//! A run that goes from one agent to another.

use super::model_request::RequestTemplate;
use super::run::{Next, Run};
use super::state::FilteredView;
use super::step::{CallStatus, HandoffStep, TurnCall};
use crate::agent::{Agent, HandoffHistory};
use crate::error::{RunFailure, SetupError};
use crate::item::Item;

impl Run {
    /// Finds the agent of a handoff, and what stands in the conversation for it.
    pub(super) fn handoff(&mut self, n: usize) -> Result<HandoffStep, RunFailure> {
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
        let to = to.clone();
        let mut step = HandoffStep {
            call: call.call.clone(),
            handoff: handoff.clone(),
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
            self.state.view = Some(FilteredView {
                n_filtered: items.len(),
                items: items.into(),
            });
        }
        if let Some(agent) = self.handing_to.take() {
            self.state.agent = agent;
            self.state.sourced = None;
            self.state.is_fresh = true;
            self.prepared =
                RequestTemplate::new(&self.state.agent, &self.graph, &self.options, self.delivery);
        }
        self.next = Next::Model;
    }
}
