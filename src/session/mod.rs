//! What keeps the items of a conversation between runs.
//!
//! A [`Session`] is one conversation under one [`SessionId`]. [`MemorySession`] lives as long as the process; the others are on disk or
//! on a server, each behind a feature. [`SessionSettings`] says how much of it a run reads, a [`SessionInput`] what it makes of that.
//!
//! # What a run leaves
//!
//! A run reads its session when it begins, and writes each turn when the turn's tools are done: whole or not at all, the run's input with
//! the first. Each write comes after the version that the run knows, so that of two runs at once the one that writes first goes on, and
//! the other ends. Of runs of several turns both can lose: what one takes out again is a change for the other.
//!
//! | how the run ends | what its session has of it |
//! |---|---|
//! | a result | its input and all that it added |
//! | an error of the model, a limit, a refusal, an output of the wrong form, a tool or callback that fails | its input, the turns that were finished, and of the last one the calls that have their outputs |
//! | cancelled by its handle | the same |
//! | an input guardrail trips | its input ([`Keep`](crate::agent::runner::TrippedInput::Keep), as in the Python SDK), or nothing ([`Forget`](crate::agent::runner::TrippedInput::Forget)) |
//! | an output guardrail trips | its input and turns; the final message is left out, a tool output that was to be final is replaced |
//! | paused for approval | its input and the turns that were finished; the turn that waits is in the [`RunState`](crate::RunState) |
//! | another run or program wrote to the session: `session_conflict` | nothing; but what a [`Compactor`] has put into a summary by then stays there |
//! | the session cannot be written | what was written before; the rest is in the error's [state](crate::RunError::into_state), from which it is written later |
//! | its stream or future is dropped, its process is killed | the turns that were finished, its input with the first of them |
//!
//! A call never stands there without its output. A run under a [journal](crate::journal) that continues runs has its input in the session
//! from the beginning, and of a turn that failed nothing, since both belong to a run that is not over.
//!
//! ```
//! use openai_agents::Item;
//! use openai_agents::session::{MemorySession, Session, SessionId, SessionTurn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let session = MemorySession::new(SessionId::new("alice")?);
//! session.append(SessionTurn::new([Item::user("hi"), Item::assistant("hello")])).await?;
//! assert_eq!(session.items(Some(1)).await?.items, [Item::assistant("hello")]);
//! # Ok(())
//! # }
//! ```

mod id;
mod version;
mod turn;
mod error;
mod settings;
mod input;
mod memory;
#[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
mod store;
mod compacting;
mod summary;
#[cfg(feature = "encryption")]
mod encrypted;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod python;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod tls;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;

use std::sync::Arc;

use crate::future::BoxFuture;
use crate::item::Item;

pub use compacting::{CompactingSession, Compactor};
#[cfg(feature = "encryption")]
pub use encrypted::{EncryptedSession, SessionKey, SessionKeyError, SessionKeys};
pub use error::{SessionCause, SessionError};
pub use id::{SessionId, SessionIdError};
pub use input::{MergedInput, SessionInput};
pub use memory::MemorySession;
#[cfg(feature = "postgres")]
pub use postgres::{PostgresSession, PostgresSessions};
#[cfg(feature = "redis")]
pub use redis::{RedisSession, RedisSessions};
pub use settings::SessionSettings;
#[cfg(feature = "sqlite")]
pub use sqlite::{BranchName, ForkPoint, SessionBranch, SqliteSession, SqliteSessions};
#[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
pub use store::{SessionSummary, Sessions};
pub use summary::SummaryCompactor;
pub use turn::{SessionItems, SessionTurn};
pub use version::SessionVersion;

/// The most items that a session hands out at once; more is [`SessionError::TooManyItems`].
pub const MAX_ITEMS: usize = 100_000;

/// Keeps the items of one conversation, in order.
///
/// Back ends implement it, and so can you; `testing::session_conformance` checks an implementation. Wrappers implement it around
/// another session. The runner reads before its first turn and appends after each; a program may call everything at any time.
///
/// - An item comes back as it was given: the same JSON, unknown fields included, whatever it holds.
/// - Sessions with different ids never see each other's items, whatever the ids hold.
/// - A change happens whole or not at all, also when the process or the server ends in the middle of it. What has been acknowledged
///   stays, as far as the store keeps its promises.
/// - Many tasks and processes may use one session at once. Each change is seen whole or not at all, and changes have one order.
/// - A failure is an error: nothing is retried, skipped or repaired. After a failed change the same change can be tried again.
/// - A method does not block the thread that polls it.
///
/// # Cancel safety
///
/// Nothing happens before a future is first polled. When one is dropped, its change has happened whole, happens whole, or never
/// happens. To learn which, read again, or give the change a version to come [`after`](SessionTurn::after): if it is tried again and
/// the first try did happen, that is a [`SessionError::Conflict`] and no second copy.
pub trait Session: Send + Sync {
    /// Names the conversation.
    fn id(&self) -> &SessionId;

    /// Reads the latest items, oldest first, and the version that they are of.
    ///
    /// It reads all of them without a limit.
    ///
    /// A session that nobody has written to is empty, not an error.
    fn items(&self, limit: Option<usize>) -> BoxFuture<'_, Result<SessionItems, SessionError>>;

    /// Adds the items of a turn at the end, all or none.
    ///
    /// Gives the version that they make.
    fn append(&self, turn: SessionTurn) -> BoxFuture<'_, Result<SessionVersion, SessionError>>;

    /// Puts the items of a turn in the place of all that is there.
    ///
    /// It does so in one step, and gives the version that they make.
    fn replace(&self, turn: SessionTurn) -> BoxFuture<'_, Result<SessionVersion, SessionError>>;

    /// Takes the latest item away and gives it; `None` when there is none.
    fn pop(&self) -> BoxFuture<'_, Result<Option<Item>, SessionError>>;

    /// Takes all items away, and whatever else the store keeps of the session.
    fn clear(&self) -> BoxFuture<'_, Result<(), SessionError>>;
}

/// A session as a run takes it.
///
/// It is one of this crate's by value, one that is shared, or a reference to any that can be cloned.
///
/// ```
/// use std::sync::Arc;
/// use openai_agents::session::{IntoSession, MemorySession, Session, SessionId};
///
/// let session = MemorySession::new(SessionId::new("alice")?);
/// let shared: Arc<dyn Session> = (&session).into_session();
/// assert_eq!(shared.id(), session.into_session().id());
/// # Ok::<(), openai_agents::session::SessionIdError>(())
/// ```
pub trait IntoSession {
    /// Returns the session as runs share it.
    fn into_session(self) -> Arc<dyn Session>;
}

impl<S: Session + ?Sized + 'static> IntoSession for Arc<S> {
    fn into_session(self) -> Arc<dyn Session> {
        Arc::new(self)
    }
}

/// One by one: a reference might be a session of another crate's, so that no implementation can cover both kinds.
macro_rules! into_session {
    ($($(#[$condition:meta])* $session:ty,)+) => {$(
        $(#[$condition])*
        impl IntoSession for $session {
            fn into_session(self) -> Arc<dyn Session> {
                Arc::new(self)
            }
        }
    )+};
}

into_session! {
    MemorySession,
    CompactingSession,
    #[cfg(feature = "encryption")]
    EncryptedSession,
    #[cfg(feature = "sqlite")]
    SqliteSession,
    #[cfg(feature = "postgres")]
    PostgresSession,
    #[cfg(feature = "redis")]
    RedisSession,
}

impl<S: Session + Clone + 'static> IntoSession for &S {
    fn into_session(self) -> Arc<dyn Session> {
        Arc::new(self.clone())
    }
}

/// A shared session is one as well, so that an `Arc<dyn Session>` can be wrapped.
impl<S: Session + ?Sized> Session for Arc<S> {
    fn id(&self) -> &SessionId {
        (**self).id()
    }

    fn items(&self, limit: Option<usize>) -> BoxFuture<'_, Result<SessionItems, SessionError>> {
        (**self).items(limit)
    }

    fn append(&self, turn: SessionTurn) -> BoxFuture<'_, Result<SessionVersion, SessionError>> {
        (**self).append(turn)
    }

    fn replace(&self, turn: SessionTurn) -> BoxFuture<'_, Result<SessionVersion, SessionError>> {
        (**self).replace(turn)
    }

    fn pop(&self) -> BoxFuture<'_, Result<Option<Item>, SessionError>> {
        (**self).pop()
    }

    fn clear(&self) -> BoxFuture<'_, Result<(), SessionError>> {
        (**self).clear()
    }
}
