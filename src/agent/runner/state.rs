//! Mutable state of a run between steps.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::tool_sources::SourcedTools;
use super::turn::PendingTurn;
use crate::agent::Agent;
use crate::agent::run_state::{Decision, RunId, StandingDecision};
use crate::context::RunContext;
use crate::error::RunProgress;
use crate::guardrail::GuardrailResult;
use crate::item::{CallItem, FunctionCall, History, Item};
use crate::model::ResponseMeta;
use crate::tools::{FunctionTool, ToolName, ToolRegistry};
use crate::trace::fnv;

/// The state of a run between two steps.
pub(super) struct MachineState {
    pub(super) run: RunId,
    /// How often the run was saved, so that each of its states has an id of its own.
    pub(super) n_saved: u32,
    /// The agent that the run began with.
    pub(super) start: Arc<str>,
    pub(super) agent: Agent,
    /// The agent's tools with those of its sources, once these were asked in this turn.
    pub(super) sourced: Option<SourcedTools>,
    /// The tools and handoffs whose conditions do not hold in this turn.
    pub(super) withheld: HashSet<ToolName>,
    /// The deferred tools that the model has found, in this order; an agent that is handed the conversation has found them too.
    pub(super) loaded: Vec<ToolName>,
    /// Whether the agent has had no turn yet.
    pub(super) is_fresh: bool,
    /// The whole conversation: the input and what the run added.
    pub(super) history: History,
    /// What the model sees, once a handoff filter made it another conversation.
    pub(super) view: Option<FilteredView>,
    /// How many items of the history are input, with what a session had before it.
    pub(super) n_input: usize,
    /// The run's own input, where a session had something before it.
    pub(super) own_input: Option<Vec<Item>>,
    /// How many items of the history the server has seen or made; looked at where the server keeps the conversation.
    pub(super) n_known: usize,
    /// How long the history was when the turn began.
    pub(super) n_before_turn: usize,
    /// The turns begun.
    pub(super) turn: u32,
    pub(super) responses: Vec<ResponseMeta>,
    /// The agents that have called a tool, after which their tool choice is dropped.
    pub(super) used_tools: BTreeSet<Arc<str>>,
    /// The latest call of each call id in this run.
    pub(super) calls: BTreeSet<CallItem>,
    pub(super) guardrails: Vec<GuardrailResult>,
    /// Decisions that hold for all calls of a tool by an agent.
    pub(super) standing: HashMap<(String, String), StandingDecision>,
    /// What the response of this turn asked for, while it is being done.
    pub(super) pending: Option<PendingTurn>,
    /// How often the model was asked again for its final output.
    pub(super) n_asked_again: u32,
    /// Whether the run failed before all guardrails had let its input pass.
    pub(super) is_input_unjudged: bool,
    /// What was added to a saved run, for its next model call.
    pub(super) added_input: Vec<Item>,
    /// The final output, once there is one.
    pub(super) final_output: Option<Arc<str>>,
}

/// A conversation that a handoff filter made.
#[derive(Clone)]
pub(super) struct FilteredView {
    pub(super) items: History,
    /// How many of the items the filter made.
    pub(super) n_filtered: usize,
}

impl MachineState {
    /// Whether the model need not look for a tool, or has found it.
    pub(super) fn is_loaded(&self, tool: &FunctionTool) -> bool {
        !self.agent.deferral().withholds(tool) || self.loaded.contains(tool.name())
    }

    /// Whether the conditions of a tool or a handoff hold in this turn.
    pub(super) fn is_offered(&self, tool: &FunctionTool, cx: &RunContext) -> bool {
        tool.is_enabled(cx) && !self.withheld.contains(tool.name())
    }

    pub(super) fn new(run: RunId, agent: Agent, input: Vec<Item>) -> Self {
        Self {
            run,
            n_saved: 0,
            start: agent.shared_name(),
            agent,
            sourced: None,
            withheld: HashSet::new(),
            loaded: Vec::new(),
            is_fresh: true,
            n_input: input.len(),
            own_input: None,
            n_before_turn: input.len(),
            history: input.into(),
            view: None,
            n_known: 0,
            turn: 0,
            responses: Vec::new(),
            used_tools: BTreeSet::new(),
            calls: BTreeSet::new(),
            guardrails: Vec::new(),
            standing: HashMap::new(),
            pending: None,
            n_asked_again: 0,
            is_input_unjudged: false,
            added_input: Vec::new(),
            final_output: None,
        }
    }

    /// Puts what a session had before the input.
    pub(super) fn begin_with(&mut self, items: Vec<Item>, own_input: Vec<Item>) {
        self.n_input = items.len();
        self.n_before_turn = items.len();
        self.own_input = Some(own_input);
        self.history = items.into();
    }

    /// Adds items; a history is only copied where a request still holds it.
    pub(super) fn extend(&mut self, items: impl IntoIterator<Item = Item>) {
        match &mut self.view {
            None => self.history.extend(items),
            Some(view) => {
                let items: Vec<Item> = items.into_iter().collect();
                view.items.extend(items.iter().cloned());
                self.history.extend(items);
            }
        }
    }

    /// By what those who stand around the run know it again when it goes on: that of the state which it would leave now.
    pub(super) fn pause_key(&self) -> u64 {
        key_of(&self.run.state_id(self.n_saved + 1))
    }

    /// The key of the state that the run goes on from.
    pub(super) fn resumed_key(&self) -> Option<u64> {
        (self.n_saved > 0).then(|| key_of(&self.run.state_id(self.n_saved)))
    }

    /// The run's own input, without what a session had before it.
    pub(super) fn own_input(&self) -> &[Item] {
        match &self.own_input {
            Some(input) => input,
            None => self.history.get(..self.n_input).unwrap_or_default(),
        }
    }

    /// The tools of the agent, those of its sources among them.
    pub(super) fn tools(&self) -> &ToolRegistry {
        match &self.sourced {
            Some(sourced) => &sourced.tools,
            None => self.agent.tools(),
        }
    }

    /// The tool that a call is for.
    pub(super) fn tool_for(&self, call: &CallItem) -> Option<FunctionTool> {
        let tool = self.tools().get(&call.name)?;
        match call.built_in() {
            // What was not offered is not run, as with functions.
            Some(built_in) if !self.agent.offers(built_in) => None,
            Some(built_in) => tool.for_built_in(built_in),
            None => Some(tool.clone()),
        }
    }

    /// The decision for all calls of a tool by the agent, or what of the tool changed since it was made.
    pub(super) fn standing_decision(
        &self,
        tool: &FunctionTool,
        call: &FunctionCall,
    ) -> (Option<Decision>, Option<String>) {
        if self.standing.is_empty() {
            return (None, None);
        }
        let key = (self.agent.name().to_owned(), call.name.clone());
        match self.standing.get(&key).map(|standing| standing.about(tool)) {
            None => (None, None),
            Some(Ok(decision)) => (Some(decision.clone()), None),
            Some(Err(changed)) => (None, Some(changed)),
        }
    }

    /// What the model sees.
    pub(super) fn seen(&self) -> &History {
        self.view.as_ref().map_or(&self.history, |view| &view.items)
    }

    /// The items that the server has not seen.
    pub(super) fn unsent(&self) -> &[Item] {
        self.history.get(self.n_known..).unwrap_or_default()
    }

    /// Whether the agent has called a tool.
    pub(super) fn used_tools(&self) -> bool {
        self.used_tools.contains(self.agent.name())
    }

    /// Takes back what this turn added.
    pub(super) fn drop_turn(&mut self) {
        let keep =
            |items: &[Item], n: usize| History::from(items.get(..n).unwrap_or(items).to_vec());
        // The view is another conversation, but this turn added the same number of items to both.
        let n_dropped = self.history.len().saturating_sub(self.n_before_turn);
        if let Some(view) = &mut self.view {
            view.items = keep(&view.items, view.items.len().saturating_sub(n_dropped));
        }
        self.history = keep(&self.history, self.n_before_turn);
    }

    /// What was done, at the end of the run, which needs nothing of it any more.
    pub(super) fn take_progress(&mut self, cx: &RunContext) -> RunProgress {
        // Taken first, so that `progress` below has nothing to copy.
        let responses = std::mem::take(&mut self.responses);
        let guardrails = std::mem::take(&mut self.guardrails);
        RunProgress {
            responses,
            guardrails,
            ..self.progress(cx)
        }
    }

    pub(super) fn progress(&self, cx: &RunContext) -> RunProgress {
        let (input, items) = self.history.split_at(self.n_input.min(self.history.len()));
        RunProgress {
            input: self.own_input.clone().unwrap_or_else(|| input.to_vec()),
            items: items.to_vec(),
            responses: self.responses.clone(),
            usage: cx.usage(),
            turns: self.turn,
            last_agent: self.agent.clone(),
            guardrails: self.guardrails.clone(),
        }
    }
}

fn key_of(state_id: &str) -> u64 {
    fnv(3, state_id.as_bytes())
}
