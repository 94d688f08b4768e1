//! What SQLite says, before it is known where and in whose words.

use rusqlite::ErrorCode;

use crate::future::BoxError;

/// Why a job failed, before it is known where; `E` is the error of the room whose job it is.
#[derive(Debug)]
pub(crate) enum Failure<E> {
    Sqlite(rusqlite::Error),
    Refused(BoxError),
    Own(E),
}

/// What can be wrong with a file, whoever keeps what in it.
#[derive(Debug)]
pub(crate) enum Trouble {
    Unavailable(BoxError),
    Full(BoxError),
    ReadOnly(BoxError),
    Refused(BoxError),
    /// A newer version of this library made the tables.
    Newer {
        found: u32,
        known: u32,
    },
    Closed,
}

/// The error of a room that keeps something in a file.
pub(crate) trait StoreError: Sized + Send + 'static {
    fn at(store: &str, trouble: Trouble) -> Self;
}

impl<E: StoreError> Failure<E> {
    pub(crate) fn refused(cause: impl Into<BoxError>) -> Self {
        Self::Refused(cause.into())
    }

    /// Says where it failed.
    pub(crate) fn at(self, store: &str) -> E {
        match self {
            Self::Own(error) => error,
            Self::Refused(source) => E::at(store, Trouble::Refused(source)),
            Self::Sqlite(error) => E::at(store, Trouble::of(error)),
        }
    }
}

impl Trouble {
    fn of(error: rusqlite::Error) -> Self {
        let code = error.sqlite_error_code();
        let source: BoxError = Box::new(error);
        match code {
            Some(ErrorCode::DiskFull) => Self::Full(source),
            Some(ErrorCode::ReadOnly) => Self::ReadOnly(source),
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied,
            ) => Self::Unavailable(source),
            _ => Self::Refused(source),
        }
    }
}

impl<E> From<rusqlite::Error> for Failure<E> {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}
