//! A session that lives as long as the process.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    MAX_ITEMS, Session, SessionError, SessionId, SessionItems, SessionTurn, SessionVersion,
};
use crate::future::BoxFuture;
use crate::item::Item;

/// Keeps a conversation in memory; clones share it.
///
/// # Cancel safety
///
/// A change happens at the first poll of its future.
#[derive(Clone)]
pub struct MemorySession {
    id: SessionId,
    state: Arc<Mutex<MemoryState>>,
}

#[derive(Default)]
struct MemoryState {
    items: Vec<Item>,
    /// Counts the changes, so that no two states have the same.
    n_changes: u64,
}

impl MemorySession {
    /// Makes an empty session.
    pub fn new(id: SessionId) -> Self {
        Self {
            id,
            state: Arc::default(),
        }
    }

    /// How many bytes the items have.
    #[cfg(any(feature = "mcp-server", feature = "server"))]
    pub(crate) fn n_bytes(&self) -> usize {
        let state = self.state();
        state.items.iter().map(|item| item.to_json().len()).sum()
    }

    fn state(&self) -> MutexGuard<'_, MemoryState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, limit: Option<usize>) -> Result<SessionItems, SessionError> {
        let state = self.state();
        let n_items = limit.unwrap_or(usize::MAX).min(state.items.len());
        if n_items > MAX_ITEMS {
            return Err(SessionError::TooManyItems {
                session: self.id.clone(),
                max_items: MAX_ITEMS,
            });
        }
        let latest = state.items.iter().skip(state.items.len() - n_items);
        Ok(SessionItems::new(
            latest.cloned().collect(),
            state.version(),
        ))
    }

    fn change(
        &self,
        after: Option<SessionVersion>,
        change: impl FnOnce(&mut Vec<Item>),
    ) -> Result<SessionVersion, SessionError> {
        let mut state = self.state();
        // Look and change under one lock, so that of two runs at one version the second gets the
        // conflict.
        let found = state.version();
        if let Some(expected) = after
            && expected != found
        {
            return Err(SessionError::Conflict {
                session: self.id.clone(),
                expected,
                found,
            });
        }
        change(&mut state.items);
        state.n_changes += 1;
        Ok(state.version())
    }
}

impl MemoryState {
    fn version(&self) -> SessionVersion {
        SessionVersion::new(self.n_changes.to_string())
    }
}

impl Session for MemorySession {
    fn id(&self) -> &SessionId {
        &self.id
    }

    fn items(&self, limit: Option<usize>) -> BoxFuture<'_, Result<SessionItems, SessionError>> {
        Box::pin(async move { self.read(limit) })
    }

    fn append(&self, turn: SessionTurn) -> BoxFuture<'_, Result<SessionVersion, SessionError>> {
        Box::pin(async move { self.change(turn.after, |items| items.extend(turn.items)) })
    }

    fn replace(&self, turn: SessionTurn) -> BoxFuture<'_, Result<SessionVersion, SessionError>> {
        Box::pin(async move { self.change(turn.after, |items| *items = turn.items) })
    }

    fn pop(&self) -> BoxFuture<'_, Result<Option<Item>, SessionError>> {
        Box::pin(async move {
            let mut popped = None;
            self.change(None, |items| popped = items.pop())?;
            Ok(popped)
        })
    }

    fn clear(&self) -> BoxFuture<'_, Result<(), SessionError>> {
        Box::pin(async move { self.change(None, Vec::clear).map(drop) })
    }
}

impl fmt::Debug for MemorySession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySession")
            .field("id", &self.id)
            .field("n_items", &self.state().items.len())
            .finish_non_exhaustive()
    }
}
