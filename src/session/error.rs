//! What can go wrong with a session.

use std::error::Error;

use super::{SessionId, SessionVersion};
use crate::kind::ErrorKind;

/// What a store or a wrapper said, as the cause of a [`SessionError`].
pub type SessionCause = Box<dyn Error + Send + Sync>;

/// Says why a session could not be read or written.
///
/// `store` names the place: a path, or a server without its password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// Somebody else changed the session since the version was read; nothing was changed now.
    ///
    /// Read again, decide again, and append after the new version.
    #[error(
        "session `{session}` is at version `{found}`, not at `{expected}`: it was changed in between"
    )]
    Conflict {
        /// The session.
        session: SessionId,
        /// The version that the change was to come after.
        expected: SessionVersion,
        /// The version that is there.
        found: SessionVersion,
    },
    /// The store cannot be reached, or was busy for too long; nothing was changed.
    #[error("the session store {store} cannot be reached")]
    Unavailable {
        /// The store.
        store: String,
        /// What it said.
        source: SessionCause,
    },
    /// The connection broke before the answer: a change has happened whole, or not at all.
    #[error("the connection to the session store {store} broke before its answer")]
    Interrupted {
        /// The store.
        store: String,
        /// How it broke.
        source: SessionCause,
    },
    /// There is no room left; nothing was changed.
    #[error("the session store {store} is full")]
    Full {
        /// The store.
        store: String,
        /// What it said.
        source: SessionCause,
    },
    /// The store can be read and not written; nothing was changed.
    #[error("the session store {store} is read-only")]
    ReadOnly {
        /// The store.
        store: String,
        /// What it said.
        source: SessionCause,
    },
    /// The store refused the request; nothing was changed.
    #[error("the session store {store} refused")]
    Refused {
        /// The store.
        store: String,
        /// What it said.
        source: SessionCause,
    },
    /// What is stored cannot be read.
    ///
    /// The Python SDK passes over such an item; here nothing is passed over, because the model would be told half a conversation.
    #[error("session `{session}`: {row} cannot be read")]
    Corrupt {
        /// The session.
        session: SessionId,
        /// Where it is, in the store's own terms.
        row: String,
        /// What is wrong with it.
        source: SessionCause,
    },
    /// A newer version of this library wrote the store.
    #[error("the session store {store} has the format {found}, this version knows up to {known}")]
    Newer {
        /// The store.
        store: String,
        /// The format of the store.
        found: u32,
        /// The newest format that is known here.
        known: u32,
    },
    /// The session has more items than are handed out at once; ask for fewer.
    #[error(
        "session `{session}` has more than {max_items} items, which is the most that is read at once"
    )]
    TooManyItems {
        /// The session.
        session: SessionId,
        /// The most that is read at once.
        max_items: usize,
    },
    /// An item is encrypted with a key that was not given.
    #[error("session `{session}`: item {item} needs the key `{key_id}`, which was not given")]
    UnknownKey {
        /// The session.
        session: SessionId,
        /// The item, counted from 0 in what was read.
        item: usize,
        /// The id of the key.
        key_id: String,
    },
    /// An item is not what was encrypted for this session.
    ///
    /// The key is another, or the item was edited, moved, or never encrypted.
    #[error("session `{session}`: item {item} cannot be decrypted: {detail}")]
    Undecryptable {
        /// The session.
        session: SessionId,
        /// The item, counted from 0 in what was read.
        item: usize,
        /// What is wrong with it; nothing of its content.
        detail: &'static str,
    },
    /// The history could not be made shorter; it is as it was.
    #[error("the history of session `{session}` could not be compacted")]
    Compaction {
        /// The session.
        session: SessionId,
        /// What the compactor said.
        source: SessionCause,
    },
    /// The session was in memory and is not kept any more.
    ///
    /// Nothing was changed, and none begins anew under its id.
    #[error("session `{session}` is not kept any more: {why}")]
    Dropped {
        /// The session.
        session: SessionId,
        /// Why.
        why: &'static str,
    },
    /// The session has no such branch.
    #[error("session `{session}` has no branch `{branch}`")]
    NoBranch {
        /// The session.
        session: SessionId,
        /// The branch.
        branch: String,
    },
    /// The session has a branch of this name already.
    #[error("session `{session}` has a branch `{branch}` already")]
    BranchExists {
        /// The session.
        session: SessionId,
        /// The branch.
        branch: String,
    },
    /// The session has no such turn.
    #[error("session `{session}` has {n_turns} turns of the user; there is no turn {turn}")]
    NoTurn {
        /// The session.
        session: SessionId,
        /// The turn that was asked for, from 1.
        turn: usize,
        /// How many there are.
        n_turns: usize,
    },
    /// The journal of a run did not let the reading or the change pass.
    #[error("the journal could not record the use of session `{session}`")]
    NotJournaled {
        /// The session.
        session: SessionId,
        /// The kind of the journal's error.
        kind: ErrorKind,
        /// The journal's error.
        source: SessionCause,
    },
    /// The store was closed while this waited; nothing was changed.
    #[error("the session store {store} is closed")]
    Closed {
        /// The store.
        store: String,
    },
}

impl SessionError {
    /// Returns the stable kind.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::NotJournaled { kind, .. } => *kind,
            Self::Conflict { .. } => ErrorKind::SessionConflict,
            _ => ErrorKind::Session,
        }
    }
}
