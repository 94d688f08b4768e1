//! Sessions in Postgres.

mod connection;
mod tls;
mod statement;
mod failure;

use std::fmt;
use std::sync::Arc;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::{
    MAX_ITEMS, Session, SessionError, SessionId, SessionItems, SessionSummary, SessionTurn,
    SessionVersion, Sessions, python,
};
use crate::future::BoxFuture;
use crate::item::Item;
use crate::secret::Secret;

use connection::PostgresConnection;

/// Opens sessions in one Postgres database; clones share one connection.
///
/// The tables `agent_sessions` and `agent_messages` are those of the Python SDK's
/// `SQLAlchemySession`. A third table, `openai_agents_versions`, holds a number for each session
/// that grows with every change. Every operation is a single statement: one transaction and one
/// round trip. Statements of several tasks are pipelined over the connection. A connection that
/// broke is opened again at the next operation.
///
/// To another machine the connection uses TLS, unless the URL says `sslmode=disable`; to this
/// machine it does only with `sslmode=require`. Trusted are the certificates that the operating
/// system trusts, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name. Chain and host name are
/// always checked: `require` means the same as `verify-full`.
#[derive(Clone)]
pub struct PostgresSessions(Arc<PostgresConnection>);

/// One conversation in Postgres, opened by [`PostgresSessions::session`]; a cheap handle.
///
/// # Cancel safety
///
/// Dropping the future of an operation does not stop a statement that was already sent: Postgres
/// carries it out. A statement that still waits for the connection is never sent.
#[derive(Clone)]
pub struct PostgresSession {
    id: SessionId,
    connection: Arc<PostgresConnection>,
}

impl PostgresSessions {
    /// Connects, and creates the tables that are missing.
    ///
    /// The URL looks like `postgres://user:password@host:5432/database`.
    ///
    /// # Errors
    ///
    /// [`SessionError::Refused`] when the URL is invalid, [`SessionError::Unavailable`] when
    /// nothing answers or the certificate is not trusted.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the tables may have been created.
    pub async fn connect(url: &Secret) -> Result<Self, SessionError> {
        let connection = PostgresConnection::new(url)?;
        connection.reach().await?;
        Ok(Self(Arc::new(connection)))
    }

    /// Opens the session with this id; nothing is stored until something is appended.
    pub fn session(&self, id: SessionId) -> PostgresSession {
        PostgresSession {
            id,
            connection: Arc::clone(&self.0),
        }
    }

    /// Lists the sessions, most recently written first; all of them without a limit.
    ///
    /// They are ordered by the number of their latest message and not by time, so a clock that was
    /// set back does not matter.
    ///
    /// # Errors
    ///
    /// When Postgres cannot be asked.
    ///
    /// # Cancel safety
    ///
    /// Nothing is changed.
    pub async fn list(&self, limit: Option<usize>) -> Result<Vec<SessionSummary>, SessionError> {
        let n_rows = limit.and_then(|limit| i64::try_from(limit).ok());
        let n_rows = n_rows.unwrap_or(i64::MAX);
        let parameters: [connection::QueryParameter<'_>; 1] = [(&n_rows, Type::INT8)];
        let rows = self.0.query(statement::LIST, &parameters).await?;
        let failed = |error| failure::of_answer(error, self.0.store());
        let summary = |row: &Row| {
            let id: String = row.try_get(0).map_err(failed)?;
            let n_items: i64 = row.try_get(1).map_err(failed)?;
            Ok(SessionSummary {
                // Another program may have stored an id that is not allowed here.
                id: SessionId::new(&id).map_err(|error| failure::refused(error, self.0.store()))?,
                n_items: u64::try_from(n_items).unwrap_or(0),
                created_at: row.try_get(2).map_err(failed)?,
                updated_at: row.try_get(3).map_err(failed)?,
            })
        };
        rows.iter().map(summary).collect()
    }
}

impl Sessions for PostgresSessions {
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

/// What a statement that changes a session did.
enum StatementOutcome {
    Done {
        version: SessionVersion,
    },
    /// Nothing: the session is at another version, or was changed while the statement waited for
    /// its row.
    Stale {
        found: SessionVersion,
    },
}

impl PostgresSession {
    async fn read(&self, limit: Option<usize>) -> Result<SessionItems, SessionError> {
        // One more than the maximum is asked for, to tell a session that is too long from a full one.
        let n_rows = limit.unwrap_or(usize::MAX).min(MAX_ITEMS + 1);
        let n_rows = i64::try_from(n_rows).unwrap_or(i64::MAX);
        let parameters: [connection::QueryParameter<'_>; 2] =
            [(&self.id.as_str(), Type::TEXT), (&n_rows, Type::INT8)];
        let rows = self.connection.query(statement::READ, &parameters).await?;
        if rows.len() > MAX_ITEMS {
            return Err(SessionError::TooManyItems {
                session: self.id.clone(),
                max_items: MAX_ITEMS,
            });
        }
        let mut version = SessionVersion::new("");
        let mut items = Vec::with_capacity(rows.len());
        // Latest first in the answer, because the limit keeps the end of a conversation. An empty
        // session is one row that has a version and no item.
        for row in rows.iter().rev() {
            version = SessionVersion::new(self.column::<String>(row, 0)?);
            if let Some(id) = self.column::<Option<i64>>(row, 1)? {
                items.push(self.item(id, &self.column::<String>(row, 2)?)?);
            }
        }
        Ok(SessionItems::new(items, version))
    }

    /// Changes the session if it is at the version `after`, or at any version without one.
    async fn change(
        &self,
        sql: &str,
        items: &[Item],
        after: Option<SessionVersion>,
    ) -> Result<SessionVersion, SessionError> {
        loop {
            match self.attempt(sql, items, after.as_ref()).await? {
                StatementOutcome::Done { version } => return Ok(version),
                StatementOutcome::Stale { found } => match &after {
                    Some(expected) if *expected != found => {
                        return Err(SessionError::Conflict {
                            session: self.id.clone(),
                            expected: expected.clone(),
                            found,
                        });
                    }
                    // Another writer got the row first. A statement sees the database as it was when the
                    // statement began, so only a new one can see what was written.
                    _ => {}
                },
            }
        }
    }

    async fn attempt(
        &self,
        sql: &str,
        items: &[Item],
        after: Option<&SessionVersion>,
    ) -> Result<StatementOutcome, SessionError> {
        let after = after.map(SessionVersion::as_str);
        let items: Vec<_> = items.iter().map(python::encode).collect();
        let parameters: [connection::QueryParameter<'_>; 3] = [
            (&self.id.as_str(), Type::TEXT),
            (&after, Type::TEXT),
            (&items, Type::TEXT_ARRAY),
        ];
        let rows = self.connection.query(sql, &parameters).await?;
        let row = rows.first().ok_or_else(|| self.connection.strange())?;
        let found = SessionVersion::new(self.column::<String>(row, 0)?);
        Ok(match self.column::<Option<String>>(row, 1)? {
            Some(version) => StatementOutcome::Done {
                version: SessionVersion::new(version),
            },
            None => StatementOutcome::Stale { found },
        })
    }

    async fn pop_latest(&self) -> Result<Option<Item>, SessionError> {
        loop {
            // Read before deleting: an item that cannot be read must not be lost without a word.
            let mut read = self.read(Some(1)).await?;
            let Some(item) = read.items.pop() else {
                return Ok(None);
            };
            let popped = self.attempt(statement::POP, &[], Some(&read.version));
            if let StatementOutcome::Done { .. } = popped.await? {
                return Ok(Some(item));
            }
        }
    }

    fn item(&self, row: i64, json: &str) -> Result<Item, SessionError> {
        python::decode(json).map_err(|error| SessionError::Corrupt {
            session: self.id.clone(),
            row: format!("row {row} of agent_messages"),
            source: Box::new(error),
        })
    }

    fn column<'row, T: tokio_postgres::types::FromSql<'row>>(
        &self,
        row: &'row Row,
        at: usize,
    ) -> Result<T, SessionError> {
        row.try_get(at)
            .map_err(|error| failure::of_answer(error, self.connection.store()))
    }
}

impl Session for PostgresSession {
    fn id(&self) -> &SessionId {
        &self.id
    }

    fn items(&self, limit: Option<usize>) -> BoxFuture<'_, Result<SessionItems, SessionError>> {
        Box::pin(self.read(limit))
    }

    fn append(&self, turn: SessionTurn) -> BoxFuture<'_, Result<SessionVersion, SessionError>> {
        Box::pin(async move {
            self.change(statement::APPEND, &turn.items, turn.after)
                .await
        })
    }

    fn replace(&self, turn: SessionTurn) -> BoxFuture<'_, Result<SessionVersion, SessionError>> {
        Box::pin(async move {
            self.change(statement::REPLACE, &turn.items, turn.after)
                .await
        })
    }

    fn pop(&self) -> BoxFuture<'_, Result<Option<Item>, SessionError>> {
        Box::pin(self.pop_latest())
    }

    fn clear(&self) -> BoxFuture<'_, Result<(), SessionError>> {
        Box::pin(async move { self.change(statement::CLEAR, &[], None).await.map(drop) })
    }
}

impl fmt::Debug for PostgresSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresSessions")
            .field(&self.0.store())
            .finish()
    }
}

impl fmt::Debug for PostgresSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresSession")
            .field("id", &self.id)
            .field("store", &self.connection.store())
            .finish_non_exhaustive()
    }
}
