//! What conversations have beside their items: metadata and a date, which sessions have no place for.

use serde_json::{Map, Value, json};

use crate::server::error::ApiError;
use crate::server::kept::{Keepable, Keeper, Kind, Shelf, json_bytes};
use crate::server::state::now;
use crate::session::SessionId;

/// The conversations that were asked for last; in memory only.
pub(in crate::server) struct Conversations(Shelf<ConversationMeta>);

/// What this server remembers of a conversation beside its items.
#[derive(Debug, Clone)]
pub(super) struct ConversationMeta {
    /// When this server first knew of it, in seconds since 1970.
    since: u64,
    /// `None` if it was not created here, or that was forgotten.
    pub(super) metadata: Option<Map<String, Value>>,
}

impl ConversationMeta {
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

impl Keepable for ConversationMeta {
    fn n_bytes(&self) -> usize {
        let metadata = self.metadata.iter().flatten();
        metadata
            .map(|(name, value)| name.len() + json_bytes(value))
            .sum()
    }
}

impl Conversations {
    pub(in crate::server) fn new(keeper: &Keeper) -> Self {
        Self(keeper.shelf(Kind::Conversation, usize::MAX))
    }

    pub(super) fn keep(&self, id: &SessionId, meta: ConversationMeta) {
        self.0.insert(id.as_str(), meta);
    }

    pub(super) fn get(&self, id: &SessionId) -> Option<ConversationMeta> {
        self.0.get(id.as_str())
    }

    /// Returns what is remembered of a conversation, and begins to remember it.
    pub(super) fn get_or_insert(&self, id: &SessionId) -> ConversationMeta {
        self.0
            .get_or_insert_with(id.as_str(), || ConversationMeta::new(None))
    }

    pub(super) fn remove(&self, id: &SessionId) {
        drop(self.0.remove(id.as_str()));
    }

    /// The error for a conversation that is not known and has no items.
    pub(super) fn missing(&self, id: &SessionId) -> ApiError {
        ApiError::not_kept(&format!("conversation `{id}`"), self.0.dropped(id.as_str()))
    }
}
