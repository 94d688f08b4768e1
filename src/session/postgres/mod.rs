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

/// Opens sessions in one Postgres database; clones share its one connection.
///
/// The tables `agent_sessions` and `agent_messages` are those of the Python SDK's `SQLAlchemySession`; a third one,
/// `openai_agents_versions`, has a number for each session that grows with every change. Every operation is one statement, and thus one
/// transaction and one round trip; those of many tasks are under way at once. A connection that broke is made again at the next
/// operation.
///
/// To another machine the connection is over TLS, unless the URL says `sslmode=disable`; to this one if it says `sslmode=require`. A
/// certificate is trusted if the operating system, or one that `SSL_CERT_FILE` and `SSL_CERT_DIR` name, says so, and checked whole:
/// `verify-full` means the same as `require`.
#[derive(Clone)]
pub struct PostgresSessions(Arc<PostgresConnection>);

/// One conversation in Postgres; made by [`PostgresSessions::session`], and a cheap handle.
///
/// # Cancel safety
///
/// A statement that was sent is carried out when its future is dropped; one that waits for the connection is not.
#[derive(Clone)]
pub struct PostgresSession {
    id: SessionId,
    connection: Arc<PostgresConnection>,
}

impl PostgresSessions {
    /// Connects, and makes the tables that are not there.
    ///
    /// The URL is as in `postgres://user:password@host:5432/database`.
    ///
    /// # Errors
    ///
    /// [`SessionError::Refused`] when the URL is none, [`SessionError::Unavailable`] when nobody answers or
    /// the certificate is not trusted.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the tables may have been made.
    pub async fn connect(url: &Secret) -> Result<Self, SessionError> {
        let connection = PostgresConnection::new(url)?;
        connection.reach().await?;
        Ok(Self(Arc::new(connection)))
    }

    /// Gives the session of an id; nothing is stored before something is appended.
    pub fn session(&self, id: SessionId) -> PostgresSession {
        PostgresSession {
            id,
            connection: Arc::clone(&self.0),
        }
    }

    /// Lists the sessions, the one with the latest item first.
    ///
    /// The order is that of writing, also where the clock was set back in between.
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
                // Another program may have used an id that is none here.
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

/// What a statement did.
enum StatementOutcome {
    Done {
        version: SessionVersion,
    },
    /// The session is at another version, or was changed while the statement waited.
    Stale {
        found: SessionVersion,
    },
}

impl PostgresSession {
    async fn read(&self, limit: Option<usize>) -> Result<SessionItems, SessionError> {
        // One more than is handed out shows that there is more.
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
        for row in rows.iter().rev() {
            version = SessionVersion::new(self.column::<String>(row, 0)?);
            if let Some(id) = self.column::<Option<i64>>(row, 1)? {
                items.push(self.item(id, &self.column::<String>(row, 2)?)?);
            }
        }
        Ok(SessionItems::new(items, version))
    }

    /// Makes a change that must come after `after`, or after whatever is there.
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
                    // Somebody was quicker, and the statement could not see what they wrote: another one can.
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
            // Looked at first: an item that cannot be read is not thrown away by the way.
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
