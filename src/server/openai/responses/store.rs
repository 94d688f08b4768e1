//! The responses that are kept, and from which a later request goes on.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::agent::runner::RunHandle;
use crate::agent::{Interruption, RunState};
use crate::server::error::ApiError;
use crate::server::kept::Kept;
use crate::session::SessionId;

/// The latest responses of this server.
pub(in crate::server) struct Responses(Mutex<Kept<Stored>>);

/// A response that is kept.
pub(super) struct Stored {
    /// The response as it was told last.
    pub(super) body: Value,
    /// The session that has the conversation.
    pub(super) session: SessionId,
    /// Whether the session is a conversation of the client's, which goes on by itself.
    pub(super) is_conversation: bool,
    /// Ends the run while it goes on.
    pub(super) handle: Option<RunHandle>,
    pub(super) paused: Option<Paused>,
}

/// A run that waits for decisions.
#[derive(Clone)]
pub(super) struct Paused {
    pub(super) state: Box<RunState>,
    /// The requests for approval, each with the call that waits.
    pub(super) approvals: Vec<(String, Interruption)>,
}

impl Responses {
    pub(in crate::server) fn new(max_kept: usize) -> Self {
        Self(Mutex::new(Kept::new(max_kept)))
    }

    pub(super) fn keep(&self, id: &str, stored: Stored) {
        drop(self.kept().insert(id.to_owned(), stored));
    }

    /// Does something with a response, if it is there.
    pub(super) fn with<T>(&self, id: &str, f: impl FnOnce(&mut Stored) -> T) -> Option<T> {
        self.kept().get(id).map(f)
    }

    pub(super) fn need<T>(
        &self,
        id: &str,
        f: impl FnOnce(&mut Stored) -> T,
    ) -> Result<T, ApiError> {
        self.with(id, f).ok_or_else(|| missing(id))
    }

    pub(super) fn remove(&self, id: &str) -> Result<Stored, ApiError> {
        self.kept().remove(id).ok_or_else(|| missing(id))
    }

    /// Finds an output item by its id, which holds that of its response.
    pub(super) fn item(&self, id: &str) -> Option<Value> {
        let hex = id.split('_').nth(1)?;
        let find = |stored: &mut Stored| {
            let output = stored.body.get("output")?.as_array()?;
            let is_meant = |item: &&Value| item.get("id").and_then(Value::as_str) == Some(id);
            output.iter().find(is_meant).cloned()
        };
        self.with(&format!("{}{hex}", super::RESPONSE), find)?
    }

    fn kept(&self) -> MutexGuard<'_, Kept<Stored>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn missing(id: &str) -> ApiError {
    ApiError::new(404, "not_found", format!("there is no response `{id}`"))
}
