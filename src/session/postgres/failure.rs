//! Turns Postgres errors into [`SessionError`]s.

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::session::{SessionCause, SessionError};

/// The connection could not be opened, so nothing was sent.
pub(super) fn unavailable(cause: impl Into<SessionCause>, store: &str) -> SessionError {
    SessionError::Unavailable {
        store: store.to_owned(),
        source: cause.into(),
    }
}

/// A statement was sent and failed.
pub(super) fn of_answer(error: Error, store: &str) -> SessionError {
    let store = store.to_owned();
    let Some(code) = error.code().cloned() else {
        // Only answers of the server carry a code. Without one the connection ended, and nobody knows
        // whether the statement was carried out.
        let source = Box::new(error);
        return SessionError::Interrupted { store, source };
    };
    let source: SessionCause = Box::new(error);
    if code == SqlState::DISK_FULL {
        SessionError::Full { store, source }
    } else if code == SqlState::READ_ONLY_SQL_TRANSACTION {
        SessionError::ReadOnly { store, source }
    } else if code == SqlState::ADMIN_SHUTDOWN || code == SqlState::CRASH_SHUTDOWN {
        // The server is going down; it will close the connection right after this answer.
        SessionError::Interrupted { store, source }
    } else if code == SqlState::CANNOT_CONNECT_NOW || code == SqlState::TOO_MANY_CONNECTIONS {
        // Both codes refuse a connection: nothing was carried out, and a later try may succeed.
        SessionError::Unavailable { store, source }
    } else {
        SessionError::Refused { store, source }
    }
}

pub(super) fn refused(cause: impl Into<SessionCause>, store: &str) -> SessionError {
    SessionError::Refused {
        store: store.to_owned(),
        source: cause.into(),
    }
}
