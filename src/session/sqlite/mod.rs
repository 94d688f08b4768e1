//! Sessions in a SQLite file that the Python Agents SDK can read and continue.

mod store;
mod schema;
mod rows;
mod branch;

use std::fmt;
use std::sync::Arc;

use super::{Session, SessionError, SessionId, SessionItems, SessionTurn, SessionVersion};
use crate::future::BoxFuture;
use crate::item::Item;
use crate::sqlite::{self, StoreError, Trouble, Worker};

pub use branch::{BranchName, ForkPoint, SessionBranch};
use rows::Rows;
pub use store::SqliteSessions;

/// Why a job on the database thread failed, before the store's name is added.
type SessionFailure = sqlite::Failure<SessionError>;

/// One conversation in a SQLite file; made by [`SqliteSessions::session`], and a cheap handle.
///
/// The tables are those of the Python SDK's `SQLiteSession`, so that either SDK continues what the other wrote. An item is stored as the
/// JSON that it came as; a message of the model that has no id gets one beside it that the Python SDK needs and that is taken away
/// when it is read. The version of a session is the number of its latest item, which is never given again, so that it also sees
/// what other programs change.
///
/// # Cancel safety
///
/// A change whose future is dropped before its turn at the writer thread does not happen; one that has begun is finished.
#[derive(Clone)]
pub struct SqliteSession {
    id: SessionId,
    rows: Rows,
    worker: Arc<Worker>,
}

impl SqliteSession {
    fn new(id: SessionId, worker: Arc<Worker>) -> Self {
        Self {
            rows: Rows::main(&id),
            id,
            worker,
        }
    }
}

impl Session for SqliteSession {
    fn id(&self) -> &SessionId {
        &self.id
    }

    fn items(&self, limit: Option<usize>) -> BoxFuture<'_, Result<SessionItems, SessionError>> {
        let rows = self.rows.clone();
        Box::pin(self.worker.run(move |db| rows.read(db, limit)))
    }

    fn append(&self, turn: SessionTurn) -> BoxFuture<'_, Result<SessionVersion, SessionError>> {
        let rows = self.rows.clone();
        Box::pin(self.worker.run(move |db| rows.append(db, &turn)))
    }

    fn replace(&self, turn: SessionTurn) -> BoxFuture<'_, Result<SessionVersion, SessionError>> {
        let rows = self.rows.clone();
        Box::pin(self.worker.run(move |db| rows.replace(db, &turn)))
    }

    fn pop(&self) -> BoxFuture<'_, Result<Option<Item>, SessionError>> {
        let rows = self.rows.clone();
        Box::pin(self.worker.run(move |db| rows.pop(db)))
    }

    fn clear(&self) -> BoxFuture<'_, Result<(), SessionError>> {
        let rows = self.rows.clone();
        Box::pin(self.worker.run(move |db| rows.clear(db)))
    }
}

impl StoreError for SessionError {
    fn at(store: &str, trouble: Trouble) -> Self {
        let store = store.to_owned();
        match trouble {
            Trouble::Unavailable(source) => Self::Unavailable { store, source },
            Trouble::Full(source) => Self::Full { store, source },
            Trouble::ReadOnly(source) => Self::ReadOnly { store, source },
            Trouble::Refused(source) => Self::Refused { store, source },
            Trouble::Newer { found, known } => Self::Newer {
                store,
                found,
                known,
            },
            Trouble::Closed => Self::Closed { store },
        }
    }
}

impl fmt::Debug for SqliteSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteSession")
            .field("id", &self.id)
            .field("store", &self.worker.store())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
