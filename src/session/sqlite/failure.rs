//! What SQLite says, in the words of a session.

use rusqlite::ErrorCode;

use crate::session::{SessionCause, SessionError};

/// Why a job failed, before it is known where.
#[derive(Debug)]
pub(super) enum Failure {
    Sqlite(rusqlite::Error),
    Refused(SessionCause),
    Session(SessionError),
}

impl Failure {
    pub(super) fn refused(cause: impl Into<SessionCause>) -> Self {
        Self::Refused(cause.into())
    }

    /// Says where it failed.
    pub(super) fn at(self, store: &str) -> SessionError {
        let store = store.to_owned();
        let error = match self {
            Self::Session(error) => return error,
            Self::Refused(source) => return SessionError::Refused { store, source },
            Self::Sqlite(error) => error,
        };
        let code = error.sqlite_error_code();
        let source: SessionCause = Box::new(error);
        match code {
            Some(ErrorCode::DiskFull) => SessionError::Full { store, source },
            Some(ErrorCode::ReadOnly) => SessionError::ReadOnly { store, source },
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied,
            ) => SessionError::Unavailable { store, source },
            _ => SessionError::Refused { store, source },
        }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}
