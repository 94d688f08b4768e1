//! What Postgres says, in the words of a session.

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::session::{SessionCause, SessionError};

/// Nothing was sent: no connection could be made.
pub(super) fn unavailable(cause: impl Into<SessionCause>, store: &str) -> SessionError {
    SessionError::Unavailable {
        store: store.to_owned(),
        source: cause.into(),
    }
}

/// A statement was sent.
pub(super) fn of_answer(error: Error, store: &str) -> SessionError {
    let store = store.to_owned();
    let Some(code) = error.code().cloned() else {
        // No answer of the server, but the end of the connection.
        let source = Box::new(error);
        return SessionError::Interrupted { store, source };
    };
    let source: SessionCause = Box::new(error);
    if code == SqlState::DISK_FULL {
        SessionError::Full { store, source }
    } else if code == SqlState::READ_ONLY_SQL_TRANSACTION {
        SessionError::ReadOnly { store, source }
    } else if code == SqlState::ADMIN_SHUTDOWN || code == SqlState::CRASH_SHUTDOWN {
        SessionError::Interrupted { store, source }
    } else if code == SqlState::CANNOT_CONNECT_NOW || code == SqlState::TOO_MANY_CONNECTIONS {
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
