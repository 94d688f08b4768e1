//! Opens sessions for the servers: the application's own, or sessions in memory.

use std::sync::Arc;

use super::kept::{Keepable, Shelf};
use crate::future::BoxFuture;
use crate::item::Item;
use crate::session::{
    MemorySession, Session, SessionError, SessionId, SessionItems, SessionTurn, SessionVersion,
};

/// Opens a session by its id.
pub(super) type OpenSession =
    dyn Fn(SessionId) -> BoxFuture<'static, Result<Arc<dyn Session>, SessionError>> + Send + Sync;

/// Names the sessions that there are, the latest first.
pub(super) type ListSessions =
    dyn Fn() -> BoxFuture<'static, Result<Vec<SessionId>, SessionError>> + Send + Sync;

/// Keeps the latest sessions in memory: opens and lists them.
#[cfg(feature = "server")]
pub(super) fn in_memory(kept: &Shelf<KeptSession>) -> (Arc<OpenSession>, Arc<ListSessions>) {
    let (kept, listed) = (InMemory::new(kept.clone()), InMemory::new(kept.clone()));
    let open: Arc<OpenSession> = Arc::new(move |id| {
        let session = kept.open(&id);
        Box::pin(async move { session })
    });
    let list: Arc<ListSessions> = Arc::new(move || {
        let ids = listed.ids();
        Box::pin(async move { Ok(ids) })
    });
    (open, list)
}

/// The latest sessions, in memory.
pub(super) struct InMemory(Shelf<KeptSession>);

impl InMemory {
    pub(super) const fn new(kept: Shelf<KeptSession>) -> Self {
        Self(kept)
    }

    /// Returns a session, which is new if there is none of this id; one that was dropped is none that begins again, since its client
    /// counts on what it held.
    pub(super) fn open(&self, id: &SessionId) -> Result<Arc<dyn Session>, SessionError> {
        if let Some(why) = self.0.dropped(id.as_str()) {
            return Err(SessionError::Dropped {
                session: id.clone(),
                why: why.as_str(),
            });
        }
        let kept = self.0.get_or_insert_with(id.as_str(), || KeptSession {
            session: MemorySession::new(id.clone()),
            users: Arc::default(),
        });
        Ok(Arc::new(OpenedSession {
            kept,
            shelf: self.0.clone(),
        }))
    }

    /// Returns a session that there is; looking does not keep it longer.
    #[cfg(feature = "mcp-server")]
    pub(super) fn find(&self, id: &SessionId) -> Option<MemorySession> {
        self.0.find(id.as_str()).map(|kept| kept.session)
    }

    /// Returns the ids, that which was last asked for first.
    pub(super) fn ids(&self) -> Vec<SessionId> {
        let kept = self.0.all().into_iter();
        kept.map(|kept| kept.session.id().clone()).collect()
    }
}

/// A session that is kept; while somebody else holds a clone, it is not forgotten.
#[derive(Clone)]
pub(super) struct KeptSession {
    session: MemorySession,
    users: Arc<()>,
}

impl Keepable for KeptSession {
    fn n_bytes(&self) -> usize {
        self.session.n_bytes()
    }

    fn is_busy(&self) -> bool {
        // One is that of the shelf.
        Arc::strong_count(&self.users) > 1
    }
}

/// A session that somebody uses; its bytes are counted when it changes.
struct OpenedSession {
    kept: KeptSession,
    shelf: Shelf<KeptSession>,
}

impl OpenedSession {
    async fn counted<T>(&self, change: impl Future<Output = T>) -> T {
        let changed = change.await;
        self.shelf.changed(self.kept.session.id().as_str());
        changed
    }
}

impl Session for OpenedSession {
    fn id(&self) -> &SessionId {
        self.kept.session.id()
    }

    fn items(&self, limit: Option<usize>) -> BoxFuture<'_, Result<SessionItems, SessionError>> {
        self.kept.session.items(limit)
    }

    fn append(&self, turn: SessionTurn) -> BoxFuture<'_, Result<SessionVersion, SessionError>> {
        Box::pin(self.counted(self.kept.session.append(turn)))
    }

    fn replace(&self, turn: SessionTurn) -> BoxFuture<'_, Result<SessionVersion, SessionError>> {
        Box::pin(self.counted(self.kept.session.replace(turn)))
    }

    fn pop(&self) -> BoxFuture<'_, Result<Option<Item>, SessionError>> {
        Box::pin(self.counted(self.kept.session.pop()))
    }

    fn clear(&self) -> BoxFuture<'_, Result<(), SessionError>> {
        Box::pin(self.counted(self.kept.session.clear()))
    }
}
