//! The stored responses, from which later requests continue.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::json::Json;
use crate::agent::runner::RunHandle;
use crate::agent::{Interruption, RunState};
use crate::server::error::ApiError;
use crate::server::kept::{Keepable, Keeper, Kind, Shelf};
use crate::session::SessionId;

/// The latest responses of this server.
pub(in crate::server) struct Responses(Shelf<Arc<Mutex<Stored>>>);

/// A response that is kept.
pub(super) struct Stored {
    /// The response as it was told last.
    pub(super) body: Json,
    /// The session that has the conversation.
    pub(super) session: SessionId,
    /// Whether the session is a conversation of the client's, which goes on by itself.
    pub(super) is_conversation: bool,
    /// Ends the run while it goes on.
    pub(super) handle: Option<RunHandle>,
    pub(super) paused: Option<PausedResponse>,
}

/// A run that waits for decisions.
#[derive(Clone)]
pub(super) struct PausedResponse {
    pub(super) state: Box<RunState>,
    /// The requests for approval, each with the call that waits.
    pub(super) approvals: Vec<(String, Interruption)>,
    /// How much the state holds, as it is written.
    pub(super) n_bytes: usize,
}

impl Responses {
    pub(in crate::server) fn new(keeper: &Keeper) -> Self {
        Self(keeper.shelf(Kind::Response, usize::MAX))
    }

    pub(super) fn keep(&self, id: &str, stored: Stored) {
        self.0.insert(id, Arc::new(Mutex::new(stored)));
    }

    /// Does something with a response, if it is there.
    pub(super) fn with<T>(&self, id: &str, f: impl FnOnce(&mut Stored) -> T) -> Option<T> {
        let stored = self.0.get(id)?;
        let done = f(&mut lock(&stored));
        self.0.changed(id);
        Some(done)
    }

    pub(super) fn need<T>(
        &self,
        id: &str,
        f: impl FnOnce(&mut Stored) -> T,
    ) -> Result<T, ApiError> {
        self.with(id, f).ok_or_else(|| self.missing(id))
    }

    /// Takes a response away; gives its session, and what ends its run if that goes on.
    pub(super) fn remove(&self, id: &str) -> Result<(SessionId, Option<RunHandle>), ApiError> {
        let stored = self.0.remove(id).ok_or_else(|| self.missing(id))?;
        let mut stored = lock(&stored);
        Ok((stored.session.clone(), stored.handle.take()))
    }

    /// Finds an output item by its id, which holds that of its response.
    pub(super) fn item(&self, id: &str) -> Option<Value> {
        let hex = id.split('_').nth(1)?;
        let find = |stored: &mut Stored| {
            let Json::List(output) = stored.body.get("output")? else {
                return None;
            };
            let is_meant = |item: &&Json| item.get("id").and_then(Json::as_str) == Some(id);
            output.iter().find(is_meant).map(Json::to_value)
        };
        self.with(&format!("{}{hex}", super::RESPONSE), find)?
    }

    fn missing(&self, id: &str) -> ApiError {
        ApiError::not_kept(&format!("response `{id}`"), self.0.dropped(id))
    }
}

impl Keepable for Arc<Mutex<Stored>> {
    fn n_bytes(&self) -> usize {
        let stored = lock(self);
        let paused = stored.paused.as_ref().map_or(0, |paused| paused.n_bytes);
        stored.body.n_bytes() + paused
    }

    fn is_busy(&self) -> bool {
        lock(self).handle.is_some()
    }
}

fn lock(stored: &Mutex<Stored>) -> MutexGuard<'_, Stored> {
    stored.lock().unwrap_or_else(PoisonError::into_inner)
}
