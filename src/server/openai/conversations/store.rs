//! What is known of conversations beside their items, which sessions have no place for.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};

use crate::server::front::now;
use crate::server::kept::Kept;
use crate::session::SessionId;

/// The conversations that were asked for last; in memory only.
pub(in crate::server) struct Conversations(Mutex<Kept<Known>>);

/// A conversation that this server knows of.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// When this server first knew of it, in seconds since 1970.
    since: u64,
    /// `None` if it was not created here, or that was forgotten.
    pub(super) metadata: Option<Map<String, Value>>,
}

impl Known {
    pub(super) fn new(metadata: Option<Map<String, Value>>) -> Self {
        Self {
            since: now(),
            metadata,
        }
    }

    pub(super) fn to_json(&self, id: &SessionId) -> Value {
        json!({
            "id": id.as_str(), "object": "conversation", "created_at": self.since, "metadata": self.metadata,
        })
    }
}

impl Conversations {
    pub(in crate::server) fn new(max_kept: usize) -> Self {
        Self(Mutex::new(Kept::new(max_kept)))
    }

    pub(super) fn keep(&self, id: &SessionId, known: Known) {
        drop(self.kept().insert(id.to_string(), known));
    }

    pub(super) fn get(&self, id: &SessionId) -> Option<Known> {
        self.kept().get(id.as_str()).cloned()
    }

    /// Makes a conversation known that turned out to be there.
    pub(super) fn hear_of(&self, id: &SessionId) -> Known {
        let mut kept = self.kept();
        if let Some(known) = kept.get(id.as_str()) {
            return known.clone();
        }
        let known = Known::new(None);
        drop(kept.insert(id.to_string(), known.clone()));
        known
    }

    pub(super) fn remove(&self, id: &SessionId) {
        drop(self.kept().remove(id.as_str()));
    }

    fn kept(&self) -> MutexGuard<'_, Kept<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
