//! A SQLite file with sessions in it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::{SessionError, SessionId, SqliteSession, rows, schema};
use crate::future::BoxFuture;
use crate::session::{Session, SessionSummary, Sessions};
use crate::sqlite::{Access, Worker};

/// Opens sessions in one SQLite file; clones share the file's one connection.
///
/// The connection has a thread of its own, which ends with the last handle of the store and of its sessions: the drop of that handle
/// waits until the thread has finished what it began. Other processes may use the file at the same time; a change waits up to ten
/// seconds for theirs. Every change is on the disk before it is acknowledged (WAL, `synchronous=FULL`).
///
/// A file that is made here can be read and written by its owner only.
///
/// ```
/// use openai_agents::Item;
/// use openai_agents::session::{Session, SessionId, SessionTurn, SqliteSessions};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let sessions = SqliteSessions::open(":memory:").await?;
/// let alice = sessions.session(SessionId::new("alice")?);
/// alice.append(SessionTurn::new([Item::user("hi")])).await?;
/// assert_eq!(sessions.list(None).await?[0].n_items, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SqliteSessions(Arc<Worker>);

impl SqliteSessions {
    /// Opens the file, and makes it and its tables if they are not there.
    ///
    /// `:memory:` is a store without a file.
    ///
    /// # Errors
    ///
    /// [`SessionError::Unavailable`] when the file cannot be opened or made, [`SessionError::Refused`] when it is not a database,
    /// [`SessionError::Newer`] when a newer version of this library made it.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the file may have been made.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, SessionError> {
        let worker =
            Worker::start(path.as_ref().to_owned(), Access::ReadWrite, schema::prepare).await?;
        Ok(Self(Arc::new(worker)))
    }

    /// Opens a file that must be there, to read only; a change is [`SessionError::ReadOnly`].
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    ///
    /// # Cancel safety
    ///
    /// Nothing is changed.
    pub async fn open_read_only(path: impl AsRef<Path>) -> Result<Self, SessionError> {
        let worker =
            Worker::start(path.as_ref().to_owned(), Access::ReadOnly, schema::prepare).await?;
        Ok(Self(Arc::new(worker)))
    }

    /// Opens the session with this id; nothing is stored until something is appended.
    pub fn session(&self, id: SessionId) -> SqliteSession {
        SqliteSession::new(id, Arc::clone(&self.0))
    }

    /// Lists the sessions, the one with the latest item first.
    ///
    /// The order is that of writing, also where the clock was set back in between.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Nothing is changed.
    pub async fn list(&self, limit: Option<usize>) -> Result<Vec<SessionSummary>, SessionError> {
        self.0.run(move |db| rows::list(db, limit)).await
    }

    /// Says what there is of a session; `None` when nothing is.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Nothing is changed.
    pub async fn find(&self, id: &SessionId) -> Result<Option<SessionSummary>, SessionError> {
        let id = id.clone();
        self.0.run(move |db| rows::find(db, &id)).await
    }
}

impl SqliteSessions {
    pub(crate) fn worker(&self) -> &Arc<Worker> {
        &self.0
    }
}

impl Sessions for SqliteSessions {
    fn open(&self, id: SessionId) -> Arc<dyn Session> {
        Arc::new(self.session(id))
    }

    fn list(
        &self,
        limit: Option<usize>,
    ) -> BoxFuture<'_, Result<Vec<SessionSummary>, SessionError>> {
        Box::pin(self.list(limit))
    }
}

impl fmt::Debug for SqliteSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SqliteSessions")
            .field(&self.0.store())
            .finish()
    }
}
