//! Turns Redis errors into [`SessionError`]s.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::session::{SessionCause, SessionError};

/// The URL is invalid, so nothing was sent.
pub(super) fn of_url(cause: impl Into<SessionCause>) -> SessionError {
    SessionError::Refused {
        store: "with this URL".to_owned(),
        source: cause.into(),
    }
}

/// The connection could not be opened, so nothing was sent.
pub(super) fn unavailable(cause: impl Into<SessionCause>, store: &str) -> SessionError {
    SessionError::Unavailable {
        store: store.to_owned(),
        source: cause.into(),
    }
}

/// A script was sent and failed.
pub(super) fn of_answer(error: RedisError, store: &str) -> SessionError {
    let store = store.to_owned();
    let kind = error.kind();
    // OOM: `maxmemory` is reached. MISCONF: the snapshot or log cannot be written, mostly because the
    // disk is full.
    let is_full = matches!(error.code(), Some("OOM" | "MISCONF"));
    let is_broken = error.is_unrecoverable_error() || kind == ErrorKind::Io;
    let source: SessionCause = Box::new(error);
    match kind {
        _ if is_full => SessionError::Full { store, source },
        ErrorKind::Server(ServerErrorKind::ReadOnly) => SessionError::ReadOnly { store, source },
        ErrorKind::Server(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown
            | ServerErrorKind::TryAgain,
        ) => SessionError::Unavailable { store, source },
        _ if is_broken => SessionError::Interrupted { store, source },
        _ => SessionError::Refused { store, source },
    }
}
