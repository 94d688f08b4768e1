//! Turns that wait for outputs of the client's tools, with what the agent did before.
//!
//! A client of the chat API sends the whole conversation each time, in which the agent's own calls do not show. What the agent did on the
//! way to the client's calls is kept under the ids of these, so that the model sees it again and does nothing twice.

use std::sync::Arc;

use crate::agent::{Interruption, RunState};
use crate::item::{FunctionCall, FunctionCallOutput, Item, ItemKind};
use crate::server::error::ApiError;
use crate::server::id;
use crate::server::kept::{Keepable, Keeper, Kind, Shelf};

/// The latest turns of this server that wait for a client.
pub(in crate::server) struct OpenTurns(Shelf<Arc<OpenTurn>>);

/// A turn that waits for a client.
#[derive(Debug)]
pub(super) struct OpenTurn {
    /// What the run added, the calls that wait among it.
    pub(super) items: Vec<Item>,
    pub(super) calls: Vec<HandedCall>,
}

/// A call that is handed to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HandedCall {
    /// Its id to the client.
    pub(super) id: String,
    /// Its id to the model.
    pub(super) call_id: String,
    pub(super) name: String,
    pub(super) arguments: String,
}

impl OpenTurns {
    pub(in crate::server) fn new(keeper: &Keeper) -> Self {
        Self(keeper.shelf(Kind::OpenTurn, usize::MAX))
    }

    /// Keeps a turn under each of these names.
    pub(super) fn keep<'a>(&self, names: impl IntoIterator<Item = &'a str>, turn: &Arc<OpenTurn>) {
        for name in names {
            self.0.insert(name, Arc::clone(turn));
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<Arc<OpenTurn>> {
        self.0.get(name)
    }

    pub(super) fn remove(&self, name: &str) {
        drop(self.0.remove(name));
    }
}

impl Keepable for Arc<OpenTurn> {
    fn n_bytes(&self) -> usize {
        let items: usize = self.items.iter().map(|item| item.to_json().len()).sum();
        let calls: usize = self.calls.iter().map(|call| call.arguments.len()).sum();
        items + calls
    }
}

impl OpenTurn {
    /// The whole run, whose calls get ids that nobody can guess: by these they are found again.
    pub(super) fn of_run(state: &RunState, calls: Vec<Interruption>) -> Result<Self, ApiError> {
        let mut handed = Vec::with_capacity(calls.len());
        for call in calls {
            handed.push(HandedCall {
                // With this id a client gets the work of the agent back, so it must not be one that
                // can be guessed or that a model chose.
                id: format!("call_{}", id::random()?),
                call_id: call.call_id,
                name: call.tool,
                arguments: call.arguments,
            });
        }
        Ok(Self {
            items: state.added(),
            calls: handed,
        })
    }

    /// The turn alone: what was before it is in a session.
    pub(super) fn of_turn(state: &RunState) -> Self {
        let items = state.open_turn();
        let calls = items.iter().filter_map(call);
        // The agent's own calls of this turn were answered here; the client's have no output yet.
        let waits = |call: &&FunctionCall| !items.iter().any(|item| answers(item, &call.call_id));
        let calls = calls.filter(waits).map(|call| HandedCall {
            id: call.call_id.clone(),
            call_id: call.call_id.clone(),
            name: call.name.clone(),
            arguments: call.arguments.clone(),
        });
        let calls = calls.collect();
        Self { items, calls }
    }

    /// Puts what a client sends behind the turn.
    ///
    /// # Errors
    ///
    /// When it does not answer all of the calls.
    pub(super) fn answered_by(&self, items: Vec<Item>) -> Result<Vec<Item>, ApiError> {
        let is_open = |call: &&HandedCall| !items.iter().any(|item| answers(item, &call.call_id));
        if let Some(call) = self.calls.iter().find(is_open) {
            let message = format!(
                "there is no output for the call `{}` of your tool `{}`; send a `function_call_output`",
                call.call_id, call.name
            );
            return Err(ApiError::invalid("input", message));
        }
        Ok(self.items.iter().cloned().chain(items).collect())
    }
}

fn call(item: &Item) -> Option<&FunctionCall> {
    match item.kind() {
        ItemKind::FunctionCall(call) => Some(call),
        _ => None,
    }
}

fn answers(item: &Item, id: &str) -> bool {
    matches!(item.kind(), ItemKind::FunctionCallOutput(FunctionCallOutput { call_id, .. }) if call_id == id)
}
