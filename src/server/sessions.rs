//! Where the servers find sessions: the application's, or in memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::kept::Kept;
use crate::future::BoxFuture;
use crate::session::{MemorySession, Session, SessionError, SessionId};

/// Opens a session by its id.
pub(super) type OpenSession =
    dyn Fn(SessionId) -> BoxFuture<'static, Result<Arc<dyn Session>, SessionError>> + Send + Sync;

/// Keeps the latest sessions in memory.
#[cfg(feature = "server")]
pub(super) fn in_memory(max_kept: usize) -> Arc<OpenSession> {
    let kept = InMemory::new(max_kept);
    Arc::new(move |id| {
        let session = kept.open(&id);
        Box::pin(async move { Ok(Arc::new(session) as Arc<dyn Session>) })
    })
}

/// The latest sessions, in memory.
#[derive(Debug)]
pub(super) struct InMemory(Mutex<Kept<MemorySession>>);

impl InMemory {
    pub(super) fn new(max_kept: usize) -> Self {
        Self(Mutex::new(Kept::new(max_kept)))
    }

    /// Gives a session, which is new if there is none of this id.
    pub(super) fn open(&self, id: &SessionId) -> MemorySession {
        let mut kept = self.kept();
        if let Some(session) = kept.get(id.as_str()) {
            return session.clone();
        }
        let session = MemorySession::new(id.clone());
        drop(kept.insert(id.to_string(), session.clone()));
        session
    }

    /// Gives a session that there is; looking does not keep it longer.
    #[cfg(feature = "mcp-server")]
    pub(super) fn find(&self, id: &SessionId) -> Option<MemorySession> {
        let kept = self.kept();
        kept.iter().find(|session| session.id() == id).cloned()
    }

    /// Gives the ids, that which was last asked for first.
    #[cfg(feature = "mcp-server")]
    pub(super) fn ids(&self) -> Vec<SessionId> {
        let kept = self.kept();
        let ids = kept.iter().map(|session| session.id().clone());
        ids.rev().collect()
    }

    fn kept(&self) -> MutexGuard<'_, Kept<MemorySession>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
