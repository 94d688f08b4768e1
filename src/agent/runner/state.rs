//! What a run has come to; plain data.

use std::collections::HashMap;

use crate::agent::Agent;
use crate::error::RunProgress;
use crate::item::{History, Item};
use crate::model::ResponseEnd;
use crate::usage::Usage;

/// The state of a run between two steps.
pub(super) struct RunState {
    pub(super) agent: Agent,
    /// The whole conversation: the input and what the run added.
    pub(super) history: History,
    /// How many items of the history are input.
    pub(super) n_input: usize,
    /// How many items of the history the server has seen or made; looked at where the server keeps the conversation.
    pub(super) n_known: usize,
    /// The turns begun.
    pub(super) turn: u32,
    pub(super) usage: Usage,
    pub(super) responses: Vec<ResponseEnd>,
    /// The tool calls made.
    pub(super) n_tool_calls: u64,
    /// Whether the agent has called a tool, after which its tool choice is dropped.
    pub(super) used_tools: bool,
    /// The latest call of each call id in this run.
    pub(super) calls: HashMap<String, Item>,
}

impl RunState {
    pub(super) fn new(agent: Agent, input: Vec<Item>) -> Self {
        Self {
            agent,
            n_input: input.len(),
            history: input.into(),
            n_known: 0,
            turn: 0,
            usage: Usage::default(),
            responses: Vec::new(),
            n_tool_calls: 0,
            used_tools: false,
            calls: HashMap::new(),
        }
    }

    /// Adds items; the history is only copied where a request still holds it.
    pub(super) fn extend(&mut self, items: impl IntoIterator<Item = Item>) {
        self.history.extend(items);
    }

    /// The items that the server has not seen.
    pub(super) fn unsent(&self) -> &[Item] {
        self.history.get(self.n_known..).unwrap_or_default()
    }

    pub(super) fn progress(&self) -> RunProgress {
        let (input, items) = self.history.split_at(self.n_input.min(self.history.len()));
        RunProgress {
            input: input.to_vec(),
            items: items.to_vec(),
            responses: self.responses.clone(),
            usage: self.usage,
            turns: self.turn,
            last_agent: self.agent.clone(),
        }
    }
}
