//! Where the server finds sessions: the application's, or in memory.

use std::sync::{Arc, Mutex, PoisonError};

use super::kept::Kept;
use crate::future::BoxFuture;
use crate::session::{MemorySession, Session, SessionError, SessionId};

/// Opens a session by its id.
pub(super) type OpenSession =
    dyn Fn(SessionId) -> BoxFuture<'static, Result<Arc<dyn Session>, SessionError>> + Send + Sync;

/// Keeps the latest sessions in memory.
pub(super) fn in_memory(max_kept: usize) -> Arc<OpenSession> {
    let kept = Mutex::new(Kept::<MemorySession>::new(max_kept));
    Arc::new(move |id| {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let session = kept.get(id.as_str()).cloned().unwrap_or_else(|| {
            let session = MemorySession::new(id.clone());
            drop(kept.insert(id.to_string(), session.clone()));
            session
        });
        drop(kept);
        Box::pin(async move { Ok(Arc::new(session) as Arc<dyn Session>) })
    })
}
